"""What is going to happen, from what the log says happened: arrivals with their patience, and agents with their hours.

The log knows how long an abandoned call was patient, but of an answered one only that it would have waited longer. Its
patience is drawn from the Kaplan–Meier estimate of all calls, given that it is longer. Pure but for the seed.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import log
from .log import Call

# For a log in which nobody ever had to hurry.
USUAL_GAP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as it is played. Seconds of the log; `service` is how long it takes if it is answered."""

    at: int
    queue: str
    is_credited: bool
    patience: float
    service: int


@dataclass(frozen=True, slots=True)
class Shift:
    """An agent of the log: which queues he serves, and when he is there."""

    agent: str
    queues: frozenset[str]
    hours: tuple[tuple[int, int], ...]

    @property
    def seconds(self) -> int:
        return sum(end - start for start, end in self.hours)


@dataclass(frozen=True, slots=True)
class Plan:
    arrivals: list[Arrival]
    shifts: list[Shift]
    gaps: list[int]
    seed: int

    @property
    def begins_at(self) -> int:
        return min([self.arrivals[0].at, *(shift.hours[0][0] for shift in self.shifts)])


def make(calls: list[Call], *, gaps: list[int], seed: int) -> Plan:
    """The plan for these calls of one day; `gaps` are those of the whole log."""
    chance = random.Random(seed)
    patience, services = Patience(calls), _services_by_queue(calls)
    arrivals = [
        Arrival(
            call.at,
            call.queue,
            call.is_credited,
            patience.of(call, chance),
            call.service if call.service is not None else chance.choice(services[call.queue]),
        )
        for call in calls
    ]
    return Plan(arrivals, shifts(calls), gaps or [USUAL_GAP_SECONDS], seed)


def _services_by_queue(calls: Iterable[Call]) -> Mapping[str, Sequence[int]]:
    """What a call would have taken of which that is not known: as long as others of its kind."""
    known = [call for call in calls if call.service is not None]
    found: dict[str, list[int]] = defaultdict(lambda: [call.service or 0 for call in known] or [0])
    for queue in {call.queue for call in known}:
        found[queue] = [call.service or 0 for call in known if call.queue == queue]
    return found


def shifts(calls: Iterable[Call]) -> list[Shift]:
    """An agent is there from his first call to his last, but for breaks; he serves what he served that day."""
    calls = list(calls)
    in_vain = [call.at for call in calls if call.wait >= log.WAITS_IN_VAIN_SECONDS]
    served = defaultdict(set)
    for call in calls:
        served[call.agent].add(call.queue)
    return [
        Shift(agent, frozenset(served[agent]), tuple(_hours(spans, in_vain)))
        for agent, spans in log.services_of(calls).items()
    ]


def _hours(spans: list[tuple[int, int]], in_vain: list[int]) -> Iterable[tuple[int, int]]:
    """`in_vain`: when somebody came who then waited. Whoever was there and free would have taken him."""
    begin, end = spans[0]
    for start, stop in spans[1:]:
        if start - end > log.LONGEST_GAP_SECONDS and any(end < at < start for at in in_vain):
            yield begin, end
            begin = start
        end = max(end, stop)
    yield begin, end


class Patience:
    """The Kaplan–Meier estimate: `_left[n]` of all are still patient at `_times[n]`."""

    def __init__(self, calls: Iterable[Call]) -> None:
        calls = list(calls)
        gone = Counter(call.wait for call in calls if not call.is_answered)
        waits = sorted(call.wait for call in calls)
        self._times = sorted(gone)
        self._left: list[float] = []
        still, left = len(waits), 1.0
        for seconds in self._times:
            still = len(waits) - bisect_right(waits, seconds - 1)
            left *= 1 - gone[seconds] / still
            self._left.append(left)
        self._longest = float(waits[-1]) if waits else 0.0

    def of(self, call: Call, chance: random.Random) -> float:
        """As long as it was, if he hung up; else longer than he waited. The most patient ones wait like the longest."""
        if not call.is_answered:
            return float(call.wait)
        known = bisect_right(self._times, call.wait)
        draw = chance.random() * (self._left[known - 1] if known else 1.0)
        later = (
            seconds
            for seconds, left in zip(self._times[known:], self._left[known:], strict=True)
            if left <= draw
        )
        return float(next(later, max(self._longest, call.wait + 1)))
