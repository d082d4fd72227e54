"""The line: how a conversation gets into it, keeps its place, and leaves it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.core import events
from apps.core.events import SYSTEM, Actor
from apps.messaging.models import Conversation
from apps.messaging.services import conversations

from .. import errors
from ..choices import ItemState
from ..events import ItemEnqueued, ItemMoved
from ..models import InboxRoute, Item, PriorityLevel, Queue


def enqueue(conversation: Conversation, *, now: datetime, level: PriorityLevel | None = None) -> Item | None:
    """Put a waiting conversation into the queue of its inbox. Safe to repeat. None when the inbox has no queue."""
    route = InboxRoute.objects.select_related("queue").filter(inbox=conversation.inbox_id).first()
    if route is None:
        return None
    with transaction.atomic():
        item, is_new = Item.objects.get_or_create(
            conversation=conversation,
            defaults={
                "queue": route.queue,
                "at": conversation.opened_at,
                "credit": level.credit if level else 0,
                "line_key": line_key(
                    route.queue, at=conversation.opened_at, credit=level.credit if level else 0
                ),
            },
        )
        if is_new:
            fact = ItemEnqueued(conversation=conversation.pk, item=item.pk, queue=route.queue_id)
            events.record(fact, stream=conversation.stream, actor=SYSTEM)
        return item


def line_key(queue: Queue, *, at: datetime, credit: int) -> int:
    return queue.rate * int(at.timestamp()) - credit


def move(item: Item, *, to: Queue, by: Actor) -> None:
    """Change the queue of an item that waits (locked by the caller); it keeps `at`."""
    was = item.queue
    item.queue, item.line_key = to, line_key(to, at=item.at, credit=item.credit)
    item.not_to = {}
    item.save(update_fields=["queue", "line_key", "not_to"])
    if to.team_id != was.team_id:
        conversations.move_to_team(item.conversation_id, team_id=to.team_id)
    fact = ItemMoved(conversation=item.conversation_id, item=item.pk, from_queue=was.pk, to_queue=to.pk)
    events.record(fact, stream=item.conversation.stream, actor=by)


def get_locked(conversation_id: int) -> Item:
    """The item of a conversation, locked; NotInLine when it is not (or no more) in routing's hands."""
    item = (
        Item.objects.select_for_update(no_key=True, of=("self",))
        .select_related("conversation", "queue")
        .filter(conversation_id=conversation_id)
        .exclude(state=ItemState.DONE)
        .first()
    )
    if item is None:
        raise errors.NotInLine
    return item
