"""Reminders: set up, moved, called off, and carried from one occurrence to the next.

The deliveries of the next occurrence always exist, written in the transaction that made the occurrence the next one; so
what goes out is decided by the deliveries alone, and one tick for all is enough to carry reminders on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import bulk, events
from apps.core.events import Actor
from apps.messaging.models import Conversation
from apps.users.models import Customer, Team, User

from .. import errors, recurrence
from ..choices import CatchUp, Priority, Reason, ReminderState, Way
from ..events import ReminderCancelled, ReminderScheduled
from ..models import Appointment, Reminder, Template
from ..planning import moment_of
from ..recurrence import Occurrence
from . import deliveries, templates

ADVANCED_AT_ONCE = 200
_SAID = {
    "malformed": gettext_lazy("This is no rule of RFC 5545, like FREQ=DAILY or FREQ=WEEKLY;BYDAY=MO,TH."),
    "part": gettext_lazy(
        "A rule may hold FREQ, INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS and WKST."
    ),
    "frequency": gettext_lazy("A rule repeats daily, weekly, monthly or yearly."),
    "number": gettext_lazy("COUNT and INTERVAL are whole numbers up to 1,000."),
    "until": gettext_lazy("UNTIL is a date like 20271231."),
    "never": gettext_lazy("This rule never comes true."),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to remind of, whom, by which ways, and when: at a wall time (once or by a rule), or relative to an
    appointment. Without a `zone` the recipient's own counts."""

    template: Template
    to: Customer | User
    ways: Sequence[str]
    date: date | None = None
    time: time | None = None
    # Which of two equal wall times (B34); needed when the time exists twice and there is no rule.
    fold: int | None = None
    zone: str = ""
    rrule: str = ""
    appointment: Appointment | None = None
    offset_minutes: int | None = None
    conversation: Conversation | None = None
    note: str = ""
    expires_at: datetime | None = None
    catch_up: str = CatchUp.SEND
    team: Team | None = None


def schedule(plan: Plan, *, by: Actor, now: datetime) -> Reminder:
    """Set up a reminder; its first occurrence is in the sending queue when this returns.

    Raises ReminderInvalid (in sentences), NonexistentTime, AmbiguousTime, TimeOutOfRange.
    """
    _check(plan, now=now)
    with transaction.atomic():
        row = _row(plan, by=by, now=now)
        first = _first(row, fold=plan.fold, now=now)
        row.save()
        _make_next({row: first}, now=now)
        events.record(ReminderScheduled(reminder=row.pk), stream=row.stream, actor=by)
        return row


def _check(plan: Plan, *, now: datetime) -> None:
    if found := [*_wrong(plan), *_wrong_time(plan)]:
        raise errors.ReminderInvalid(" ".join(found))
    _check_range(plan.date, now=now)
    if abs(plan.offset_minutes or 0) > recurrence.HORIZON.total_seconds() / 60:
        raise errors.TimeOutOfRange
    _check_rule(plan)


def _wrong(plan: Plan) -> Iterator[str]:
    if not plan.ways or set(plan.ways) - {Way.EMAIL, Way.SMS, Way.IN_APP}:
        yield _("Choose how to remind: by e-mail, by SMS or in the console.")
    if isinstance(plan.to, Customer) and Way.IN_APP in plan.ways:
        yield _("Customers have no console; choose e-mail or SMS.")
    if not plan.template.is_active or not plan.template.version:
        yield _("This template is switched off or has no text.")
    if plan.conversation is not None and _is_foreign(plan.conversation, plan.to):
        yield _("This is somebody else's conversation.")


def _wrong_time(plan: Plan) -> Iterator[str]:
    times = ((plan.date, plan.time), (plan.appointment, plan.offset_minutes))
    said = [pair for pair in times if pair != (None, None)]
    if len(said) != 1 or None in said[0]:
        yield _("Say either a date and a time, or how long before an appointment.")
    if plan.appointment is None:
        return
    if plan.rrule:
        yield _("A reminder of an appointment does not repeat.")
    if plan.appointment.is_cancelled:
        yield _("This appointment is cancelled.")
    if plan.to != plan.appointment.customer:
        yield _("This is somebody else's appointment.")


def _is_foreign(conversation: Conversation, person: Customer | User) -> bool:
    """Customers are told of their own conversations only; colleagues of any."""
    return isinstance(person, Customer) and conversation.customer_id != person.pk


def _check_range(day: date | None, *, now: datetime) -> None:
    """Before anybody calculates with it: calendars end at both sides."""
    if day is not None and abs(day - now.date()) > recurrence.HORIZON:
        raise errors.TimeOutOfRange


