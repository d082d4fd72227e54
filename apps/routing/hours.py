"""When a queue is open: weekly ranges in local wall time, special days, public holidays. Pure.

What applies to a day: its special day if it has one, else a public holiday closes it, else the weekday decides.

Wall times meet the change of clocks by one rule: a time that does not exist is the next minute that does; of a
time that exists twice, opening takes the first and closing the last. What is returned is in UTC, because the
difference of two local times is wrong across a change of clocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from holidays import list_supported_countries

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
MIDNIGHT = 24 * 60  # the end of a day, as minutes since its beginning
HORIZON = timedelta(
    days=400
)  # an opening or closing later than this is "never": more than a year of holidays

Translate = Callable[[str], str]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Open from the first minute of ``opens`` until ``closes``, in minutes since midnight. 24:00 is 1440."""

    opens: int
    closes: int

    @classmethod
    def parse(cls, text: str) -> Range:
        """``08:00-12:30``; the end may be 24:00. Whether it makes sense is for `check` to say."""
        found = re.fullmatch(r"([0-9]{1,2}):([0-5][0-9])\s*[-–]\s*([0-9]{1,2}):([0-5][0-9])", text.strip())
        if found is None:
            raise ValueError("A range is written 08:00-12:30.")
        from_hour, from_minute, to_hour, to_minute = map(int, found.groups())
        return cls(from_hour * 60 + from_minute, to_hour * 60 + to_minute)

    def __str__(self) -> str:
        return f"{clock(self.opens)}–{clock(self.closes)}"


Ranges = tuple[Range, ...]
ALL_DAY: Ranges = (Range(0, MIDNIGHT),)


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """A date with hours of its own; without ranges it is closed. The name is what customers read."""

    name: str
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Hours:
    """``holidays`` names the public holidays of the country by date; an object of that library will do."""

    week: tuple[tuple[Range, ...], ...]  # Monday first
    zone: str = "UTC"
    special_days: Mapping[date, SpecialDay] = field(default_factory=dict)
    country: str = ""  # whose public holidays close, as an ISO 3166 code; empty: none do
    subdivision: str = ""
    holidays: Mapping[date, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.week) != 7:
            raise ValueError("A week has seven days.")


class Reason(StrEnum):
    OUTSIDE_HOURS = "outside_hours"
    SPECIAL_DAY = "special_day"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class Open:
    until: datetime | None  # None: it does not close

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Closed:
    reason: Reason
    until: datetime | None  # None: it does not open again
    name: str = ""  # of the special day or the holiday

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Plan:
    """What applies to one day, and why."""

    ranges: tuple[Range, ...]
    reason: Reason = Reason.OUTSIDE_HOURS
    name: str = ""


def read_ranges(text: str) -> tuple[Range, ...]:
    """`08:00-12:30, 13:30-18:00`; nothing is no range. ValueError for what cannot be read."""
    return tuple(Range.parse(part) for part in re.split(r"[,;]", text) if part.strip())


def plan_for(hours: Hours, *, day: date) -> Plan:
    if special := hours.special_days.get(day):
        return Plan(special.ranges, Reason.SPECIAL_DAY, special.name)
    if name := hours.holidays.get(day):
        return Plan((), Reason.HOLIDAY, name)
    return Plan(hours.week[day.weekday()])


def is_open(hours: Hours, *, at: datetime) -> Open | Closed:
    """True or false as it is open or closed, with the time at which that changes."""
    opens, closes = next(_openings_ahead(hours, at), (None, None))
    if opens and opens <= at:
        return Open(until=closes)
    plan = plan_for(hours, day=_local_day(hours, at))
    return Closed(plan.reason, until=opens, name=plan.name)


def openings(hours: Hours, *, after: datetime, until: datetime) -> list[Span]:
    """(opens, closes) of whatever is open between the two times, cut off at both."""
    found = []
    for opens, closes in _openings_ahead(hours, after):
        if opens >= until:
            break
        found.append((max(opens, after), min(closes, until) if closes else until))
    return found


