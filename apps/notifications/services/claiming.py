"""What is sent next: claimed in a short transaction of its own, with a lease, by one of the senders only.

The claim number is the fencing token: a later claim makes an older one worthless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Min

from apps.core import moments
from apps.core.among import among

from .. import wake
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


@dataclass(frozen=True, slots=True)
class _Road:
    """What of a way goes by which gateways: by the first of them that does not rest."""

    gateways: list[Gateway]
    # As a condition on `notifications_delivery`.
    carries: str

    def open_gateway(self, now: datetime) -> Gateway | None:
        return next((row for row in self.gateways if not breaker_of(row).is_open(now)), None)

    def next_gateway(self, now: datetime) -> tuple[datetime, Gateway]:
        """The first that may be tried, and when."""
        return min(((_opens_at(row, now), row) for row in self.gateways), key=lambda pair: pair[0])


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first of a queue that goes by this road."""

    queue: SendingQueue
    road: _Road
    due_at: datetime

    def free_at(self, now: datetime) -> datetime:
        """When it may go, as things are."""
        opens_at, gateway = self.road.next_gateway(now)
        paced = [pace.free_at(now) for _, pace in _paces(self.queue, gateway)]
        return max([self.due_at, *paced] + ([opens_at] if opens_at > now else []))


# Both are asked for every batch, however small: the ORM takes several times as long to say them.
_GATEWAYS = """
SELECT g.*, EXISTS (SELECT 1 FROM notifications_inboxgateway i WHERE i.gateway_id = g.id) AS has_inboxes
FROM notifications_gateway g WHERE g.way = %s AND g.is_active ORDER BY g.rank, g.id
"""
_FIRST = """
(SELECT min(due_at) FROM notifications_delivery d WHERE d.state = 'due' AND d.way = q.way
    AND d.priority = q.priority AND d.due_at < %s AND {carries})
"""
_QUEUES = """
SELECT q.*, {firsts} FROM notifications_sendingqueue q WHERE q.way = %s AND NOT q.is_paused ORDER BY q.priority
"""


def look(way: str, *, now: datetime) -> list[Waiting]:
    """What waits in the open queues of a way and will be due before a sender has slept for long; the most urgent first:
    lower priority numbers, and what people answer before the rest."""
    roads = _roads(way)
    if not roads:
        return []
    firsts = ", ".join(_FIRST.format(carries=road.carries) + f" AS first_{n}" for n, road in enumerate(roads))
    until = moments.written(now + wake.LONGEST_SLEEP)
    queues = SendingQueue.objects.raw(_QUEUES.format(firsts=firsts), [*(until for _ in roads), way])
    return [
        Waiting(queue, road, due_at)
        for queue in queues
        for n, road in enumerate(roads)
        if (due_at := moments.read(getattr(queue, f"first_{n}")))
    ]


def _roads(way: str) -> list[_Road]:
    """Inboxes with a gateway of their own first: theirs are answers of people. The rest goes by rank."""
    rows = list(Gateway.objects.raw(_GATEWAYS, [way]))
    own = [row for row in rows if row.has_inboxes]  # type: ignore[attr-defined]
    if not own:
        return [_Road(rows, "TRUE")] if rows else []
    others = ", ".join(str(row.pk) for row in own)
    return [
        *(_Road([row], f"via_id = {row.pk}") for row in own),
        _Road(rows, f"(via_id IS NULL OR via_id NOT IN ({others}))"),
    ]


def claim(way: str, *, most: int, now: datetime) -> Batch | None:
    """The most urgent that may go out now. Counts a try."""
    return take(look(way, now=now), most=most, now=now)


def take(waiting: Iterable[Waiting], *, most: int, now: datetime) -> Batch | None:
    """The first of these that may go out now, with what else is due in its queue."""
    for first in waiting:
        gateway = first.road.open_gateway(now) if first.due_at <= now else None
        if gateway and (batch := _claim_from(first, gateway, most=most, now=now)):
            return batch
    return None


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


def _claim_from(first: Waiting, gateway: Gateway, *, most: int, now: datetime) -> Batch | None:
    most = _limited(most, gateway)
    if not (first.queue.per_minute or gateway.per_minute):
        return _lease(first, gateway, most=most, now=now)
    with transaction.atomic():
        # Locked before looking: two senders at once would both see the same tickets.
        queue = SendingQueue.objects.select_for_update().get(pk=first.queue.pk)
        gateway = Gateway.objects.select_for_update().get(pk=gateway.pk)
        paces = _paces(queue, gateway)
        most = min([most, *(pace.allowed(now) for _, pace in paces)])
        if queue.is_paused or most <= 0:
            return None
        if batch := _lease(first, gateway, most=most, now=now):
            for limited, pace in paces:
                given = pace.given(len(batch.rows), now=now)
                type(limited)._base_manager.filter(pk=limited.pk).update(given_until=given.given_until)
        return batch


def _limited(most: int, gateway: Gateway) -> int:
    if breaker_of(gateway).is_probing:
        return 1
    return min(most, MOST_IN_DOUBT) if holds_doubts(gateway) else most


def _paces(queue: SendingQueue, gateway: Gateway) -> list[tuple[SendingQueue | Gateway, Pace]]:
    return [(row, Pace(row.per_minute, row.given_until)) for row in (queue, gateway) if row.per_minute]


# In one statement, which is its own transaction: what is chosen is ours once it is written.
_LEASE = """
WITH next AS MATERIALIZED (
    SELECT id FROM notifications_delivery
    WHERE state = 'due' AND due_at <= %s AND way = %s AND priority = %s AND {carries}
    ORDER BY due_at, id LIMIT %s {lock}
)
UPDATE notifications_delivery
SET state = 'sending', claim = claim + 1, tries = tries + 1, leased_until = %s, gateway_id = %s
WHERE id {is_next} RETURNING *
"""


def _lease(first: Waiting, gateway: Gateway, *, most: int, now: datetime) -> Batch | None:
    queue, until = first.queue, now + LEASE
    lock, is_next = "", "IN (SELECT id FROM next)"
    # SQLite has one writer anyway, and no arrays. Those are looked up, in order, however small the table is thought.
    if connection.vendor == "postgresql":
        lock, is_next = "FOR UPDATE SKIP LOCKED", "= ANY (ARRAY(SELECT id FROM next))"
    values = [moments.written(now), queue.way, queue.priority, most, moments.written(until), gateway.pk]
    sql = _LEASE.format(carries=first.road.carries, lock=lock, is_next=is_next)
    rows = list(Delivery.objects.raw(sql, values))
    rows.sort(key=lambda row: (row.due_at, row.pk))
    return Batch(gateway, rows, until) if rows else None


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
    """When there will be something to do for this way, as things are; None when that is not within a sender's sleep. A
    moment that has passed means at once."""
    return soonest(look(way, now=now), first_lease(way), now=now)


def soonest(waiting: Iterable[Waiting], lease: datetime | None, *, now: datetime) -> datetime | None:
    moments = [first.free_at(now) for first in waiting]
    return min([*moments, *([lease] if lease else [])], default=None)


def first_lease(way: str) -> datetime | None:
    """When the first lease ends, if nobody extends it."""
    sending = Delivery.objects.filter(way=way, state=DeliveryState.SENDING)
    return sending.aggregate(at=Min("leased_until"))["at"]
