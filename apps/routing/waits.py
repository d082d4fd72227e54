"""How long will it take? The questions around the tables of estimated waits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from . import staffing
from .choices import Chosen
from .estimate import LENGTHS, Error, Estimate, Table
from .models import Agent, Callback, Item, Queue, Step, WaitTable

# Longer lines share one cell of the table: counting on would change nothing.
LONGEST_COUNTED = LENGTHS[-1]


def length_before(item: Item) -> int:
    """How many of its queue are served before this item; counted up to the table's last length."""
    before = Q(line_key__lt=item.line_key) | Q(line_key=item.line_key, id__lt=item.pk)
    line = Item.objects.in_line().filter(before, queue_id=item.queue_id).order_by()
    return line[:LONGEST_COUNTED].count()


def estimate(queue: Queue, *, length: int, now: datetime) -> Estimate | None:
    """What somebody behind so many others is told. None when nobody is there to answer, or there is room for him."""
    places, free = _places(queue, now=now)
    if not places or length < free:
        return None
    return table_for(queue).estimate(length, places)


def _places(queue: Queue, *, now: datetime) -> tuple[int, int]:
    """How many of its contacts those at work can hold, and how many more now."""
    here = _at_work(queue.team_id, Step.objects.filter(queue=queue), now=now)
    rows = list(here.values_list("capacity", "load"))
    places = sum(capacity // queue.units for capacity, _load in rows)
    return places, sum(max(capacity - load, 0) // queue.units for capacity, load in rows)


def _at_work(team: Any, steps: QuerySet[Step], *, now: datetime) -> QuerySet[Agent]:
    """Whom one of these steps accepts sooner or later: nobody else will ever take something from the line."""
    here = staffing.who_may(team, steps, now=now)
    return here.filter(chosen=Chosen.AVAILABLE, is_not_responding=False)


def table_for(queue: Queue) -> Table:
    return table_of(WaitTable.objects.filter(queue=queue).first())


def table_of(stored: WaitTable | None) -> Table:
    return Table.from_json(stored.table) if stored and stored.table else Table()


def with_places(queues: QuerySet[Queue], *, now: datetime) -> QuerySet[Queue]:
    """Adds `places` and `free_places`: how many contacts those at work can hold, and how many more now."""
    return queues.select_related("wait_table").annotate(
        places=_sum_at_work(F("capacity"), now=now),
        free_places=_sum_at_work(F("capacity") - F("load"), now=now),
    )


def _sum_at_work(units: Any, *, now: datetime) -> Coalesce:
    steps = Step.objects.filter(queue=OuterRef(OuterRef("pk")))
    here = _at_work(OuterRef("team"), steps, now=now).order_by().values("user__teams")
    total = here.annotate(value=Sum(units / OuterRef("units"))).values("value")
    return Coalesce(Subquery(total, output_field=IntegerField()), 0)


def next_estimate(queue: Any) -> Estimate | None:
    """For whoever comes next to a queue from `with_line` and `with_places`."""
    if queue.waiting < queue.free_places:
        return None
    return table_of(getattr(queue, "wait_table", None)).estimate(queue.waiting, queue.places)


def open_callbacks_by_queue() -> dict[int, int]:
    """How many customers wait to be called or written to (queue id → number)."""
    rows = Callback.objects.open().order_by().values("conversation__item__queue")
    return dict(rows.annotate(n=Count("id")).values_list("conversation__item__queue", "n"))


@dataclasses.dataclass(frozen=True, slots=True)
class Quality:
    """How good a queue's announcements have been so far."""

    queue: Queue
    error: Error


def qualities(queues: QuerySet[Queue]) -> Iterable[Quality]:
    """Of all queues that have learned from a wait; one query."""
    for queue in queues.filter(wait_table__isnull=False).select_related("wait_table").order_by("id"):
        error = table_of(queue.wait_table).error
        if error.count:
            yield Quality(queue, error)
