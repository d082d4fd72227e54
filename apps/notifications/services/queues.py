"""Sending queues in hand: paused, slowed, revived, emptied. Each act is an event with who did it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from apps.core import events
from apps.core.events import Actor

from .. import wake
from ..choices import DeliveryState, Reason, Way
from ..events import DeliveryReviewed, QueueChanged
from ..models import Delivery, Gateway, SendingQueue
from . import claiming

STUCK = (DeliveryState.DEAD, DeliveryState.REVIEW)


def pause(queue_id: int, *, by: Actor, now: datetime) -> bool:
    """Nothing more is claimed from it; what is being sent ends. Returns whether that is new."""
    return _set_paused(queue_id, True, by=by, now=now)


def resume(queue_id: int, *, by: Actor, now: datetime) -> bool:
    return _set_paused(queue_id, False, by=by, now=now)


def _set_paused(queue_id: int, is_paused: bool, *, by: Actor, now: datetime) -> bool:
    with transaction.atomic():
        queue = SendingQueue.objects.select_for_update().get(pk=queue_id)
        if queue.is_paused == is_paused:
            return False
        queue.is_paused = is_paused
        queue.save(update_fields=["is_paused"])
        _record(queue, "paused" if is_paused else "resumed", 0, by=by)
        wake.after_commit(due_at=now, now=now)
        return True


def set_pace(queue_id: int, *, per_minute: int | None, by: Actor, now: datetime) -> None:
    """None: as fast as the gateway takes it."""
    with transaction.atomic():
        queue = SendingQueue.objects.select_for_update().get(pk=queue_id)
        if queue.per_minute == per_minute:
            return
        queue.per_minute, queue.given_until = per_minute, None
        queue.save(update_fields=["per_minute", "given_until"])
        _record(queue, "pace", per_minute or 0, by=by)
        wake.after_commit(due_at=now, now=now)


def retry_dead(queue_id: int, *, by: Actor, now: datetime) -> int:
    """All dead ones of a queue get all their tries again. Returns how many."""
    with transaction.atomic():
        queue = SendingQueue.objects.select_for_update().get(pk=queue_id)
        dead = Delivery.objects.dead().filter(way=queue.way, priority=queue.priority)
        count = _revive(dead, now=now)
        if count:
            _record(queue, "retried", count, by=by)
        return count


def drop_waiting(queue_id: int, *, by: Actor, now: datetime) -> int:
    """Whatever waits in the queue, due or not, never goes out. Returns how many."""
    with transaction.atomic():
        queue = SendingQueue.objects.select_for_update().get(pk=queue_id)
        waiting = Delivery.objects.filter(state=DeliveryState.DUE, way=queue.way, priority=queue.priority)
        count = waiting.update(state=DeliveryState.CANCELLED, reason=Reason.DROPPED)
        if count:
            _record(queue, "dropped", count, by=by)
        return count


def _record(queue: SendingQueue, what: str, count: int, *, by: Actor) -> None:
    fact = QueueChanged(way=queue.way, priority=queue.priority, what=what, count=count)
    events.record(fact, stream=queue.stream, actor=by)


def _revive(rows: QuerySet[Delivery], *, now: datetime) -> int:
    count = rows.update(state=DeliveryState.DUE, due_at=now, reason="", tries=0)
    if count:
        wake.after_commit(due_at=now, now=now)
    return count


# Single deliveries


def send_again(ids: Iterable[int], *, by: Actor, now: datetime) -> int:
    """Dead ones, and those whose outcome is unknown, are tried again; somebody has looked at them."""
    return _settle(ids, STUCK, "sent_again", by=by, now=now)


def mark_sent(ids: Iterable[int], *, by: Actor, now: datetime) -> int:
    """Held for review, and the provider's own list says that it went out."""
    return _settle(ids, (DeliveryState.REVIEW,), "found_sent", by=by, now=now)


def drop(ids: Iterable[int], *, by: Actor, now: datetime) -> int:
    """Neither waits nor is tried again."""
    return _settle(ids, (DeliveryState.DUE, *STUCK), "dropped", by=by, now=now)


def _settle(
    ids: Iterable[int], states: Iterable[DeliveryState], what: str, *, by: Actor, now: datetime
) -> int:
    with transaction.atomic():
        chosen = Delivery.objects.select_for_update(of=("self",)).filter(pk__in=list(ids), state__in=states)
        found = list(chosen.order_by("pk").values_list("pk", flat=True))
        rows = Delivery.objects.filter(pk__in=found)
        match what:
            case "sent_again":
                _revive(rows, now=now)
            case "found_sent":
                rows.update(state=DeliveryState.SENT, sent_at=now)
            case "dropped":
                rows.update(state=DeliveryState.CANCELLED, reason=Reason.DROPPED)
        events.record_many(
            events.Entry(DeliveryReviewed(delivery=pk, what=what), f"delivery:{pk}", by.actor_ref)
            for pk in found
        )
        return len(found)


# After a backup was restored


def hold_after_restore(*, since: datetime, by: Actor, now: datetime) -> int:
    """What was due between the backup (`since`) and now may have gone out already, which the restored database cannot
    know: it is held for review, except where the provider drops what it has seen. Returns how many are held."""
    held = 0
    with transaction.atomic():
        safe = [row.way for row in Gateway.objects.filter(is_active=True) if claiming.knows_keys(row)]
        unsafe = [way for way in Way.values if way not in safe]
        for queue in SendingQueue.objects.select_for_update().filter(way__in=unsafe).order_by("pk"):
            open_rows = Delivery.objects.filter(
                state__in=(DeliveryState.DUE, DeliveryState.SENDING),
                way=queue.way,
                priority=queue.priority,
                due_at__gte=since,
                due_at__lte=now,
            )
            if count := open_rows.update(state=DeliveryState.REVIEW, leased_until=None):
                _record(queue, "held", count, by=by)
                held += count
    return held
