"""Whether a gateway is tried at all: after a few failures in a row it rests, each time longer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FAILURES_BEFORE_REST = 3
FIRST_REST = timedelta(seconds=5)
LONGEST_REST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures`: batches in a row that did not reach the provider; nothing is tried before `until`."""

    failures: int = 0
    until: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        return self.until is not None and now < self.until

    @property
    def is_probing(self) -> bool:
        """After a rest a single delivery shows whether it works again."""
        return self.failures >= FAILURES_BEFORE_REST

    def failed(self, *, now: datetime) -> Breaker:
        failures = self.failures + 1
        if failures < FAILURES_BEFORE_REST:
            return Breaker(failures, self.until)
        doubled = min(failures - FAILURES_BEFORE_REST, 16)
        return Breaker(failures, now + min(FIRST_REST * 2**doubled, LONGEST_REST))

    def asked_to_wait(self, seconds: int, *, now: datetime) -> Breaker:
        """The provider named a time: that is no failure, but nothing is tried before."""
        rest = now + min(timedelta(seconds=max(seconds, 1)), LONGEST_REST)
        return Breaker(self.failures, max(rest, self.until or rest))

    def reached(self) -> Breaker:
        return Breaker()
