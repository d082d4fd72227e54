"""What will go out, and what will not: the senders' run of a coming period, played through beforehand. Reads only.

Each row is decided by `facts.decide` as the senders do, in the order in which they would come to it; what is held comes
again when its hold is over, what goes out counts for the caps of what comes later, and a reminder whose time has come
makes its next occurrence. As things stand: it cannot know that a provider will fail or a customer will say stop.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from django.db.models import Q

from apps.users.models import Customer, User

from . import campaign_previews, planning
from .choices import DeliveryState, Reason
from .models import Delivery, Reminder, TemplateVersion
from .services import deliveries, facts, reminders, templates


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What becomes of one delivery, which may not exist yet. `at` is None when it does not go out; `reason` says why
    not, or why it goes out later than it was meant to."""

    row: Delivery
    at: datetime | None
    reason: Reason | None = None


class _Turn(NamedTuple):
    """Something whose time comes, in the order of the senders: of what may go out at one moment the most urgent first,
    then by when it was due, then as it was made. `number` tells turns apart, so that rows are never compared."""

    at: datetime
    priority: int
    due_at: datetime
    number: int
    row: Delivery | None = None
    reminder: Reminder | None = None


@dataclass(slots=True)
class _Run:
    """A simulated run. `until` is None where it has no end but that of the reminders."""

    now: datetime
    until: datetime | None
    # In force, by template.
    versions: dict[int, TemplateVersion]
    turns: list[_Turn] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    # Rows of the period that are not decided yet.
    open_rows: int = 0

    def is_asked_for(self, row: Delivery) -> bool:
        return self.until is None or row.slot_at < self.until

    def add_row(self, row: Delivery) -> None:
        self.open_rows += self.is_asked_for(row)
        at = max(row.due_at, self.now)
        heapq.heappush(self.turns, _Turn(at, row.priority, row.due_at, next(self.numbers), row=row))

    def add_reminder(self, reminder: Reminder, *, at: datetime) -> None:
        """Carried on before anything of that moment is sent; it makes no difference to what is."""
        heapq.heappush(self.turns, _Turn(at, -1, at, reminder.pk, reminder=reminder))

    def hold(self, turn: _Turn, row: Delivery, *, until: datetime) -> None:
        self.open_rows += self.is_asked_for(row)
        row.due_at = until
        heapq.heappush(self.turns, turn._replace(at=until, due_at=until))

    def goes_on(self) -> bool:
        if not self.turns:
            return False
        return self.until is None or self.turns[0].at < self.until or self.open_rows > 0


def of_people(
    people: Sequence[Customer | User], *, until: datetime | None, now: datetime
) -> Iterator[Foreseen]:
    """What is meant for these people before `until`, in the order in which it is decided; also what waits already.

    Without `until` as far as their reminders go: take from it only as much as you need.
    """
    customers = [one for one in people if isinstance(one, Customer)]
    waiting = [*_waiting_for(people, until=until), *campaign_previews.coming(customers, now=now)]
    active = _reminders_of(people)
    run = _Run(now, until, _versions_of(active))
    ahead = {row: reminders.coming(row, after=row.next_at) for row in active if row.next_at}
    world = facts.load([*waiting, *(made for row in ahead for made in _next_rows(row, run))])
    for row in waiting:
        run.add_row(row)
    for reminder in ahead:
        run.add_reminder(reminder, at=_next_at(reminder))
    yield from _played(run, ahead, world)


def _waiting_for(people: Sequence[Customer | User], *, until: datetime | None) -> list[Delivery]:
    customers = [one.pk for one in people if isinstance(one, Customer)]
    users = [one.pk for one in people if isinstance(one, User)]
    waiting = Delivery.objects.filter(state=DeliveryState.DUE)
    if until is not None:
        # What is held until later may still be decided by what comes in between.
        waiting = waiting.filter(due_at__lt=until + timedelta(days=planning.MOST_DAYS_HELD))
    theirs = waiting.filter(Q(customer__in=customers) | Q(user__in=users))
    return list(theirs.select_related("template_version__template").order_by("due_at", "priority", "id"))


def _reminders_of(people: Sequence[Customer | User]) -> list[Reminder]:
    customers = [one.pk for one in people if isinstance(one, Customer)]
    users = [one.pk for one in people if isinstance(one, User)]
    theirs = Reminder.objects.active().filter(Q(customer__in=customers) | Q(user__in=users))
    return list(
        theirs.exclude(next_at=None)
        .select_related("template", "customer", "user", "appointment")
        .order_by("next_at", "id")
    )


def _versions_of(active: Sequence[Reminder]) -> dict[int, TemplateVersion]:
    in_force = templates.current_of({row.template_id for row in active})
    known = TemplateVersion.objects.select_related("template").defer("texts").in_bulk(in_force.values())
    return {template_id: known[pk] for template_id, pk in in_force.items()}


def _next_at(reminder: Reminder) -> datetime:
    assert reminder.next_at is not None  # `_reminders_of` leaves those without one out
    return reminder.next_at


def _next_rows(reminder: Reminder, run: _Run) -> list[Delivery]:
    """They stand for all of its occurrences when facts are loaded: recipient, ways, purpose and text are the same."""
    found = reminders.Occurrence(_next_at(reminder).replace(tzinfo=None), _next_at(reminder))
    return _rows(reminder, found, run)


def _rows(reminder: Reminder, found: reminders.Occurrence, run: _Run) -> list[Delivery]:
    version = run.versions.get(reminder.template_id)
    if version is None:
        return []
    made = reminders.drafts(reminder, found, version_id=version.pk)
    rows = [deliveries.unsaved(draft, now=run.now) for draft in made]
    for row in rows:
        row.template_version = version
    return rows


def _played(
    run: _Run, ahead: dict[Reminder, Iterator[reminders.Occurrence]], world: facts.World
) -> Iterator[Foreseen]:
    held: dict[int, Reason] = {}
    while run.goes_on():
        turn = heapq.heappop(run.turns)
        if turn.reminder is not None:
            _carry_on(turn.reminder, ahead[turn.reminder], run, world)
        if turn.row is None:
            continue
        run.open_rows -= run.is_asked_for(turn.row)
        match facts.decide(turn.row, world, now=turn.at):
            case planning.Held(until, reason):
                held[turn.number] = reason
                run.hold(turn, turn.row, until=until)
                continue
            case planning.Suppressed(why):
                found = Foreseen(turn.row, None, why)
            case planning.Goes(at):
                before = turn.row.reason if turn.row.pk else ""
                found = Foreseen(turn.row, at, held.get(turn.number) or (Reason(before) if before else None))
        if run.is_asked_for(turn.row):
            yield found


def _carry_on(
    reminder: Reminder, occurrences: Iterator[reminders.Occurrence], run: _Run, world: facts.World
) -> None:
    """As `reminders.advance` does."""
    found = next(occurrences, None)
    if found is None:
        return
    made = _rows(reminder, found, run)
    facts.set_people(made, world)
    for row in made:
        run.add_row(row)
    run.add_reminder(reminder, at=found.at)