def time_after(hours: Hours, *, start: datetime, seconds: float) -> datetime | None:
    """When so many open seconds have passed since the start; None if it never opens for so long."""
    left = timedelta(seconds=seconds)
    for opens, closes in _openings_ahead(hours, start):
        begins = max(opens, start)
        if closes is None or closes - begins >= left:
            return begins + left
        left -= closes - begins
    return None


def open_seconds(hours: Hours, *, start: datetime, end: datetime) -> float:
    """How much of the time from start to end was inside the hours."""
    days = _days(_local_day(hours, start) - DAY, _local_day(hours, end))
    shared = (min(closes, end) - max(opens, start) for opens, closes in _openings(hours, days))
    return sum((overlap for overlap in shared if overlap > timedelta()), timedelta()).total_seconds()


def _openings_ahead(hours: Hours, at: datetime) -> Iterator[tuple[datetime, datetime | None]]:
    """(opens, closes) of what is open at this time or opens later; None for an end past the horizon."""
    today = _local_day(hours, at)
    midnight = datetime.combine(today + HORIZON + DAY, time())
    horizon = _instant(ZoneInfo(hours.zone), midnight, last=True)
    # Yesterday's 24:00 may still lie ahead: where clocks go back at midnight, it exists twice.
    for opens, closes in _openings(hours, _days(today - DAY, today + HORIZON)):
        if closes > at:
            yield opens, closes if closes < horizon else None


def _openings(hours: Hours, days: Iterable[date]) -> Iterator[Span]:
    """(opens, closes) in order. After the clocks went back, ranges with a gap between them can overlap."""
    zone = ZoneInfo(hours.zone)
    instants = (
        (_instant(zone, opens, last=False), _instant(zone, closes, last=True))
        for opens, closes in _joined(_walls(hours, days))
    )
    return _joined((opens, closes) for opens, closes in instants if opens < closes)


