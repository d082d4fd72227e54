"""How many may go out now, at so many a minute. Pure.

A pace is kept as one moment: until when the tickets are given away. It lies in the database under a row lock, so that
processes together never exceed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

# What was not used is saved up for so long at most.
SAVED = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Pace:
    per_minute: int
    given_until: datetime | None = None

    @property
    def interval(self) -> timedelta:
        return MINUTE / self.per_minute

    def _from(self, now: datetime) -> datetime:
        earliest = now - SAVED
        return earliest if self.given_until is None else max(self.given_until, earliest)

    def allowed(self, now: datetime) -> int:
        """How many at `now`; at a slow pace one at a time."""
        start = self._from(now)
        if self.interval > SAVED:
            return int(self.given_until is None or now >= self.given_until)
        return max(int((now - start) / self.interval), 0)

    def free_at(self, now: datetime) -> datetime:
        """When the next one may go."""
        if self.interval > SAVED:
            return max(self.given_until or now, now)
        return max(self._from(now) + self.interval, now)

    def given(self, count: int, *, now: datetime) -> Pace:
        if not count:
            return self
        start = max(self.given_until or now, now) if self.interval > SAVED else self._from(now)
        return Pace(self.per_minute, start + self.interval * count)
