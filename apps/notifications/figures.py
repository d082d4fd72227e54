"""What the sending queues hold and how they do: for the admin and for Prometheus."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from .choices import DeliveryState
from .models import Attempt, Delivery, SendingQueue

# Pace and lateness are those of the latest attempts, of the last ten minutes at most.
SAMPLE = 5000
SPAN = timedelta(minutes=10)
Key = tuple[str, int]


@dataclass(slots=True)
class QueueFigures:
    """Counts of now; `lateness` are seconds between due and sent."""

    is_paused: bool = False
    waiting: int = 0
    due: int = 0
    leased: int = 0
    retrying: int = 0
    dead: int = 0
    review: int = 0
    oldest_due_at: datetime | None = None
    per_minute: float = 0
    lateness: list[float] = field(default_factory=list)

    def late(self, share: float) -> float | None:
        """A percentile of the lateness in seconds; None when nothing was sent lately."""
        if not self.lateness:
            return None
        return self.lateness[min(int(len(self.lateness) * share), len(self.lateness) - 1)]

    def oldest_seconds(self, now: datetime) -> float:
        """How late the oldest that is due already is."""
        return max((now - self.oldest_due_at).total_seconds(), 0) if self.oldest_due_at else 0


def of_queues(*, now: datetime) -> dict[Key, QueueFigures]:
    """Of each way and priority; three queries."""
    found = {
        (row.way, row.priority): QueueFigures(is_paused=row.is_paused) for row in SendingQueue.objects.all()
    }
    known: dict[Key, QueueFigures] = defaultdict(QueueFigures, found)
    _count(known, now)
    _measure(known, now)
    return dict(known)


def _count(figures: dict[Key, QueueFigures], now: datetime) -> None:
    is_due = Q(state=DeliveryState.DUE, due_at__lte=now)
    open_states = (DeliveryState.DUE, DeliveryState.SENDING, DeliveryState.DEAD, DeliveryState.REVIEW)
    counts = (
        Delivery.objects.filter(state__in=open_states)
        .values("way", "priority")
        .annotate(
            waiting=Count("pk", Q(state=DeliveryState.DUE, due_at__gt=now)),
            due=Count("pk", is_due),
            leased=Count("pk", Q(state=DeliveryState.SENDING)),
            retrying=Count("pk", Q(state=DeliveryState.DUE, tries__gt=0)),
            dead=Count("pk", Q(state=DeliveryState.DEAD)),
            review=Count("pk", Q(state=DeliveryState.REVIEW)),
            oldest_due_at=Min("due_at", filter=is_due),
        )
        .order_by()
    )
    for row in counts:
        queue = figures[row["way"], row["priority"]]
        for name in ("waiting", "due", "leased", "retrying", "dead", "review", "oldest_due_at"):
            setattr(queue, name, row[name])


def _measure(figures: dict[Key, QueueFigures], now: datetime) -> None:
    """By the primary key of attempts, so that it costs the same however long the history is."""
    latest = Attempt.objects.order_by("-id").values_list(
        "at", "error", "delivery__way", "delivery__priority", "delivery__due_at", "delivery__sent_at"
    )[:SAMPLE]
    sample = [row for row in latest if row[0] > now - SPAN]
    # A full sample covers less than the whole span.
    span = now - sample[-1][0] if len(sample) == SAMPLE else SPAN
    minutes = max(span.total_seconds(), 1) / 60
    for _at, error, way, priority, due_at, sent_at in sample:
        queue = figures[way, priority]
        queue.per_minute += 1 / minutes
        if not error and sent_at is not None:
            queue.lateness.append(max((sent_at - due_at).total_seconds(), 0))
    for queue in figures.values():
        queue.lateness.sort()
