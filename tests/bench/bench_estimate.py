"""The estimated wait, measured on a real call log: each answered call's wait is predicted when it joins the line.

    python -m tests.bench.bench_estimate FILE

FILE is a CSV (or .csv.gz), one row per call, with the columns date, type (the queue), outcome (AGENT or not),
q_start, q_exit, ser_start, ser_exit (seconds since midnight, empty where not reached) and agent. Calls are
replayed in the order of time. A prediction sees only what had happened by then; a wait is learned when it
ends. Calls that did not wait are left out: they were never told anything.

Two simpler estimates run beside it: the wait of the last caller to enter service, and the line's length times
the mean service time over the agents (without and with the caller himself).
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from math import sqrt
from pathlib import Path
from typing import NamedTuple

from apps.routing.estimate import Estimate, Table

DAY = 86_400
ON_DUTY = 900  # an agent who finished a call within so many seconds is at work: the log has no sign-ins
SERVICE_SHARE = 0.02  # of each service in the running mean service time
FREED, LEFT, JOINED = range(3)  # at the same second, in this order


class Call(NamedTuple):
    queue: str
    answered: bool
    joined: int | None
    left: int | None
    served: int | None
    freed: int | None
    agent: str


@dataclass
class Guess:
    """What each estimate said when a call joined."""

    length: int
    estimate: Estimate
    seconds: dict[str, float]


@dataclass
class Queue:
    length: int = 0
    table: Table = field(default_factory=Table)
    last_wait: float = 0.0
    service: float = Table().handle_seconds

    def guess(self, agents: int) -> Guess:
        estimate = self.table.estimate(self.length, agents)
        assert estimate is not None, "somebody is always at work"
        seconds = {
            "queue-length table": estimate.mean,
            "last to enter service": self.last_wait,
            "length × service ÷ agents": self.length * self.service / agents,
            "(length + 1) × service ÷ agents": (self.length + 1) * self.service / agents,
        }
        return Guess(self.length, estimate, seconds)

    def learn(self, guess: Guess, waited: int, now: int) -> None:
        self.table.observe(guess.length, waited, now, announced=guess.estimate)
        self.last_wait = waited


class Outcome(NamedTuple):
    queue: str
    guess: Guess
    waited: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--warm-up", type=int, default=500, help="first waits, not counted (default: %(default)s)"
    )
    options = parser.parse_args()
    outcomes = list(replay(calls(options.file)))[options.warm_up :]
    print(f"{len(outcomes):,} waits, mean {mean(outcome.waited for outcome in outcomes):.1f} s\n")
    print_estimates(outcomes)
    print_ranges(outcomes)


def calls(file: Path) -> Iterator[Call]:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        for row in csv.DictReader(lines):
            midnight = date.fromisoformat(row["date"]).toordinal() * DAY
            times = (
                midnight + int(row[name]) if row[name] else None
                for name in ("q_start", "q_exit", "ser_start", "ser_exit")
            )
            yield Call(row["type"], row["outcome"] == "AGENT", *times, row["agent"])


def replay(log: Iterator[Call]) -> Iterator[Outcome]:
    queues: dict[str, Queue] = defaultdict(Queue)
    guesses: dict[int, Guess] = {}
    freed_at: dict[str, int] = {}
    for now, event, number, call in sorted(events(log)):
        queue = queues[call.queue]
        if event == JOINED:
            on_duty = sum(now - freed < ON_DUTY for freed in freed_at.values())
            guesses[number] = queue.guess(max(1, on_duty))
            queue.length += 1
        elif event == LEFT:
            queue.length -= 1
            if call.answered:
                waited = now - call.joined
                yield Outcome(call.queue, guesses[number], waited)
                queue.learn(guesses[number], waited, now)
        else:
            queue.service += SERVICE_SHARE * (call.freed - call.served - queue.service)
            freed_at[call.agent] = now


def events(log: Iterator[Call]) -> Iterator[tuple[int, int, int, Call]]:
    for number, call in enumerate(log):
        if call.joined is not None and call.left is not None and call.left > call.joined:
            yield call.joined, JOINED, number, call
            yield call.left, LEFT, number, call
        if call.served is not None and call.freed is not None and call.freed > call.served and call.agent:
            yield call.freed, FREED, number, call


def print_estimates(outcomes: list[Outcome]) -> None:
    print(f"{'estimate':<34}{'RMSE s':>8}{'bias s':>8}{'mean miss s':>13}")
    for name in outcomes[0].guess.seconds:
        off = [outcome.guess.seconds[name] - outcome.waited for outcome in outcomes]
        rmse, bias, miss = sqrt(mean(x * x for x in off)), mean(off), mean(map(abs, off))
        print(f"{name:<34}{rmse:>8.1f}{bias:>+8.1f}{miss:>13.1f}")


def print_ranges(outcomes: list[Outcome]) -> None:
    print(f"\n{'announced range':<18}{'waits':>8}{'inside':>9}{'sooner':>9}{'later':>9}{'width s':>9}")
    waits = Counter(outcome.queue for outcome in outcomes)
    for queue in ("all", *(name for name, _ in waits.most_common())):
        part = [outcome for outcome in outcomes if queue in ("all", outcome.queue)]
        inside = mean(o.guess.estimate.includes(o.waited) for o in part)
        sooner = mean(o.waited < o.guess.estimate.low for o in part)
        width = mean(o.guess.estimate.high - o.guess.estimate.low for o in part)
        later = 1 - inside - sooner
        print(f"{queue:<18}{len(part):>8,}{inside:>9.1%}{sooner:>9.1%}{later:>9.1%}{width:>9.0f}")


def mean(numbers) -> float:
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


if __name__ == "__main__":
    main()
