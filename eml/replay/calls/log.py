"""Reads a call log: a CSV with one row per call, plain or gzip; times are seconds since midnight of `date`."""

from __future__ import annotations

import csv
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from eml.replay.turns import BadFile, open_text

TIMES = ("vru_exit", "q_start", "q_exit", "ser_start", "ser_exit")
COLUMNS = ("date", "priority", "type", *TIMES, "outcome", "agent")
ANSWERED, HUNG_UP = "AGENT", "HANG"
CREDITED = "2"
# An agent who takes nothing for longer than this while somebody waits for so long is on a break.
LONGEST_GAP_SECONDS = 600
WAITS_IN_VAIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Call:
    """One call that asked for an agent. Seconds; `service` is None for whoever hung up before, or if it is unknown."""

    at: int
    queue: str
    is_credited: bool
    wait: int
    is_answered: bool
    service: int | None
    agent: str


def read(path: Path) -> dict[str, list[Call]]:
    """Date → its calls in order of arrival. Calls that ended before they asked for an agent are left out.

    BadFile when it cannot be read.
    """
    days: dict[str, list[Call]] = defaultdict(list)
    try:
        with open_text(path) as file:
            for date, call in _calls(path, csv.DictReader(file)):
                days[date].append(call)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error) as error:
        raise BadFile(f"{path}: {error}") from error
    return {date: sorted(calls, key=lambda call: call.at) for date, calls in sorted(days.items())}


def _calls(path: Path, reader: csv.DictReader) -> Iterator[tuple[str, Call]]:
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or [])]:
        raise BadFile(f"{path}: the column {missing[0]} is missing.")
    for row in reader:
        try:
            call = _call(row)
        except ValueError as error:
            raise BadFile(f"{path}, line {reader.line_num}: {error}") from error
        if call:
            yield row["date"], call


def _call(row: Mapping[str, str]) -> Call | None:
    if None in row.values():
        raise ValueError("a value is missing")
    vru_exit, q_start, q_exit, ser_start, ser_exit = (_seconds(row[name]) for name in TIMES)
    is_answered = row["outcome"] == ANSWERED
    if not is_answered and (row["outcome"] != HUNG_UP or q_start is None):
        return None
    at = next((time for time in (q_start, ser_start, vru_exit) if time is not None), None)
    if at is None:
        raise ValueError("a call without a time")
    return Call(
        at=at,
        queue=row["type"],
        is_credited=row["priority"] == CREDITED,
        wait=_between(q_start, q_exit) or 0,
        is_answered=is_answered,
        service=_between(ser_start, ser_exit) if is_answered else None,
        agent=row["agent"],
    )


def _seconds(text: str) -> int | None:
    return int(text) if text else None


def _between(start: int | None, end: int | None) -> int | None:
    """None when it is not known; some clocks of the log went backwards."""
    return None if start is None or end is None else max(end - start, 0)


Services = dict[str, list[tuple[int, int]]]


def services_of(calls: Iterable[Call]) -> Services:
    """Agent → when he talked, in order. Rows without an agent are nobody's."""
    talks: Services = defaultdict(list)
    for call in calls:
        if call.agent and call.service is not None:
            start = call.at + call.wait
            talks[call.agent].append((start, start + call.service))
    return {agent: sorted(spans) for agent, spans in sorted(talks.items())}


def gaps(calls: list[Call]) -> list[int]:
    """How long agents took until their next call while two or more waited: what a person needs between two."""
    waits = [(call.at, call.at + call.wait) for call in calls if call.wait]
    found = []
    for spans in services_of(calls).values():
        for (_, end), (start, _) in pairwise(spans):
            waiting = sum(since <= end < until for since, until in waits)
            if waiting >= 2 and 0 <= start - end <= LONGEST_GAP_SECONDS:
                found.append(start - end)
    return found