def _walls(hours: Hours, days: Iterable[date]) -> Iterator[Span]:
    for day in days:
        midnight = datetime.combine(day, time())
        for part in sorted(plan_for(hours, day=day).ranges):
            if part.opens < part.closes:
                yield midnight + part.opens * MINUTE, midnight + part.closes * MINUTE


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Spans in order of their beginning; those that touch or overlap become one."""
    current: Span | None = None
    for opens, closes in spans:
        if current and opens <= current[1]:
            current = current[0], max(current[1], closes)
            continue
        if current:
            yield current
        current = opens, closes
    if current:
        yield current


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _instant(zone: ZoneInfo, wall: datetime, *, last: bool) -> datetime:
    while True:
        instant = wall.replace(tzinfo=zone, fold=int(last)).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) == wall:
            return instant
        wall += MINUTE  # the clocks jumped over this time


def _local_day(hours: Hours, at: datetime) -> date:
    if at.tzinfo is None:
        raise ValueError("A time without a zone says nothing about when it is.")
    return at.astimezone(ZoneInfo(hours.zone)).date()


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def in_words(hours: Hours) -> dict[str, Any]:
    """What a page says about the hours, for any language: equal weekdays together, ISO numbers, times as text.

    Monday to Friday and Sunday alike: ``{"days": [[1, 5], [7, 7]], "ranges": [["08:00", "18:00"]]}``.
    """
    alike: dict[tuple[Range, ...], list[list[int]]] = {}
    for number, ranges in enumerate(hours.week, start=1):
        runs = alike.setdefault(tuple(sorted(ranges)), [])
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return {
        "zone": hours.zone,
        "week": [{"days": runs, "ranges": _as_text(ranges)} for ranges, runs in alike.items()],
        "special_days": [
            {"date": day.isoformat(), "name": special.name, "ranges": _as_text(special.ranges)}
            for day, special in sorted(hours.special_days.items())
        ],
        "holidays_of": "-".join(filter(None, [hours.country, hours.subdivision])),
    }


def _as_text(ranges: Iterable[Range]) -> list[list[str]]:
    return [[clock(part.opens), clock(part.closes)] for part in sorted(ranges)]


def check(hours: Hours, *, gettext: Translate = str) -> list[str]:
    """What is wrong, in sentences for a supervisor. Nothing: the hours can be used."""
    wrong = [*_check_zone(hours, gettext), *_check_country(hours, gettext)]
    for weekday, ranges in zip(_weekdays(gettext), hours.week, strict=True):
        wrong += _check_ranges(weekday, ranges, gettext)
    for day, special in sorted(hours.special_days.items()):
        if not special.name.strip():
            wrong.append(gettext("%(day)s has no name. Customers read it as the reason.") % {"day": day})
        wrong += _check_ranges(f"{day} {special.name}".strip(), special.ranges, gettext)
    if not any(hours.week) and not any(special.ranges for special in hours.special_days.values()):
        wrong.append(gettext("No day has opening hours, so the queue would never open."))
    return wrong


def _check_zone(hours: Hours, gettext: Translate) -> Iterator[str]:
    if hours.zone not in _zones():
        sentence = gettext("“%(zone)s” is not a time zone. Choose one such as Europe/Berlin.")
        yield sentence % {"zone": _short(hours.zone)}


def _check_country(hours: Hours, gettext: Translate) -> Iterator[str]:
    country, subdivision = _short(hours.country), _short(hours.subdivision)
    if not hours.country:
        if hours.subdivision:
            sentence = gettext("Choose the country of the region “%(subdivision)s” too.")
            yield sentence % {"subdivision": subdivision}
        return
    subdivisions = list_supported_countries().get(hours.country)
    if subdivisions is None:
        sentence = gettext(
            "No public holidays are known for the country “%(country)s”. Choose one such as DE."
        )
        yield sentence % {"country": country}
    elif hours.subdivision and hours.subdivision not in subdivisions:
        sentence = gettext("%(country)s has no region “%(subdivision)s”. Its regions are: %(known)s.")
        yield sentence % {
            "country": country,
            "subdivision": subdivision,
            "known": ", ".join(subdivisions) or "–",
        }


def _check_ranges(day: str, ranges: Iterable[Range], gettext: Translate) -> Iterator[str]:
    sensible = []
    for part in sorted(ranges):
        if sentence := _misfit(part, gettext):
            yield sentence % {"day": day, "range": part, "from": clock(part.opens), "to": clock(part.closes)}
        else:
            sensible.append(part)
    for earlier, later in pairwise(sensible):
        if later.opens < earlier.closes:
            sentence = gettext("%(day)s: %(earlier)s and %(later)s overlap.")
            yield sentence % {"day": day, "earlier": earlier, "later": later}


def _misfit(part: Range, gettext: Translate) -> str:
    if not (0 <= part.opens < MIDNIGHT and 0 <= part.closes <= MIDNIGHT):
        return gettext("%(day)s: %(range)s is outside the day. A day lasts from 00:00 to 24:00.")
    if part.opens == part.closes:
        return gettext("%(day)s: %(range)s is empty. The whole day is 00:00–24:00.")
    if part.opens > part.closes:
        return gettext(
            "%(day)s: %(range)s ends before it begins. Across midnight takes two ranges: "
            "%(from)s–24:00, and 00:00–%(to)s on the next day."
        )
    return ""


def _weekdays(gettext: Translate) -> list[str]:
    return [
        gettext("Monday"),
        gettext("Tuesday"),
        gettext("Wednesday"),
        gettext("Thursday"),
        gettext("Friday"),
        gettext("Saturday"),
        gettext("Sunday"),
    ]


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"


def zones() -> list[str]:
    """The names of all time zones, in order."""
    return sorted(_zones())


@cache  # asking the disk takes a tenth of a second
def _zones() -> frozenset[str]:
    """Without the names that stand for no place, or for wherever the server happens to be."""
    return frozenset(available_timezones()) - {"Factory", "localtime"}
