"""Whether something goes out, and when: the one function behind the preview, the ledger and the sending itself.

Pure: the slot, what is known of the recipient, the rule and the time go in; a verdict with its reason comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from .choices import Reason

# A rule that allows no day within so many closes the way for good.
MOST_DAYS_HELD = 31


@dataclass(frozen=True, slots=True)
class Slot:
    """When it is meant for (UTC), and after which moment it is worthless."""

    at: datetime
    expires_at: datetime | None = None
    # Late by more than this it is not caught up (None: however late).
    most_late: timedelta | None = None
    # Whether there is anything to say by this way.
    has_text: bool = True
    # Only between these local times, whatever the rule allows besides (None: from midnight, until midnight).
    open_from: time | None = None
    open_until: time | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """What is known of the recipient for this purpose and way."""

    zone: ZoneInfo
    address: str
    is_active: bool = True
    # What he said: True, False, or nothing.
    wants: bool | None = None
    needs_consent: bool = False
    # Why nothing goes to this address, if so.
    suppressed: Reason | None = None
    sent_today: int = 0
    sent_this_week: int = 0
    had_it: bool = False


def no_holidays(_day: date) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Rule:
    """Quiet hours, allowed days and caps, by the recipient's wall clock."""

    quiet_from: time | None = None
    quiet_until: time | None = None
    weekdays: frozenset[int] = frozenset(range(7))
    is_holiday: Callable[[date], bool] = no_holidays
    most_per_day: int | None = None
    most_per_week: int | None = None


@dataclass(frozen=True, slots=True)
class Goes:
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    until: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Suppressed:
    reason: Reason


Verdict = Goes | Held | Suppressed


def plan(slot: Slot, recipient: Recipient, rule: Rule, *, now: datetime) -> Verdict:
    """What becomes of `slot` as things stand at `now`."""
    if reason := _never(slot, recipient, rule, now=now):
        return Suppressed(reason)
    earliest = max(slot.at, now)
    allowed, why = _allowed_from(earliest, slot, rule, zone=recipient.zone)
    if allowed is None:
        return Suppressed(why or Reason.CLOSED_DAY)
    if slot.expires_at is not None and allowed >= slot.expires_at:
        return Suppressed(Reason.EXPIRED)
    return Held(allowed, why) if why else Goes(allowed)


def _never(slot: Slot, recipient: Recipient, rule: Rule, *, now: datetime) -> Reason | None:
    """The first reason why it does not go out at all."""
    refused = recipient.wants is False
    unasked = recipient.needs_consent and recipient.wants is None
    late = slot.most_late is not None and now > slot.at + slot.most_late
    capped = _reached(recipient.sent_today, rule.most_per_day) or _reached(
        recipient.sent_this_week, rule.most_per_week
    )
    reasons = (
        (not recipient.is_active, Reason.GONE),
        (slot.expires_at is not None and now >= slot.expires_at, Reason.EXPIRED),
        (late, Reason.MISSED),
        (recipient.had_it, Reason.DUPLICATE),
        (refused, Reason.OPTED_OUT),
        (unasked, Reason.NO_CONSENT),
        (not recipient.address, Reason.NO_ADDRESS),
        (recipient.suppressed is not None, recipient.suppressed),
        (capped, Reason.CAPPED),
        (not slot.has_text, Reason.NO_TEXT),
    )
    return next((reason for holds, reason in reasons if holds), None)


def _reached(count: int, most: int | None) -> bool:
    return most is not None and count >= most


def _allowed_from(
    earliest: datetime, slot: Slot, rule: Rule, *, zone: ZoneInfo
) -> tuple[datetime | None, Reason | None]:
    """The first moment from `earliest` on that slot and rule allow, and what moved it; None when there is none."""
    moment, why = earliest, None
    last = earliest + timedelta(days=MOST_DAYS_HELD)
    closed = _closed_hours(slot, rule)
    while moment <= last:
        local = moment.astimezone(zone)
        if not _is_open_day(local.date(), rule):
            moment, why = _start_of(local.date() + timedelta(days=1), zone=zone), why or Reason.CLOSED_DAY
        elif found := _closed_until(local, closed):
            moment, why = found[0], why or found[1]
        else:
            return moment, why
    return None, why


Hours = tuple[time, time, Reason]


def _closed_hours(slot: Slot, rule: Rule) -> list[Hours]:
    """From when until when of each day nothing goes out, over midnight when the end is earlier."""
    hours: list[Hours] = []
    if rule.quiet_from is not None and rule.quiet_until is not None:
        hours.append((rule.quiet_from, rule.quiet_until, Reason.QUIET_HOURS))
    if slot.open_from is not None or slot.open_until is not None:
        hours.append((slot.open_until or time(), slot.open_from or time(), Reason.OUT_OF_HOURS))
    return hours


def _is_open_day(day: date, rule: Rule) -> bool:
    return day.weekday() in rule.weekdays and not rule.is_holiday(day)


def _closed_until(local: datetime, closed: list[Hours]) -> tuple[datetime, Reason] | None:
    """The end (UTC) of the closed hours `local` lies in, and their name; None outside of all of them."""
    for start, end, reason in closed:
        if ends := _hours_end(local, start, end):
            return ends, reason
    return None


def _hours_end(local: datetime, start: time, end: time) -> datetime | None:
    clock = local.time().replace(tzinfo=None)
    over_midnight = start > end
    inside = (clock >= start or clock < end) if over_midnight else start <= clock < end
    if not inside:
        return None
    day = local.date() + timedelta(days=1) if over_midnight and clock >= start else local.date()
    return moment_of(datetime.combine(day, end), zone=_zone_of(local))


def _zone_of(local: datetime) -> ZoneInfo:
    assert isinstance(local.tzinfo, ZoneInfo)
    return local.tzinfo


def _start_of(day: date, *, zone: ZoneInfo) -> datetime:
    return moment_of(datetime.combine(day, time()), zone=zone)


def moment_of(wall: datetime, *, zone: ZoneInfo, fold: int = 0) -> datetime:
    """The moment (UTC) of a wall time: one that exists twice is the first (or as `fold` says), and one that does not
    exist is the next minute that does."""
    moment = wall.replace(tzinfo=zone, fold=fold).astimezone(_UTC)
    back = moment.astimezone(zone).replace(tzinfo=None)
    if back == wall:
        return moment
    # In the gap: fold 1 reads it by the offset after the change, which lands just before it by as much as is missing.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(_UTC)
    return _transition(before, moment, zone=zone)


def _transition(before: datetime, after: datetime, *, zone: ZoneInfo) -> datetime:
    """The first whole minute in (before, after] with the later offset."""
    offset = after.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()) // 60, int(after.timestamp()) // 60
    while low < high:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle * 60, tz=zone).utcoffset() == offset:
            high = middle
        else:
            low = middle + 1
    return datetime.fromtimestamp(low * 60, tz=_UTC)


_UTC = ZoneInfo("UTC")
