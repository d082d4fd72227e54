"""A day in somebody's time zone, cut into hours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Day:
    """From midnight to midnight of the zone; `hours` are the beginnings of its 23, 24 or 25 hours."""

    start: datetime
    end: datetime
    hours: tuple[datetime, ...]


def day_of(moment: datetime, zone: ZoneInfo) -> Day:
    today = moment.astimezone(zone).date()
    start, end = (_midnight(today + timedelta(days=n), zone) for n in (0, 1))
    # Hours are counted on the universal clock, where none is skipped and none comes twice.
    count = -((start - end) // HOUR)
    return Day(start, end, tuple((start + n * HOUR).astimezone(zone) for n in range(count)))


def _midnight(date: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(date, time.min, tzinfo=zone).astimezone(UTC)
