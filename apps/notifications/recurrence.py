"""When a reminder is due: wall times of a rule (RFC 5545), and the moments they are in somebody's zone. Pure.

A rule repeats the wall clock: 09:00 stays 09:00 when the clocks change. A time that does not exist that day goes out in
the next minute that does; one that exists twice goes out once, the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil import rrule

from .planning import moment_of

# Further ahead nobody plans, and a rule that never comes true is given up there.
HORIZON = timedelta(days=3660)
# No clock differs more from UTC, not even while it is put forward by a day.
FURTHEST_FROM_UTC = timedelta(days=2)
MOST_RULE_CHARACTERS = 300
MOST_INTERVAL = 1000
_FREQUENCIES = {name: getattr(rrule, name) for name in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")}
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST"}
UTC = ZoneInfo("UTC")


class RuleWrong(ValueError):
    """The message is a code: malformed, part, frequency, number, until, never."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time of a reminder: what the clock on the wall shows, and the moment that is."""

    wall: datetime
    at: datetime

    @property
    def slot(self) -> str:
        """Names it for ever, whatever becomes of the zone's rules."""
        return self.wall.isoformat(timespec="minutes")


def check(rule: str, *, start: datetime) -> None:
    """Raise RuleWrong for a rule that cannot be followed, or that never comes true."""
    if rule and next(iter(walls(rule, start=start)), None) is None:
        raise RuleWrong("never")


def walls(rule: str, *, start: datetime) -> Iterator[datetime]:
    """The wall times of a rule from `start` on, in order, within ten years; only `start` itself without a rule."""
    if not rule:
        yield start
        return
    parts = _parsed(rule)
    count = _number(parts.pop("COUNT", "0"))
    until = _until(parts.pop("UNTIL", ""), start=start)
    try:
        found = rrule.rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise RuleWrong("malformed") from None
    # With an end of its own it stops looking, however rarely it comes true.
    bounded = found.replace(until=min(until, start + HORIZON))
    for number, wall in enumerate(bounded, start=1):
        yield wall
        if number == count:
            return


def _parsed(rule: str) -> dict[str, str]:
    text = rule.strip().upper().removeprefix("RRULE:")
    if not text or len(rule) > MOST_RULE_CHARACTERS or not text.isascii() or not text.isprintable():
        raise RuleWrong("malformed")
    pairs = [part.partition("=") for part in text.split(";")]
    parts = {name: value for name, _, value in pairs}
    if len(parts) != len(pairs) or not all(parts.values()):
        raise RuleWrong("malformed")
    if parts.keys() - _PARTS:
        raise RuleWrong("part")
    if parts.get("FREQ") not in _FREQUENCIES:
        raise RuleWrong("frequency")
    _number(parts.get("INTERVAL", "1"), least=1)
    return parts


def _number(text: str, *, least: int = 0) -> int:
    if not text.isdigit() or not least <= int(text[:6]) <= MOST_INTERVAL or len(text) > 5:
        raise RuleWrong("number")
    return int(text)


def _until(text: str, *, start: datetime) -> datetime:
    """The last wall time; a date alone means all of that day."""
    if not text:
        return start + HORIZON
    try:
        until = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise RuleWrong("until") from None
    if until.tzinfo is not None:
        raise RuleWrong("until")
    return until if "T" in text else until + timedelta(hours=23, minutes=59)


def occurrences(
    rule: str, *, start: datetime, zone: ZoneInfo, fold: int = 0, after: datetime | None = None
) -> Iterator[Occurrence]:
    """In order: all of them, or (`after`) at least those later than that: an old rule has thousands behind it.

    `fold` 1 means the second of two equal wall times, for the first occurrence only.
    """
    earliest = start if after is None else after.astimezone(UTC).replace(tzinfo=None) - FURTHEST_FROM_UTC
    for number, wall in enumerate(walls(rule, start=start)):
        if wall >= earliest:
            yield Occurrence(wall, moment_of(wall, zone=zone, fold=fold if number == 0 else 0))


def later_than(after: datetime, found: Iterable[Occurrence]) -> Iterator[Occurrence]:
    """Those after this moment, each strictly later than the one before: two that fall on one moment are one."""
    for one in found:
        if one.at > after:
            after = one.at
            yield one


def exists(wall: datetime, *, zone: ZoneInfo) -> bool:
    """Whether the clocks of `zone` ever show this."""
    return moment_of(wall, zone=zone).astimezone(zone).replace(tzinfo=None) == wall


def is_ambiguous(wall: datetime, *, zone: ZoneInfo) -> bool:
    """Whether they show it twice."""
    offsets = {wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    return len(offsets) == 2 and exists(wall, zone=zone)
