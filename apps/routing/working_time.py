"""An agent's time as sums of presence intervals, in whole seconds that add up. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from .choices import State

SECOND = timedelta(seconds=1)


class Interval(NamedTuple):
    """One state, until `ended_at`; None while it lasts."""

    state: str
    reason: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def seconds(self) -> int:
        """Of one that has ended. Each end is cut to the second on the universal clock, so that parts add up exactly."""
        assert self.ended_at is not None
        return _second(self.ended_at) - _second(self.started_at)


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """Seconds in each state. Staffed is every second between signing in and out, whatever he did."""

    by_state: dict[str, int] = field(default_factory=dict)
    # Of the time not ready.
    by_reason: dict[str, int] = field(default_factory=dict)

    def of(self, state: State) -> int:
        return self.by_state.get(state, 0)

    @property
    def staffed(self) -> int:
        return sum(seconds for state, seconds in self.by_state.items() if state != State.SIGNED_OUT)

    @property
    def occupancy(self) -> float | None:
        """On contact ÷ (on contact + available); None when he was neither."""
        at_work = self.of(State.ON_CONTACT) + self.of(State.AVAILABLE)
        return self.of(State.ON_CONTACT) / at_work if at_work else None


def total(intervals: Iterable[Interval], *, start: datetime, end: datetime) -> WorkingTime:
    """What of these intervals lies between two moments; `end` cuts off what still lasts."""
    by_state: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    for interval in intervals:
        since = max(interval.started_at, start)
        seconds = interval._replace(started_at=since, ended_at=min(interval.ended_at or end, end)).seconds
        if seconds <= 0:
            continue
        by_state[interval.state] = by_state.get(interval.state, 0) + seconds
        if interval.state == State.NOT_READY:
            by_reason[interval.reason] = by_reason.get(interval.reason, 0) + seconds
    return WorkingTime(by_state, dict(sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))))


def _second(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // SECOND


def midnights(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """From midnight to midnight on the clock of this zone: 23, 24 or 25 hours."""
    start, end = (datetime.combine(day + timedelta(days=n), time.min, tzinfo=zone) for n in (0, 1))
    return start.astimezone(UTC), end.astimezone(UTC)


def read_day(text: str) -> date | None:
    """`2026-11-26`, and nothing else; only years that every clock knows a midnight of."""
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
    return day if day and 1970 <= day.year < 9999 else None


def clock_face(seconds: int) -> str:
    """7:05:09"""
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
