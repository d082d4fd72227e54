"""What is sent next: claimed in a short transaction of its own, with a lease, by one of the senders only.

The claim number is the fencing token: a later claim makes an older one worthless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q

from apps.core.among import among

from ..breaker import Breaker
from ..choices import DeliveryState, UnknownOutcome
from ..gateways import KINDS
from ..models import Delivery, Gateway, InboxGateway, SendingQueue
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
    roads = [(gateway, road.carries) for road in _roads(way) if (gateway := road.open_gateway(now))]
    if not roads:
        return None
    for queue in _open_queues(way):
        for gateway, carries in roads:
            with transaction.atomic():
                if batch := _claim_from(queue, gateway, carries, most=most, now=now):
                    return batch
    return None


@dataclass(frozen=True, slots=True)
class _Road:
    """What of a way goes by which gateways: by the first of them that does not rest."""

    gateways: list[Gateway]
    carries: Q

    def open_gateway(self, now: datetime) -> Gateway | None:
        return next((row for row in self.gateways if not breaker_of(row).is_open(now)), None)

    def next_gateway(self, now: datetime) -> tuple[datetime, Gateway]:
        """The first that may be tried, and when."""
        return min(((_opens_at(row, now), row) for row in self.gateways), key=lambda pair: pair[0])


def _roads(way: str) -> list[_Road]:
    """Inboxes with a gateway of their own first: theirs are answers of people. The rest goes by rank."""
    rows = _gateways(way)
    own = [row for row in rows if row.has_inboxes]  # type: ignore[attr-defined]
    if not own:
        return [_Road(rows, Q())] if rows else []
    return [*(_Road([row], Q(via=row)) for row in own), _Road(rows, ~Q(via__in=own))]


def _open_queues(way: str) -> list[SendingQueue]:
    return list(SendingQueue.objects.filter(way=way, is_paused=False).order_by("priority"))


def _gateways(way: str) -> list[Gateway]:
    bound = InboxGateway.objects.filter(gateway=OuterRef("pk"))
    active = Gateway.objects.filter(way=way, is_active=True).annotate(has_inboxes=Exists(bound))
    return list(active.order_by("rank", "id"))


def breaker_of(gateway: Gateway) -> Breaker:
    return Breaker(gateway.failures, gateway.broken_until)


def _opens_at(gateway: Gateway, now: datetime) -> datetime:
    state = breaker_of(gateway)
    return state.until if state.until and state.is_open(now) else now


def knows_keys(gateway: Gateway | None) -> bool:
    return gateway is not None and bool(getattr(KINDS.get(gateway.kind), "knows_keys", False))


def holds_doubts(gateway: Gateway | None) -> bool:
    """Whether an unknown outcome waits for a person: where keys are known sending again is safe."""
    return (
        gateway is not None and gateway.unknown_outcome == UnknownOutcome.REVIEW and not knows_keys(gateway)
    )


def _claim_from(
    queue: SendingQueue, gateway: Gateway, carries: Q, *, most: int, now: datetime
) -> Batch | None:
    due = Delivery.objects.due(now).filter(carries, way=queue.way, priority=queue.priority)
    due = due.order_by("due_at", "id")
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
    Delivery.objects.filter(among("pk", [row.pk for row in rows])).update(
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
        mine = Delivery.objects.filter(among("pk", ids), claim=claim_number, state=DeliveryState.SENDING)
        mine.update(leased_until=batch.leased_until)


def hindrance(way: str, *, priority: int, via: int | None, now: datetime) -> str:
    """Why nothing of this queue that goes by the gateway `via` (None: by any) can go out now: "no_gateway", "resting"
    or "paused"; empty when nothing hinders it."""
    roads = _roads(way)
    if not roads:
        return "no_gateway"
    own = next((road for road in roads[:-1] if road.gateways[0].pk == via), roads[-1])
    if own.open_gateway(now) is None:
        return "resting"
    is_paused = SendingQueue.objects.filter(way=way, priority=priority, is_paused=True).exists()
    return "paused" if is_paused else ""


def next_moment(way: str, *, now: datetime) -> datetime | None:
    """When there will be something to do for this way, as things are; None when nothing waits. A moment that has
    passed means at once."""
    roads = _roads(way)
    moments = [
        moment for queue in _open_queues(way) for road in roads if (moment := _free_at(queue, road, now=now))
    ]
    lease = Delivery.objects.filter(way=way, state=DeliveryState.SENDING).aggregate(at=Min("leased_until"))[
        "at"
    ]
    return min([*moments, *([lease] if lease else [])], default=None)


def _free_at(queue: SendingQueue, road: _Road, *, now: datetime) -> datetime | None:
    waiting = Delivery.objects.filter(
        road.carries, state=DeliveryState.DUE, way=queue.way, priority=queue.priority
    )
    due_at = waiting.order_by("due_at").values_list("due_at", flat=True).first()
    if due_at is None:
        return None
    opens_at, gateway = road.next_gateway(now)
    paced = [pace.free_at(now) for _, pace in _paces(queue, gateway)]
    return max([due_at, *paced] + ([opens_at] if opens_at > now else []))