def _check_rule(plan: Plan) -> None:
    if plan.date is None or plan.time is None or not plan.rrule:
        return
    try:
        recurrence.check(plan.rrule, start=datetime.combine(plan.date, plan.time))
    except recurrence.RuleWrong as wrong:
        said = str(_SAID[str(wrong)])
        raise errors.ReminderInvalid(said, fields={"rrule": [said]}) from None


def _row(plan: Plan, *, by: Actor, now: datetime) -> Reminder:
    row = Reminder(
        template=plan.template,
        ways=list(dict.fromkeys(plan.ways)),
        customer=plan.to if isinstance(plan.to, Customer) else None,
        user=plan.to if isinstance(plan.to, User) else None,
        conversation=plan.conversation,
        appointment=plan.appointment,
        team=plan.team,
        note=plan.note,
        date=plan.date,
        time=plan.time,
        zone=plan.zone,
        rrule=plan.rrule,
        offset_minutes=plan.offset_minutes,
        expires_at=plan.expires_at,
        catch_up=plan.catch_up,
        created_by=by if isinstance(by, User) else None,
        created_at=now,
    )
    try:
        row.full_clean(exclude=["fold"])
    except ValidationError as error:
        raise errors.ReminderInvalid(fields=error.message_dict) from None
    return row


def zone_of(reminder: Reminder) -> ZoneInfo:
    """Its own, else the recipient's, else the installation's."""
    person = reminder.customer or reminder.user
    return ZoneInfo(reminder.zone or (person.time_zone if person else "") or settings.TIME_ZONE)


def _first(row: Reminder, *, fold: int | None, now: datetime) -> Occurrence:
    """The first occurrence, strictly: what one person typed once must be a time that exists, and once."""
    if row.appointment is not None:
        found = next_occurrence(row, after=now)
    else:
        wall, zone = start_of(row), zone_of(row)
        if not row.rrule:
            _check_wall(wall, zone, fold=fold)
        row.fold = fold or 0
        found = next_occurrence(row, after=now)
    if found is None or found.at > now + recurrence.HORIZON:
        raise errors.TimeOutOfRange
    return found


def _check_wall(wall: datetime, zone: ZoneInfo, *, fold: int | None) -> None:
    told: dict[str, Any] = {"time": wall.isoformat(" ", timespec="minutes"), "zone": zone.key}
    if not recurrence.exists(wall, zone=zone):
        raise errors.NonexistentTime(**told)
    if fold is None and recurrence.is_ambiguous(wall, zone=zone):
        raise errors.AmbiguousTime(**told)


def start_of(row: Reminder) -> datetime:
    """The wall time of the first occurrence of one that is not relative to an appointment."""
    assert row.date is not None  # the constraint reminder_has_a_time
    assert row.time is not None
    return datetime.combine(row.date, row.time)


def next_occurrence(row: Reminder, *, after: datetime) -> Occurrence | None:
    """Its first occurrence later than `after`; None when there is none (any more)."""
    return next(coming(row, after=after), None)


def coming(row: Reminder, *, after: datetime) -> Iterator[Occurrence]:
    """Its occurrences later than `after`, in order, until it expires."""
    for found in recurrence.later_than(after, _all(row, after=after)):
        if row.expires_at and found.at >= row.expires_at:
            return
        yield found


def _all(row: Reminder, *, after: datetime) -> Iterator[Occurrence]:
    """All that are later than `after`, and maybe some before."""
    zone = zone_of(row)
    if row.appointment is None:
        yield from recurrence.occurrences(
            row.rrule, start=start_of(row), zone=zone, fold=row.fold, after=after
        )
        return
    assert row.offset_minutes is not None  # the constraint reminder_has_a_time
    at = row.appointment.starts_at + timedelta(minutes=row.offset_minutes)
    yield Occurrence(at.astimezone(zone).replace(tzinfo=None), at)


def _make_next(rows: Mapping[Reminder, Occurrence | None], *, now: datetime) -> None:
    """Make these their next occurrences, with their deliveries; those without one are done. Few statements for many."""
    for row, found in rows.items():
        row.next_slot, row.next_at = (found.slot, found.at) if found else ("", None)
        row.state = ReminderState.ACTIVE if found else ReminderState.DONE
    bulk.update(list(rows), ["next_slot", "next_at", "state", "fold"])
    versions = templates.current_of({row.template_id for row in rows})
    deliveries.make_many(
        (
            draft
            for row, found in rows.items()
            if found and row.template_id in versions
            for draft in drafts(row, found, version_id=versions[row.template_id])
        ),
        now=now,
    )


def drafts(row: Reminder, found: Occurrence, *, version_id: int) -> Iterable[deliveries.Draft]:
    """What an occurrence sends, one for each way."""
    person = row.customer or row.user
    assert person is not None  # the constraint reminder_has_one_recipient
    draft = deliveries.Draft(
        cause=cause_of(row.pk),
        occurrence=_named(row, found.slot),
        to=person,
        way="",
        at=found.at,
        purpose_id=row.template.purpose_id,
        template_version_id=version_id,
        context={},
        priority=Priority.NORMAL,
        expires_at=row.expires_at or _worthless_from(row),
    )
    yield from (replace(draft, way=way) for way in row.ways)


