"""The line: how a conversation gets into it and keeps its place."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from apps.core import events
from apps.core.events import SYSTEM, Actor
from apps.messaging.choices import Status
from apps.messaging.models import Conversation
from apps.messaging.services import conversations
from apps.users.models import Customer

from .. import explain, openings, policy
from ..choices import ItemState
from ..events import ItemEnqueued, ItemMoved
from ..models import Agent, InboxRoute, Item, PriorityLevel, Queue
from . import estimates

# The attribute of a customer that names his priority level.
PRIORITY = "priority"
# The attribute of a customer that names, by e-mail address, the agent who is his.
PREFERRED_AGENT = "preferred_agent"
# One sweep heals so many of each kind; the next one comes in a few seconds.
BATCH = 200


def enqueue(conversation_id: int, *, now: datetime) -> Item | None:
    """Put a waiting conversation into the queue of its inbox, or where that overflows to. Safe to repeat.

    None when it waits no more, or its inbox has no queue (the sweep finds it as soon as there is one). Locks the
    conversation: otherwise it could be closed unseen, and its item would wait for ever.
    """
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id)
        route = InboxRoute.objects.select_related("queue").filter(inbox=conversation.inbox_id).first()
        known = Item.objects.filter(conversation=conversation).first()
        if known or conversation.status != Status.WAITING or route is None:
            return known
        queue = openings.entrance(route.queue, now=now)
        item = _create(conversation, queue)
        estimates.announce(item, now=now)
        if queue.team_id != conversation.team_id:
            conversations.move_to_team(conversation.pk, team_id=queue.team_id)
        fact = ItemEnqueued(conversation=conversation.pk, item=item.pk, queue=queue.pk)
        events.record(fact, stream=conversation.stream, actor=SYSTEM)
        return item


def _create(conversation: Conversation, queue: Queue) -> Item:
    level = level_of(conversation.customer, queue)
    credit = level.credit if level else 0
    return Item.objects.create(
        conversation=conversation,
        queue=queue,
        at=conversation.opened_at,
        credit=credit,
        line_key=line_key(queue, at=conversation.opened_at, credit=credit),
        last_agent=agent_known_to(conversation.customer),
    )


def level_of(customer: Customer, queue: Queue) -> PriorityLevel | None:
    """The head start his attributes give him in this queue."""
    name = customer.attributes.get(PRIORITY)
    return queue.levels.filter(name=name).first() if isinstance(name, str) else None


def agent_known_to(customer: Customer) -> Agent | None:
    """The customer's own agent, if he has one; else who answered him last time."""
    own = customer.attributes.get(PREFERRED_AGENT)
    if isinstance(own, str) and (agent := Agent.objects.filter(user__email__iexact=own.strip()).first()):
        return agent
    before = Item.objects.filter(conversation__customer=customer, last_agent__isnull=False)
    last = before.select_related("last_agent").order_by("-conversation_id").first()
    return last.last_agent if last else None


def line_key(queue: Queue, *, at: datetime, credit: int) -> int:
    return queue.rate * int(at.timestamp()) - credit


def move(item: Item, *, to: Queue, by: Actor, now: datetime, not_to: Agent | None = None) -> None:
    """Change the queue of a waiting item (locked by the caller); it keeps `at`. Who refused it there is forgotten."""
    was = item.queue_id
    item.queue, item.line_key = to, line_key(to, at=item.at, credit=item.credit)
    item.not_to, item.epoch = {}, item.epoch + 1  # whoever decided by the old queue is too late
    item.save(update_fields=["queue", "line_key", "not_to", "epoch"])
    if not_to:
        keep_from(item, not_to, now=now)
    if not Conversation.objects.filter(pk=item.conversation_id, team=to.team_id).exists():
        conversations.move_to_team(item.conversation_id, team_id=to.team_id)
    fact = ItemMoved(conversation=item.conversation_id, item=item.pk, from_queue=was, to_queue=to.pk)
    events.record(fact, stream=item.conversation.stream, actor=by)


def keep_from(item: Item, agent: Agent, *, now: datetime) -> None:
    """Not to him again for now: he had it, and it was passed on. The caller holds the item's lock."""
    item.not_to[str(agent.pk)] = policy.Refusal(int(now.timestamp()), explain.HAD_IT)
    item.save(update_fields=["not_to"])


def find_missed(*, now: datetime) -> int:
    """Heal what no event told us: conversations that wait in no line, items whose conversation is closed or belongs
    to another team than its queue. Returns how many were healed."""
    from . import work

    unseen = Conversation.objects.filter(status=Status.WAITING, item=None, inbox__route__isnull=False)
    over = Item.objects.exclude(state__in=[ItemState.DONE, ItemState.WRAP_UP])
    closed = over.filter(conversation__status=Status.CLOSED).values_list("conversation_id", flat=True)
    missed, ended = list(unseen.values_list("id", flat=True)[:BATCH]), list(closed[:BATCH])
    for conversation_id in missed:
        enqueue(conversation_id, now=now)
    for conversation_id in ended:
        work.conversation_closed(conversation_id, now=now)
    return len(missed) + len(ended) + follow_teams()


def follow_teams() -> int:
    """What waits in a queue belongs to the queue's team, also after the queue was given to another one."""
    astray = Item.objects.waiting().filter(conversation__status=Status.WAITING)
    ids = astray.exclude(conversation__team=F("queue__team")).values_list("id", flat=True)
    return sum(_follow_team(item_id) for item_id in list(ids[:BATCH]))


def _follow_team(item_id: int) -> bool:
    with transaction.atomic():
        item = Item.objects.select_for_update(no_key=True).get(pk=item_id)
        if item.state != ItemState.WAITING or item.conversation.status != Status.WAITING:
            return False
        conversations.move_to_team(item.conversation_id, team_id=item.queue.team_id)
        return True
