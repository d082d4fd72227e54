"""How long will it take? A table per queue, from the length of the line found to the wait experienced. Pure.

Each length has an exponentially weighted mean and spread of the waits that customers really had. Until there
are any, a line of n others is n + 1 departures: Σ 1/(agents·μ + i·θ), where agents serve at rate μ each and
each of the i still ahead gives up at rate θ. What the table has learned also scales that formula, so that
lengths seldom seen lie on the curve of those often seen.

What is announced is a range, of round numbers, never the mean alone. How far it reaches to either side
follows its own misses: a tenth of the waits may end before it and a tenth after it.

Observe only customers who had to wait and were answered: those are the ones who are told an estimate.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import accumulate
from math import exp2, isfinite, sqrt
from typing import Any, Self

MINUTE, HOUR, DAY = 60, 3600, 86_400

# What people say. Half a minute is as exact as anybody is about waiting.
ROUND = (
    *(0, 30),
    *(minutes * MINUTE for minutes in (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90)),
    *(hours * HOUR for hours in (2, 3, 4, 6, 8, 12)),
    *(days * DAY for days in (1, 2, 3, 5, 7, 14, 28)),
)
# Lengths from one of these up to the next share a cell; with the last, the table's size and cost are bounded.
LENGTHS = (*range(20), 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300, 400, 500, 600, 800, 1000)

MEMORY = 40  # waits that a cell remembers: enough for a mean, few enough to follow the day
FORGETS_IN = 14 * DAY  # half of what a cell knows is forgotten in this time
TRUST = 2  # how many waits the formula counts for
VARIATION = 0.7  # spread of the formula's waits, as a part of their mean
MISSES = 0.1  # the part of waits that may end before the range, and after it
STEP = 0.05  # how far one miss moves an edge, in spreads
REACH = 6.0  # spreads; an edge is never farther from the mean, nor on its other side
ERROR_MEMORY = 500  # waits over which the table's own error is published


@dataclass(slots=True)
class Cell:
    """Exponentially weighted mean and variance of the waits at one length, and how many they stand for."""

    weight: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    observed_at: int = 0

    def observe(self, waited_seconds: float, *, now: int) -> None:
        self.weight *= exp2(-max(0, now - self.observed_at) / FORGETS_IN)
        self.weight = min(self.weight + 1, MEMORY)
        self.observed_at = max(now, self.observed_at)
        surprise, share = waited_seconds - self.mean, 1 / self.weight
        self.mean += share * surprise
        self.variance = (1 - share) * (self.variance + share * surprise**2)


@dataclass(slots=True)
class Error:
    """How good what was announced has been: the part of waits inside the range, and by how much the mean was off.

    A positive bias promised too long a wait.
    """

    count: int = 0
    coverage: float = 0.0
    bias_seconds: float = 0.0
    mean_square: float = 0.0

    @property
    def rmse_seconds(self) -> float:
        return sqrt(self.mean_square)

    def observe(self, announced: Estimate, waited_seconds: float) -> None:
        self.count += 1
        share = 1 / min(self.count, ERROR_MEMORY)
        off = announced.mean - waited_seconds
        self.coverage += share * (announced.includes(waited_seconds) - self.coverage)
        self.bias_seconds += share * (off - self.bias_seconds)
        self.mean_square += share * (off**2 - self.mean_square)


@dataclass(frozen=True, slots=True)
class Estimate:
    """In seconds. Low and high are what a customer is told; the mean is for measuring how good that was."""

    low: int
    high: int
    mean: float

    def includes(self, waited_seconds: float) -> bool:
        return self.low <= waited_seconds <= self.high


@dataclass(slots=True)
class Table:
    handle_seconds: float = 180.0  # 1/μ: what an agent needs for one contact
    patience_seconds: float = 600.0  # 1/θ: how long customers wait before they give up
    cells: dict[int, Cell] = field(default_factory=dict)  # by the smallest length they stand for
    below: float = 1.0  # how many spreads the range reaches below the mean, and above it
    above: float = 1.4
    error: Error = field(default_factory=Error)

    def __post_init__(self) -> None:
        if not (self.handle_seconds > 0 and self.patience_seconds > 0):
            raise ValueError("Contacts and patience take time.")

    def observe(
        self, length: int, waited_seconds: float, now: int, *, announced: Estimate | None = None
    ) -> None:
        """A customer who found so many waiting was answered; ``announced`` is what he had been told."""
        if not (isfinite(waited_seconds) and waited_seconds >= 0):
            raise ValueError("A wait is a number of seconds.")
        waited_seconds = min(waited_seconds, ROUND[-1])
        if announced:
            self.error.observe(announced, waited_seconds)
            self._widen_or_narrow(announced, waited_seconds)
        self.cells.setdefault(_cell_of(length), Cell()).observe(waited_seconds, now=now)

    def estimate(self, length: int, agents: int) -> Estimate | None:
        """Mean and range never fall with the length of the line; None while there is nobody to answer."""
        if agents <= 0:
            return None
        place = bisect_right(LENGTHS, _cell_of(length)) - 1
        means, spreads = zip(*self._curve(agents), strict=True)
        weights = [self.cells[n].weight if n in self.cells else 0.0 for n in LENGTHS]
        mean, low, high = (
            rising([m + reach * s for m, s in zip(means, spreads, strict=True)], weights)[place]
            for reach in (0.0, -self.below, self.above)
        )
        return Estimate(*rounded(low, high), mean)

    def _curve(self, agents: int) -> Iterator[tuple[float, float]]:
        """Mean and spread at each of `LENGTHS`: what was experienced, and the formula as a few waits more."""
        formula = self._scaled_formula(agents)
        for length, expected in zip(LENGTHS, formula, strict=True):
            cell = self.cells.get(length, _NOTHING_SEEN)
            total = cell.weight + TRUST
            variance = (cell.weight * cell.variance + TRUST * (VARIATION * expected) ** 2) / total
            yield (cell.weight * cell.mean + TRUST * expected) / total, sqrt(variance)

    def _scaled_formula(self, agents: int) -> list[float]:
        """The formula, at the level of the waits experienced."""
        expected = _formula(agents, 1 / self.handle_seconds, 1 / self.patience_seconds)
        pairs = [(cell, expected[LENGTHS.index(length)]) for length, cell in self.cells.items()]
        formula_alone = TRUST * expected[0]
        experienced = sum(cell.weight * cell.mean for cell, _ in pairs) + formula_alone
        scale = experienced / (sum(cell.weight * seconds for cell, seconds in pairs) + formula_alone)
        return [scale * seconds for seconds in expected]

    def _widen_or_narrow(self, announced: Estimate, waited_seconds: float) -> None:
        """An edge stands still when as many waits end outside it as may (adaptive conformal inference)."""
        too_early, too_late = waited_seconds < announced.low, waited_seconds > announced.high
        self.below = _within_reach(self.below + STEP * (too_early - MISSES))
        self.above = _within_reach(self.above + STEP * (too_late - MISSES))

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"cells": {str(length): asdict(cell) for length, cell in self.cells.items()}}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        cells = {int(length): Cell(**cell) for length, cell in stored["cells"].items()}
        return cls(**{**stored, "cells": cells, "error": Error(**stored["error"])})


_NOTHING_SEEN = Cell()


@lru_cache(maxsize=256)
def _formula(agents: int, mu: float, theta: float) -> tuple[float, ...]:
    """Σ 1/(agents·μ + i·θ) over the i from 0 to each of `LENGTHS`."""
    sums = list(accumulate(1 / (agents * mu + i * theta) for i in range(LENGTHS[-1] + 1)))
    return tuple(sums[length] for length in LENGTHS)


def _cell_of(length: int) -> int:
    if length < 0:
        raise ValueError("A line is not shorter than nobody.")
    return LENGTHS[bisect_right(LENGTHS, length) - 1]


def _within_reach(spreads: float) -> float:
    return min(max(spreads, 0.0), REACH)


def rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nearest values that never fall: neighbours in the wrong order share their weighted mean.

    Isotonic regression by pooling adjacent violators. Whatever lies below another curve stays below it.
    """
    blocks: list[tuple[float, float, int]] = []  # value, weight, how many share it
    for value, weight in zip(values, weights, strict=True):
        block = (value, weight + 1e-6, 1)  # a weight of nothing gives way to any other
        while blocks and blocks[-1][0] > block[0]:
            block = _pooled(blocks.pop(), block)
        blocks.append(block)
    return [value for value, _, count in blocks for _ in range(count)]


def _pooled(left: tuple[float, float, int], right: tuple[float, float, int]) -> tuple[float, float, int]:
    weight = left[1] + right[1]
    return (left[0] * left[1] + right[0] * right[1]) / weight, weight, left[2] + right[2]


def rounded(low: float, high: float) -> tuple[int, int]:
    """Outwards to round numbers, and never to a single one."""
    below = max(0, min(bisect_right(ROUND, low) - 1, len(ROUND) - 2))
    above = max(below + 1, min(bisect_left(ROUND, high), len(ROUND) - 1))
    return ROUND[below], ROUND[above]


def spoken(seconds: int) -> tuple[int, str]:
    """A round number in the unit people say it in: 30 seconds, 90 minutes, 2 hours, 3 days."""
    for unit, size, least in (("days", DAY, 2), ("hours", HOUR, 2), ("minutes", MINUTE, 1)):
        if seconds >= least * size and seconds % size == 0:
            return seconds // size, unit
    return seconds, "seconds"
