"""What is sent next: claimed in a short transaction of its own, with a lease, by one of the senders only.

The claim number is the fencing token: a later claim makes an older one worthless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Min

from ..breaker import Breaker
from ..choices import DeliveryState, UnknownOutcome
from ..gateways import KINDS
from ..models import Delivery, Gateway, SendingQueue
from ..pacing import Pace

# A sender extends it while it lives; a dead one's work is taken over after so long.
LEASE = timedelta(seconds=60)
# What may be in doubt at once where doubt means work for a person.
MOST_IN_DOUBT = 25


@dataclass(slots=True)
class Batch:
    """Rows of one way and priority, in our hands until the lease ends."""

    gateway: Gateway
    rows: list[Delivery]
    leased_until: datetime


def claim(way: str, *, most: int, now: datetime) -> Batch | None:
    """The most urgent that may go out now: lower priority numbers first, then by when it was due. Counts a try."""
    gateway = usable_gateway(way, now=now)
    if gateway is None:
        return None
    for queue in _open_queues(way):
        with transaction.atomic():
            if batch := _claim_from(queue, gateway, most=most, now=now):
                return batch
    return None


def _open_queues(way: str) -> list[SendingQueue]:
    return list(SendingQueue.objects.filter(way=way, is_paused=False).order_by("priority"))


def usable_gateway(way: str, *, now: datetime) -> Gateway | None:
    """The first in rank that does not rest."""
    return next((row for row in _gateways(way) if not breaker_of(row).is_open(now)), None)


def _gateways(way: str) -> list[Gateway]:
    return list(Gateway.objects.filter(way=way, is_active=True).order_by("rank", "id"))


def breaker_of(gateway: Gateway) -> Breaker:
    return Breaker(gateway.failures, gateway.broken_until)


def knows_keys(gateway: Gateway | None) -> bool:
    return gateway is not None and bool(getattr(KINDS.get(gateway.kind), "knows_keys", False))


def holds_doubts(gateway: Gateway | None) -> bool:
    """Whether an unknown outcome waits for a person: where keys are known sending again is safe."""
    return (
        gateway is not None and gateway.unknown_outcome == UnknownOutcome.REVIEW and not knows_keys(gateway)
    )


def _claim_from(queue: SendingQueue, gateway: Gateway, *, most: int, now: datetime) -> Batch | None:
    due = Delivery.objects.due(now).filter(way=queue.way, priority=queue.priority).order_by("due_at", "id")
    most = _limited(most, gateway)
    is_paced = queue.per_minute or gateway.per_minute
    if is_paced:
        # Locked before looking: two senders at once would both see the same tickets.
        if not due.exists():
            return None
        queue = SendingQueue.objects.select_for_update().get(pk=queue.pk)
        gateway = Gateway.objects.select_for_update().get(pk=gateway.pk)
        most = min([most, *(pace.allowed(now) for _, pace in _paces(queue, gateway))])
    if queue.is_paused or most <= 0:
        return None
    rows = list(due.select_for_update(skip_locked=True, of=("self",))[:most])
    if not rows:
        return None
    for limited, pace in _paces(queue, gateway):
        given = pace.given(len(rows), now=now)
        type(limited)._base_manager.filter(pk=limited.pk).update(given_until=given.given_until)
    return _lease(rows, gateway, now=now)


def _limited(most: int, gateway: Gateway) -> int:
    if breaker_of(gateway).is_probing:
        return 1
    return min(most, MOST_IN_DOUBT) if holds_doubts(gateway) else most


def _paces(queue: SendingQueue, gateway: Gateway) -> list[tuple[SendingQueue | Gateway, Pace]]:
    return [(row, Pace(row.per_minute, row.given_until)) for row in (queue, gateway) if row.per_minute]


def _lease(rows: list[Delivery], gateway: Gateway, *, now: datetime) -> Batch:
    until = now + LEASE
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=DeliveryState.SENDING,
        claim=F("claim") + 1,
        tries=F("tries") + 1,
        leased_until=until,
        gateway=gateway,
    )
    for row in rows:
        row.state, row.leased_until, row.gateway_id = DeliveryState.SENDING, until, gateway.pk
        row.claim += 1
        row.tries += 1
    return Batch(gateway, rows, until)


def extend(batch: Batch, rows: Sequence[Delivery], *, now: datetime) -> None:
    """Still at it."""
    batch.leased_until = now + LEASE
    for claim_number in {row.claim for row in rows}:
        ids = [row.pk for row in rows if row.claim == claim_number]
        mine = Delivery.objects.filter(pk__in=ids, claim=claim_number, state=DeliveryState.SENDING)
        mine.update(leased_until=batch.leased_until)


def hindrance(way: str, *, priority: int, now: datetime) -> str:
    """Why nothing of this queue can go out now: "no_gateway", "resting" or "paused"; empty when nothing hinders it."""
    if not _gateways(way):
        return "no_gateway"
    if usable_gateway(way, now=now) is None:
        return "resting"
    is_paused = SendingQueue.objects.filter(way=way, priority=priority, is_paused=True).exists()
    return "paused" if is_paused else ""


def next_moment(way: str, *, now: datetime) -> datetime | None:
    """When there will be something to do for this way, as things are; None when nothing waits. A moment that has
    passed means at once."""
    moments = [moment for queue in _open_queues(way) if (moment := _free_at(queue, now=now))]
    lease = Delivery.objects.filter(way=way, state=DeliveryState.SENDING).aggregate(at=Min("leased_until"))[
        "at"
    ]
    return min([*moments, *([lease] if lease else [])], default=None)


def _free_at(queue: SendingQueue, *, now: datetime) -> datetime | None:
    waiting = Delivery.objects.filter(state=DeliveryState.DUE, way=queue.way, priority=queue.priority)
    due_at = waiting.order_by("due_at").values_list("due_at", flat=True).first()
    gateways = _gateways(queue.way)
    if due_at is None or not gateways:
        return None
    breakers = [(breaker_of(row), row) for row in gateways]
    opens_at, gateway = min(
        ((state.until if state.until and state.is_open(now) else now, row) for state, row in breakers),
        key=lambda pair: pair[0],
    )
    paced = [pace.free_at(now) for _, pace in _paces(queue, gateway)]
    return max([due_at, *paced] + ([opens_at] if opens_at > now else []))