def _named(row: Reminder, slot: str) -> str:
    """A moved reminder may come to the same wall time again, and that one was called off."""
    return f"{slot} {row.round}" if row.round else slot


def _worthless_from(row: Reminder) -> datetime | None:
    """Nobody is reminded of what has begun."""
    if row.appointment is None or (row.offset_minutes or 0) >= 0:
        return None
    return row.appointment.starts_at


def cause_of(reminder_id: int) -> str:
    return f"reminder:{reminder_id}"


def cancel(reminder_id: int, *, by: Actor, now: datetime) -> Reminder:
    """Call it off, with all that waits for its time. ReminderOver when it is over already."""
    with transaction.atomic():
        row = _locked(reminder_id)
        _call_off(row)
        row.state, row.next_at = ReminderState.CANCELLED, None
        row.save(update_fields=["state", "next_at"])
        events.record(ReminderCancelled(reminder=row.pk), stream=row.stream, actor=by)
        return row


def reschedule(
    reminder_id: int,
    *,
    date: date,
    time: time,
    by: Actor,
    now: datetime,
    zone: str = "",
    fold: int | None = None,
) -> Reminder:
    """Another time for a reminder that is not relative to an appointment; what waited for the old one is called off."""
    with transaction.atomic():
        row = _locked(reminder_id)
        _check_range(date, now=now)
        if row.appointment is not None:
            raise errors.ReminderInvalid(_("This reminder follows its appointment; move the appointment."))
        _call_off(row)
        row.date, row.time, row.zone, row.round = date, time, zone or row.zone, row.round + 1
        first = _first(row, fold=fold, now=now)
        row.save()
        _make_next({row: first}, now=now)
        events.record(ReminderScheduled(reminder=row.pk), stream=row.stream, actor=by)
        return row


def _call_off(row: Reminder) -> None:
    deliveries.cancel(cause=cause_of(row.pk), reason=Reason.NOT_NEEDED)


def _locked(reminder_id: int) -> Reminder:
    found = (
        Reminder.objects.select_for_update(of=("self",))
        .select_related("template", "customer", "user", "appointment")
        .filter(pk=reminder_id)
        .first()
    )
    if found is None:
        raise errors.ReminderNotFound
    if found.state != ReminderState.ACTIVE:
        raise errors.ReminderOver
    return found


def advance(*, now: datetime) -> int:
    """Carry those whose occurrence has come to the next one; returns how many. Safe to run twice and at once.

    After an outage every missed occurrence gets its deliveries; whether they still go out is the planning's decision.
    """
    with transaction.atomic():
        due = Reminder.objects.active().filter(next_at__lte=now).order_by("next_at", "id")
        rows = list(
            due.select_for_update(skip_locked=True, of=("self",)).select_related(
                "template", "customer", "user", "appointment"
            )[:ADVANCED_AT_ONCE]
        )
        coming = {row: next_occurrence(row, after=row.next_at) for row in rows if row.next_at}
        if coming:
            _make_next(coming, now=now)
    return len(rows)


def advance_all(*, now: datetime) -> int:
    """`advance`, batch by batch, until none is due."""
    done = 0
    while count := advance(now=now):
        done += count
    return done


def follow_zone(reminder_ids: Iterable[int], *, now: datetime) -> None:
    """The recipient lives by another clock now: what is still to come comes at the same wall time there. What is due
    already goes out as it was; nothing is said twice, and nothing is lost when the new clock is ahead."""
    for reminder_id in reminder_ids:
        with transaction.atomic():
            row = _active(reminder_id)
            if row is None or row.next_at is None or row.next_at <= now:
                continue
            at = moment_of(datetime.fromisoformat(row.next_slot), zone=zone_of(row), fold=row.fold)
            deliveries.retime(cause=cause_of(row.pk), occurrence=_named(row, row.next_slot), at=at, now=now)
            row.next_at = at
            row.save(update_fields=["next_at"])


def follow_appointment(reminder_ids: Iterable[int], *, now: datetime) -> None:
    """The appointment has another time: what waits for the old one is called off and made anew."""
    for reminder_id in reminder_ids:
        with transaction.atomic():
            row = _active(reminder_id)
            if row is None:
                continue
            _call_off(row)
            row.round += 1
            row.save(update_fields=["round"])
            _make_next({row: next_occurrence(row, after=now)}, now=now)


def _active(reminder_id: int) -> Reminder | None:
    return (
        Reminder.objects.active()
        .select_for_update(of=("self",))
        .select_related("template", "customer", "user", "appointment")
        .filter(pk=reminder_id)
        .first()
    )
