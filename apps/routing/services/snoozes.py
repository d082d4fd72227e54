"""Conversations their agents want to see again later. They rest at their old place in line and take nobody's room; they
come back at their time, or as soon as the customer writes: to the same agent if he is there and has room, else in line.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.core import events
from apps.core.errors import EMLError
from apps.core.events import SYSTEM, Actor
from apps.messaging.choices import Sender
from apps.messaging.models import Conversation, Message
from apps.users.models import User

from .. import errors
from ..choices import ItemState
from ..events import ItemSnoozed, SnoozeEnded
from ..models import Agent, Item
from . import hands, work

LONGEST = timedelta(days=90)
# One sweep wakes so many; the next one comes in a second.
BATCH = 200


def snooze(
    conversation_id: int, *, until: datetime, by: Actor, now: datetime, holder: User | None = None
) -> Item:
    """Take it off its agent's desk until then. With `holder`, only while this user has it.

    Raises SnoozeTimeWrong, NotYourConversation, NotInLine, ConversationIsClosed.
    """
    if not now < until <= now + LONGEST:
        raise errors.SnoozeTimeWrong
    with transaction.atomic():
        held = hands.hold_active(conversation_id, holder=holder)
        item, agent = held.item, held.holder
        assert agent is not None  # active work has one
        work.put_to_rest(held, reason="snooze", by=by, now=now)
        item.snoozed_until, item.snoozed_for = until, agent
        item.snoozed_seq = Conversation.objects.values_list("last_seq", flat=True).get(pk=conversation_id)
        item.save(update_fields=["snoozed_until", "snoozed_for", "snoozed_seq"])
        fact = ItemSnoozed(conversation=conversation_id, item=item.pk, agent=agent.pk)
        events.record(fact, stream=item.conversation.stream, actor=by)
        return item


def wake(conversation_id: int, *, by: Actor, now: datetime, holder: User | None = None) -> bool:
    """Not later, but now; returns whether its agent has it again. NotSnoozed when it is not, or not of `holder`."""
    with transaction.atomic():
        item = Item.objects.filter(conversation=conversation_id, snoozed_until__isnull=False).first()
        if item is None or (holder is not None and _agent_of(item).user_id != holder.pk):
            raise errors.NotSnoozed
        return _wake(item, reason="asked", by=by, now=now)


def wake_due(*, now: datetime) -> int:
    """The timer: whose time has come, or whose customer has written since. Returns how many came back."""
    woken = 0
    for item in snoozed().filter(Q(snoozed_until__lte=now) | Exists(_written_since())).order_by("id")[:BATCH]:
        is_time = item.snoozed_until is not None and item.snoozed_until <= now
        try:
            with transaction.atomic():
                _wake(item, reason="time" if is_time else "customer", by=SYSTEM, now=now)
            woken += 1
        except EMLError:
            continue  # somebody took it up a moment ago: the next sweep looks again
    return woken


def snoozed() -> QuerySet[Item]:
    return Item.objects.filter(state=ItemState.RESTING, snoozed_until__isnull=False)


def _written_since() -> QuerySet[Message]:
    return Message.objects.filter(
        conversation=OuterRef("conversation"),
        conversation__last_seq__gt=OuterRef("snoozed_seq"),
        seq__gt=OuterRef("snoozed_seq"),
        sender=Sender.CUSTOMER,
    )


def _agent_of(item: Item) -> Agent:
    assert item.snoozed_for is not None  # the constraint item_snoozed_rests
    return item.snoozed_for


def _wake(seen: Item, *, reason: str, by: Actor, now: datetime) -> bool:
    agent_id = _agent_of(seen).pk
    held = hands.hold(seen.conversation_id, also=[agent_id])
    item = held.item
    if item.snoozed_for_id != agent_id:
        raise errors.NotSnoozed
    is_back = True
    try:
        with transaction.atomic():
            work.give_back(held, held.agents[agent_id], by=by, now=now)
    except EMLError:
        is_back = False
        item.refresh_from_db()
        work.wake(item)
    fact = SnoozeEnded(
        conversation=item.conversation_id, item=item.pk, agent=agent_id if is_back else None, reason=reason
    )
    events.record(fact, stream=item.conversation.stream, actor=by)
    return is_back
