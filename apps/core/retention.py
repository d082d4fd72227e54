"""Old rows leave in small batches, oldest first, so that nobody waits for it. All of it may be cut off and repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, QuerySet

from .models import Event, Handling

# A batch is one transaction: short enough that nobody notices.
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that are kept for a while. `old` are those from before a moment; `delete` takes their ids."""

    name: str
    old: Callable[[datetime], QuerySet]
    delete: Callable[[list[int]], Any]

    @property
    def days(self) -> int:
        """How long they are kept; 0 is for ever."""
        return settings.KEEP_DAYS[self.name]


def older_than(rows: QuerySet, *, field: str, before: datetime) -> QuerySet:
    """Those whose `field` lies before a moment. Ids are given in the order of time, so a few looks find the border,
    however many rows there are; no index of the time is needed."""
    low, high = 0, rows.aggregate(last=Max("id"))["last"] or 0
    while low < high:
        seen, moment = (
            rows.filter(id__gt=(low + high) // 2).order_by("id").values_list("id", field).first()
        ) or (high, before)
        low, high = (seen, high) if moment < before else (low, (low + high) // 2)
    return rows.filter(id__lte=low)


def remove(kind: Kind, *, days: int, now: datetime, batch: int = BATCH) -> Iterator[int]:
    """Delete what is older than so many days; yields how many are gone after each batch."""
    old, last, gone = kind.old(now - timedelta(days=days)), 0, 0
    while ids := list(old.filter(id__gt=last).order_by("id").values_list("id", flat=True)[:batch]):
        with transaction.atomic():
            kind.delete(ids)
        last, gone = ids[-1], gone + len(ids)
        yield gone


def remove_all(kind: Kind, *, now: datetime) -> int:
    """As long as the settings say; nothing of what is kept for ever."""
    return max(remove(kind, days=kind.days, now=now), default=0) if kind.days else 0


def _old_events(before: datetime) -> QuerySet[Event]:
    """What still has a follow-up to come stays, however old it is."""
    undone = Exists(Handling.objects.filter(event=OuterRef("pk")))
    return older_than(Event.objects.all(), field="at", before=before).filter(~undone)


def _delete_events(ids: list[int]) -> None:
    Event.objects.filter(pk__in=ids).delete()


EVENTS = Kind("events", _old_events, _delete_events)
