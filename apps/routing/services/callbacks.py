"""Customers who do not wait at the screen: asked for, taken up in turn, tried again, expired, cancelled.

Whatever happens to a callback, its conversation keeps its place in line; the item, locked with its hands, comes first.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from apps.core import events
from apps.core.events import SYSTEM, Actor, Fact
from apps.messaging.choices import CloseReason
from apps.messaging.models import Conversation
from apps.messaging.services import conversations
from apps.users import contacts
from apps.users.choices import ContactKind
from apps.users.models import User

from .. import errors, hours, openings
from ..choices import CallbackState, CallbackWay, ItemState
from ..events import (
    CallbackCancelled,
    CallbackDue,
    CallbackEnded,
    CallbackExpired,
    CallbackMissed,
    CallbackReached,
    CallbackRequested,
)
from ..models import Callback, Item, Queue
from . import hands, queueing, work

# One sweep ends so many; the next one comes in a second.
BATCH = 200


def request(conversation_id: int, *, way: CallbackWay, phone: str = "", by: Actor, now: datetime) -> Callback:
    """A customer in line asks to be called, or written to, when it is his turn. Asked again, it is changed.

    Raises CallbackNotOffered, CallbackNotPossible (he does not wait), PhoneRequired, PhoneInvalid, PhoneNotDialled.
    """
    number = _number(way, phone)
    # His first message may have arrived a moment ago, and nobody has put it into line yet. In a transaction of its
    # own: it locks the conversation before the item, everybody else the other way round.
    queueing.enqueue(conversation_id, now=now)
    with transaction.atomic():
        item = _item_in_line(conversation_id)
        callback = Callback.objects.open().filter(conversation=conversation_id).first()
        if callback and (callback.way, callback.phone) == (way, number):
            return callback
        if callback is None:
            if not openings.standing_for(item, now=now).offers_callback:
                raise errors.CallbackNotOffered
            expires_at = _expiry(item.queue, now=now)
            callback = Callback(conversation_id=conversation_id, requested_at=now, expires_at=expires_at)
        callback.way, callback.phone = way, number
        callback.save()
        conversations.leave_as_message(conversation_id)
        _record(CallbackRequested, callback, by=by, way=str(way))
        _tell_promise(callback)
        return callback


def _number(way: CallbackWay, phone: str) -> str:
    if way == CallbackWay.WRITE:
        return ""
    if not phone.strip():
        raise errors.PhoneRequired
    return contacts.normalised(ContactKind.PHONE, phone)


def _item_in_line(conversation_id: int) -> Item:
    item = Item.objects.select_for_update(no_key=True).filter(conversation=conversation_id).first()
    if item is None or item.state not in (ItemState.WAITING, ItemState.OFFERED, ItemState.RESTING):
        raise errors.CallbackNotPossible
    return item


def _expiry(queue: Queue, *, now: datetime) -> datetime | None:
    """Hours in which nobody is there do not count."""
    seconds, calendar = queue.callback_hours * 3600, openings.calendar_of(queue)
    if calendar is None:
        return now + timedelta(seconds=seconds)
    return hours.time_after(calendar, start=now, seconds=seconds)


def _tell_promise(callback: Callback) -> None:
    def text() -> str:
        if callback.way == CallbackWay.WRITE:
            return _("We write to you here when it is your turn. You keep your place in line.")
        return _("We call you at %(phone)s when it is your turn. You keep your place in line.") % {
            "phone": callback.phone
        }

    conversations.tell(callback.conversation_id, text)


def cancel(conversation_id: int, *, by: Actor, now: datetime) -> None:
    """The customer does not want it any more; his conversation goes on waiting. NoCallback when none is open."""
    with transaction.atomic():
        item, callback = _locked(conversation_id)
        _finish(callback, CallbackState.CANCELLED, now=now)
        work.wake(item)
        _record(CallbackCancelled, callback, by=by)


def reached(conversation_id: int, *, by: User, now: datetime, holder: User | None = None) -> Callback:
    """The agent spoke with the customer; the conversation stays his until he closes it.

    With `holder`, only while this user has it (NotYourConversation). NoCallback when none is open.
    """
    with transaction.atomic():
        hands.hold_active(conversation_id, holder=holder)
        callback = _open(conversation_id)
        callback.tries += 1
        _finish(callback, CallbackState.REACHED, now=now)
        _record(CallbackReached, callback, by=by)
        return callback


def not_reached(conversation_id: int, *, by: User, now: datetime, holder: User | None = None) -> Callback:
    """Nobody answered. It waits at its old place until the next try; after the last one it stays with the agent, who
    writes to the customer or closes it. Raises as `reached`."""
    with transaction.atomic():
        held = hands.hold_active(conversation_id, holder=holder)
        callback, queue = _open(conversation_id), held.item.queue
        callback.tries += 1
        is_last = callback.tries >= queue.callback_tries
        if is_last:
            _finish(callback, CallbackState.NOT_REACHED, now=now)
        else:
            callback.due_at = now + timedelta(minutes=queue.callback_retry_minutes)
            callback.save(update_fields=["tries", "due_at"])
            work.put_to_rest(held, reason="callback", by=by, now=now)
        _record(CallbackMissed, callback, by=by, tries=callback.tries, is_last=is_last)
        return callback


def wake_due(*, now: datetime) -> int:
    """The timer: whoever rests until now, or has nothing to rest for any more, waits in line again."""
    later = Callback.objects.open().filter(conversation=OuterRef("conversation"), due_at__gt=now)
    due = Item.objects.filter(~Exists(later), state=ItemState.RESTING, snoozed_until=None).order_by("id")
    return sum(_wake(item_id, now=now) for item_id in list(due.values_list("id", flat=True)[:BATCH]))


def _wake(item_id: int, *, now: datetime) -> bool:
    with transaction.atomic():
        item = _item_if_free(id=item_id, state=ItemState.RESTING, snoozed_until=None)
        if item is None:
            return False
        work.wake(item)
        if callback := Callback.objects.open().filter(conversation=item.conversation_id).first():
            _record(CallbackDue, callback, by=SYSTEM)
        return True


def expire(*, now: datetime) -> int:
    """The timer: what nobody got round to becomes an ordinary message, and the customer is told so."""
    over = Callback.objects.expired(now).filter(conversation__item__state__in=_WITH_NOBODY)
    ids = over.order_by("expires_at").values_list("conversation_id", flat=True)
    return sum(_expire(conversation_id, now=now) for conversation_id in list(ids[:BATCH]))


_WITH_NOBODY = (ItemState.WAITING, ItemState.RESTING)


def _expire(conversation_id: int, *, now: datetime) -> bool:
    with transaction.atomic():
        item = _item_if_free(conversation=conversation_id, state__in=_WITH_NOBODY)
        callback = Callback.objects.expired(now).filter(conversation=conversation_id).first()
        if item is None or callback is None:
            return False
        _finish(callback, CallbackState.EXPIRED, now=now)
        work.wake(item)
        _record(CallbackExpired, callback, by=SYSTEM)
        conversations.tell(conversation_id, _expired_text)
        return True


def _expired_text() -> str:
    return _("We did not manage to reach you in time. Your message keeps its place in line: we answer here.")


def conversation_closed(conversation_id: int, *, now: datetime) -> None:
    """What was still open ends with its conversation. Safe to repeat."""
    with transaction.atomic():
        callback = Callback.objects.open().filter(conversation=conversation_id).select_for_update().first()
        if callback is None:
            return
        item = Item.objects.filter(conversation=conversation_id).first()
        state, fact = _end_of(callback, item)
        _finish(callback, state, now=now)
        _record(fact, callback, by=SYSTEM)


def _end_of(callback: Callback, item: Item | None) -> tuple[CallbackState, type[Fact]]:
    reason = Conversation.objects.values_list("close_reason", flat=True).get(pk=callback.conversation_id)
    if reason in (CloseReason.ENDED_BY_CUSTOMER, CloseReason.ABANDONED):
        return CallbackState.CANCELLED, CallbackCancelled
    if callback.way == CallbackWay.WRITE and item and item.answered_at:
        return CallbackState.REACHED, CallbackReached
    return CallbackState.ENDED, CallbackEnded


def _locked(conversation_id: int) -> tuple[Item, Callback]:
    item = Item.objects.select_for_update(no_key=True).filter(conversation=conversation_id).first()
    if item is None:
        raise errors.NoCallback
    return item, _open(conversation_id)


def _open(conversation_id: int) -> Callback:
    """The caller holds the item's lock, so nobody ends it meanwhile but a close."""
    found = Callback.objects.open().filter(conversation=conversation_id).select_for_update().first()
    if found is None:
        raise errors.NoCallback
    return found


def _item_if_free(**which: object) -> Item | None:
    """For sweeps, which come again in a second."""
    return Item.objects.select_for_update(no_key=True, skip_locked=True).filter(**which).first()


def _finish(callback: Callback, state: CallbackState, *, now: datetime) -> None:
    callback.state, callback.due_at, callback.ended_at = state, None, now
    callback.save(update_fields=["state", "tries", "due_at", "ended_at"])


def _record(fact: type[Fact], callback: Callback, *, by: Actor, **extra: object) -> None:
    entry = fact(conversation=callback.conversation_id, callback=callback.pk, **extra)  # type: ignore[call-arg]
    events.record(entry, stream=callback.stream, actor=by)
