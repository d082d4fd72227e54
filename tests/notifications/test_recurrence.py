"""Rules of reminders by the wall clock, over nights on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.notifications import recurrence
from apps.notifications.recurrence import RuleWrong, later_than, occurrences, walls

pytestmark = pytest.mark.embedded

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")
START = datetime(2026, 3, 1, 9, 0)  # noqa: DTZ001  a wall time


def local(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001  a wall time


@pytest.mark.parametrize("name", ZONES)
def test_b36_every_day_at_half_past_two_is_365_times_a_year_each_once(name: str) -> None:
    zone = ZoneInfo(name)
    year = list(occurrences("FREQ=DAILY;COUNT=365", start=local(2026, 1, 1, 2, 30), zone=zone))
    moments = [one.at for one in year]
    assert len(moments) == 365
    assert moments == sorted(set(moments))
    for one in year:
        shown = one.at.astimezone(zone).replace(tzinfo=None)
        # As planned, or in the first minute after a time that does not exist.
        assert shown == one.wall or not recurrence.exists(one.wall, zone=zone)
        assert shown - one.wall < timedelta(hours=1)


def test_b33_a_time_that_does_not_exist_goes_to_the_next_minute_that_does() -> None:
    (one,) = occurrences("", start=local(2026, 3, 29, 2, 30), zone=BERLIN)
    assert one.at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert one.at.astimezone(BERLIN).time() == time(3, 0)


def test_b34_a_time_that_exists_twice_goes_out_once_the_first_unless_said_otherwise() -> None:
    wall = local(2026, 10, 25, 2, 30)
    assert recurrence.is_ambiguous(wall, zone=BERLIN)
    assert [one.at.hour for one in occurrences("", start=wall, zone=BERLIN)] == [0]
    assert [one.at.hour for one in occurrences("", start=wall, zone=BERLIN, fold=1)] == [1]


def test_the_wall_clock_is_kept_when_the_clocks_change() -> None:
    found = occurrences("FREQ=WEEKLY;COUNT=6", start=START, zone=BERLIN)
    assert {one.at.astimezone(BERLIN).time() for one in found} == {time(9, 0)}


def test_the_next_one_is_strictly_later() -> None:
    daily = list(islice(occurrences("FREQ=DAILY", start=START, zone=BERLIN), 3))
    assert [one.slot for one in later_than(daily[0].at, daily)] == ["2026-03-02T09:00", "2026-03-03T09:00"]
    assert list(later_than(daily[0].at - timedelta(seconds=1), [daily[0], daily[0]])) == [daily[0]]


def test_a_rule_ends_where_it_says() -> None:
    assert len(list(walls("FREQ=DAILY;COUNT=3", start=START))) == 3
    assert len(list(walls("FREQ=DAILY;UNTIL=20260303", start=START))) == 3
    assert len(list(walls("RRULE:FREQ=DAILY;UNTIL=20260302T090000Z", start=START))) == 2
    assert len(list(walls("", start=START))) == 1


def test_a_rule_without_an_end_is_planned_for_ten_years() -> None:
    years = list(walls("FREQ=YEARLY", start=START))
    assert len(years) == 11


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("every day", "malformed"),
        ("FREQ", "malformed"),
        ("FREQ=DAILY;FREQ=DAILY", "malformed"),
        ("FREQ=DAILY;BYDAY=XX", "malformed"),
        ("FREQ=DAILY;BYHOUR=1,2", "part"),
        ("FREQ=MINUTELY", "frequency"),
        ("FREQ=SECONDLY", "frequency"),
        ("INTERVAL=2", "frequency"),
        ("FREQ=DAILY;INTERVAL=0", "number"),
        ("FREQ=DAILY;COUNT=99999999", "number"),
        ("FREQ=DAILY;INTERVAL=-1", "number"),
        ("FREQ=DAILY;UNTIL=tomorrow", "until"),
        ("FREQ=DAILY;UNTIL=20200101", "never"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never"),
        ("FREQ=DAILY\nDTSTART:20260101", "malformed"),
        ("FREQ=DAILY;" + "X" * 400, "malformed"),
    ],
)
def test_b32_what_is_no_rule_is_said(rule: str, code: str) -> None:
    with pytest.raises(RuleWrong, match=f"^{code}$"):
        recurrence.check(rule, start=START)


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        recurrence.check(f"FREQ=DAILY;{text}", start=START)
    except RuleWrong:
        return


@given(
    days=st.integers(0, 3000),
    minutes=st.integers(0, 1439),
    zone=st.sampled_from(ZONES),
    rule=st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,WE,SU", "FREQ=MONTHLY;BYMONTHDAY=-1"]),
)
def test_occurrences_never_go_back_and_never_come_early(
    days: int, minutes: int, zone: str, rule: str
) -> None:
    start = START + timedelta(days=days, minutes=minutes - 540)
    found = list(occurrences(f"{rule};COUNT=40", start=start, zone=ZoneInfo(zone)))
    assert all(a.at < b.at for a, b in pairwise(found))
    for one in found:
        assert one.at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) >= one.wall
