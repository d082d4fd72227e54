"""Which queues take contacts now: open by their calendar, somebody is there, and not full. Questions only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import Prefetch, QuerySet
from django.utils.translation import get_language
from holidays import country_holidays, list_localized_countries

from . import hours, staffing
from .choices import Otherwise
from .models import Calendar, CalendarDay, Item, Queue
from .models.hours import WEEKDAYS

# So far ahead customers are told when somebody is there.
# Today's weekday once more, with all its hours: today may have none left.
TOLD = timedelta(days=8)


class HoursNow(NamedTuple):
    """The queues at which nobody is rung, and until when that holds (None: for good)."""

    closed: frozenset[int] = frozenset()
    until: datetime | None = None


def hours_now(*, now: datetime) -> HoursNow:
    """For the router, which leaves the lines of closed queues alone. Three queries at most."""
    rows = Queue.objects.exclude(calendar=None).order_by().values_list("id", "calendar_id")
    if not (calendars := dict(rows)):
        return HoursNow()
    states = {
        row.pk: hours.is_open(hours_of(row), at=now)
        for row in _with_days(Calendar.objects.filter(pk__in=set(calendars.values())))
    }
    closed = frozenset(queue for queue, calendar in calendars.items() if not states[calendar])
    changes = [state.until for state in states.values() if state.until is not None]
    return HoursNow(closed, min(changes, default=None))


def closed_queues(*, now: datetime) -> frozenset[int]:
    return hours_now(now=now).closed


def _with_days(calendars: QuerySet[Calendar]) -> QuerySet[Calendar]:
    return calendars.prefetch_related(Prefetch("days", CalendarDay.objects.order_by("date")))


def hours_of(row: Calendar) -> hours.Hours:
    """The hours of a stored calendar, in the language of the moment: it names the holidays."""
    days = {day.date: hours.SpecialDay(day.name, hours.read_ranges(day.ranges)) for day in row.days.all()}
    return hours_from({name: getattr(row, name) for name in FIELDS}, days)


FIELDS = (*WEEKDAYS, "zone", "country", "subdivision")


def hours_from(values: dict[str, Any], days: dict[Any, hours.SpecialDay]) -> hours.Hours:
    """Of what a calendar's fields say. ValueError for ranges that cannot be read."""
    country, subdivision = values["country"] or "", values["subdivision"] or ""
    return hours.Hours(
        week=tuple(hours.read_ranges(values[name] or "") for name in WEEKDAYS),
        zone=values["zone"],
        special_days=days,
        country=country,
        subdivision=subdivision,
        holidays=_holidays(country, subdivision, get_language() or ""),
    )


@lru_cache(maxsize=64)
def _holidays(country: str, subdivision: str, language: str) -> Any:
    """An object of the library fills itself year by year; what it does not know is left to `hours.check`."""
    if not country:
        return {}
    try:
        return country_holidays(country, subdiv=subdivision or None, language=_language_of(country, language))
    except NotImplementedError:
        return {}


def _language_of(country: str, language: str) -> str | None:
    """One that the library has for this country: the wanted one, else English, else the country's own."""
    known = list_localized_countries().get(country, [])
    wanted = language[:2].lower()
    return next((name for name in known if name[:2].lower() in {wanted}), None) or next(
        (name for name in known if name.startswith("en")), None
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """How a queue stands for whoever comes now. `opens_at` is None while it is open, or when it never opens."""

    queue: Queue
    is_open: bool = True
    # Somebody is signed in who may take something from it, now or later.
    is_staffed: bool = True
    is_full: bool = False
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    # The special day or holiday that keeps it closed.
    because: str = ""
    openings: tuple[tuple[datetime, datetime], ...] = ()

    @property
    def takes(self) -> bool:
        return self.queue.is_active and self.otherwise is None

    @property
    def otherwise(self) -> Otherwise | None:
        """What the queue does instead of taking somebody; None while it takes him."""
        if not self.is_open:
            return Otherwise(self.queue.when_closed)
        if self.is_full:
            return Otherwise(self.queue.when_full)
        return None if self.is_staffed else Otherwise(self.queue.when_unstaffed)

    @property
    def offers_callback(self) -> bool:
        return self.otherwise == Otherwise.CALLBACK


def standing(queue: Queue, *, now: datetime) -> Standing:
    """Of one queue: five queries at most."""
    is_full, is_staffed = _is_full(queue, now=now), staffing.is_staffed(queue, now=now)
    if (plan := calendar_of(queue)) is None:
        return Standing(queue, is_staffed=is_staffed, is_full=is_full)
    state = hours.is_open(plan, at=now)
    return Standing(
        queue,
        is_open=bool(state),
        is_staffed=is_staffed,
        is_full=is_full,
        opens_at=None if state else state.until,
        closes_at=state.until if state else None,
        because="" if isinstance(state, hours.Open) else state.name,
        openings=tuple(hours.openings(plan, after=now, until=now + TOLD)),
    )


def calendar_of(queue: Queue) -> hours.Hours | None:
    """Its opening hours; None when it is always open."""
    if queue.calendar_id is None:
        return None
    return hours_of(_with_days(Calendar.objects.filter(pk=queue.calendar_id)).get())


def _is_full(queue: Queue, *, now: datetime) -> bool:
    line = Item.objects.in_line().filter(queue=queue)
    if (most := queue.most_waiting) is not None and line.order_by()[:most].count() >= most:
        return True
    if (longest := queue.longest_wait_seconds) is None:
        return False
    # Whoever left a message does not wait at the screen, and says nothing about how long others will.
    at_the_screen = line.filter(conversation__is_left_message=False)
    return longest == 0 or at_the_screen.filter(at__lte=now - timedelta(seconds=longest)).exists()


def standing_for(item: Item, *, now: datetime) -> Standing:
    """How its queue stands for somebody who waits there already: full is what it was before he came, and for him."""
    found = standing(item.queue, now=now)
    longest = item.queue.longest_wait_seconds
    waits_too_long = longest is not None and item.at <= now - timedelta(seconds=longest)
    return dataclasses.replace(found, is_full=found.is_full or waits_too_long)


def overflow_path(queue: Queue) -> Iterator[Queue]:
    """The queues its overflow leads to, nearest first. `policies` lets no loop in; one that came otherwise ends it."""
    seen = {queue.pk}
    following = queue.overflow_to
    while following is not None and following.pk not in seen:
        seen.add(following.pk)
        yield following
        following = following.overflow_to


def entrance(queue: Queue, *, now: datetime) -> Queue:
    """Where who comes now waits: the first queue on the overflow path that takes him, else the queue itself."""
    current = standing(queue, now=now)
    for following in overflow_path(queue):
        if current.otherwise != Otherwise.OVERFLOW:
            break
        current = standing(following, now=now)
        if current.takes:
            return following
    return queue
