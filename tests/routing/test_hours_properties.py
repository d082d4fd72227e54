"""Opening hours against brute force: every minute of a few days is looked at, in years with odd clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.routing.hours import Hours, Range, SpecialDay, is_open, open_seconds, openings

pytestmark = pytest.mark.embedded

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
YEARS = [
    ("Europe/Berlin", 2026),
    ("America/New_York", 2026),
    ("Asia/Kathmandu", 1986),  # begins with a quarter of an hour that does not exist
    ("Australia/Lord_Howe", 2026),  # half an hour
    ("Pacific/Apia", 2011),  # without 30 December
]
moderate = settings(max_examples=15, deadline=None)


class Clock:
    """The minutes of five days and what the clock on the wall showed at each."""

    def __init__(self, zone: str, middle: date) -> None:
        start = datetime(middle.year, middle.month, middle.day, tzinfo=UTC) - 2 * DAY
        self.minutes = [start + number * MINUTE for number in range(5 * 1440)]
        self.walls = [minute.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for minute in self.minutes]
        # Those shown from beginning to end, though the clock may have jumped over some of it.
        self.days = sorted({wall.date() for wall in self.walls})[1:-1]
        self._last = {wall: number for number, wall in enumerate(self.walls)}
        self._first = {wall: number for number, wall in reversed(list(enumerate(self.walls)))}

    def first(self, wall: datetime) -> int:
        return self._first.get(wall) or self._next(wall)

    def last(self, wall: datetime) -> int:
        return self._last.get(wall) or self._next(wall)

    def _next(self, wall: datetime) -> int:
        return next(number for number, other in enumerate(self.walls) if other > wall)


clock = cache(Clock)


@cache
def changes(zone: str, year: int) -> list[datetime]:
    """The hours in which the clocks changed, from the day before the year on."""
    start = datetime(year - 1, 12, 31, tzinfo=UTC)
    hours = [start + timedelta(hours=number) for number in range(367 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hours[i] for i, (before, after) in enumerate(pairwise(offsets)) if before != after]


def open_minutes(hours: Hours, shown: Clock) -> list[bool]:
    """Whether each minute is open, by the letter of the rule."""
    minutes = [False] * len(shown.minutes)
    for day in shown.days:
        special = hours.special_days.get(day)
        ranges = special.ranges if special else () if day in hours.holidays else hours.week[day.weekday()]
        for part in ranges:
            midnight = datetime.combine(day, time())
            first = shown.first(midnight + part.opens * MINUTE)
            last = shown.last(midnight + part.closes * MINUTE)
            minutes[first:last] = [True] * max(0, last - first)
    return minutes


def ranges() -> st.SearchStrategy[tuple[Range, ...]]:
    """Up to three a day that may touch but not overlap; often in the hours in which clocks change."""
    times = st.one_of(st.integers(0, 1440), st.integers(0, 16).map(lambda n: n * 15), st.just(1440))
    bounds = st.lists(times, max_size=6).map(sorted)
    return bounds.map(
        lambda b: tuple(Range(o, c) for o, c in zip(b[::2], b[1::2], strict=False) if o < c),
    )


@st.composite
def cases(draw, zone: str, year: int) -> tuple[Hours, Clock]:
    ordinary = st.integers(1, 12).map(lambda month: date(year, month, 15))
    odd = [change.date() for change in changes(zone, year)]
    middle = draw(ordinary | st.sampled_from(odd) if odd else ordinary)
    near = st.integers(-1, 1).map(lambda number: middle + number * DAY)
    special = st.builds(SpecialDay, st.just("Special"), ranges())
    hours = Hours(
        tuple(draw(st.lists(ranges(), min_size=7, max_size=7))),
        zone,
        special_days=draw(st.dictionaries(near, special, max_size=1)),
        holidays=draw(st.dictionaries(near, st.just("Holiday"), max_size=1)),
    )
    return hours, clock(zone, middle)


@cache
def inner(shown: Clock) -> tuple[int, int]:
    """From the second whole day to the end of the last: what was open before it is known."""
    dates = [wall.date() for wall in shown.walls]
    return dates.index(shown.days[1]), dates.index(dates[-1]) - 1


def turns(minutes: list[bool]) -> list[int]:
    """The minutes just before and just after something opens or closes."""
    return [n for i, (now, then) in enumerate(pairwise(minutes)) if now != then for n in (i, i + 1)]


each_year = pytest.mark.parametrize(("zone", "year"), YEARS)


@each_year
@moderate
@given(st.data())
def test_each_minute_is_open_or_closed_as_brute_force_says(zone, year, data):
    hours, shown = data.draw(cases(zone, year))
    expected = open_minutes(hours, shown)
    first, last = inner(shown)
    for i in [*range(first, last, 293), *(i for i in turns(expected) if first <= i < last)]:
        assert bool(is_open(hours, at=shown.minutes[i])) is expected[i], shown.walls[i]


@each_year
@moderate
@given(st.data())
def test_until_the_next_opening_and_closing_nothing_changes(zone, year, data):
    hours, shown = data.draw(cases(zone, year))
    expected = open_minutes(hours, shown)
    first, last = inner(shown)
    i = data.draw(st.integers(first, last - 1))
    later = range(i + 1, last)
    opening = next((k for k in later if expected[k] and not expected[k - 1]), None)
    closing = next((k for k in later if not expected[k] and expected[k - 1]), None)
    answer, index = is_open(hours, at=shown.minutes[i]).until, closing if expected[i] else opening
    if index is not None:
        assert answer == shown.minutes[index]
    else:
        assert answer is None or answer >= shown.minutes[last]


@each_year
@moderate
@given(st.data())
def test_open_seconds_are_the_open_minutes(zone, year, data):
    hours, shown = data.draw(cases(zone, year))
    expected = open_minutes(hours, shown)
    first, last = inner(shown)
    start = data.draw(st.integers(first, last))
    end = data.draw(st.integers(start, last))
    seconds = open_seconds(hours, start=shown.minutes[start], end=shown.minutes[end])
    assert seconds == 60 * sum(expected[start:end])


@pytest.mark.parametrize(
    ("zone", "year", "days", "elsewhen"),
    [
        ("Europe/Berlin", 2026, 365, {"2026-03-29T03:00"}),
        ("America/New_York", 2026, 365, {"2026-03-08T03:00"}),
        ("Asia/Kathmandu", 1986, 365, set()),
        ("Australia/Lord_Howe", 2026, 365, set()),
        ("Pacific/Apia", 2011, 364, set()),
    ],
)
def test_daily_hours_open_once_on_every_day_of_the_year(zone, year, days, elsewhen):
    local = ZoneInfo(zone)
    daily = Hours(((Range.parse("02:30-03:30"),),) * 7, zone)
    first, last = datetime(year, 1, 1, tzinfo=local), datetime(year + 1, 1, 1, tzinfo=local)
    opened = [
        opens.astimezone(local).strftime("%Y-%m-%dT%H:%M")
        for opens, _ in openings(daily, after=first, until=last)
    ]
    assert len({moment[:10] for moment in opened}) == len(opened) == days
    assert {moment for moment in opened if not moment.endswith("T02:30")} == elsewhen
