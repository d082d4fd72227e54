from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from apps.reports.days import day_of


@pytest.mark.parametrize(
    ("moment", "zone", "start", "hours"),
    [
        (datetime(2026, 3, 10, 15, 30, tzinfo=UTC), "UTC", datetime(2026, 3, 10, tzinfo=UTC), 24),
        (
            datetime(2026, 3, 10, 23, 30, tzinfo=UTC),
            "Europe/Berlin",
            datetime(2026, 3, 10, 23, tzinfo=UTC),
            24,
        ),
        (
            datetime(2026, 3, 29, 12, 0, tzinfo=UTC),
            "Europe/Berlin",
            datetime(2026, 3, 28, 23, tzinfo=UTC),
            23,
        ),
        (
            datetime(2026, 10, 25, 12, 0, tzinfo=UTC),
            "Europe/Berlin",
            datetime(2026, 10, 24, 22, tzinfo=UTC),
            25,
        ),
        (
            datetime(2026, 3, 10, 18, 0, tzinfo=UTC),
            "Asia/Kolkata",
            datetime(2026, 3, 9, 18, 30, tzinfo=UTC),
            24,
        ),
    ],
)
def test_day_of_a_zone(moment: datetime, zone: str, start: datetime, hours: int) -> None:
    day = day_of(moment, ZoneInfo(zone))
    assert (day.start, len(day.hours)) == (start, hours)
    assert day.hours[0] == start
    assert day.end == start + timedelta(hours=hours)


def test_hours_show_the_clocks_of_the_zone() -> None:
    hours = day_of(datetime(2026, 3, 29, 12, tzinfo=UTC), ZoneInfo("Europe/Berlin")).hours
    assert [hour.hour for hour in hours[:4]] == [0, 1, 3, 4]
