"""What went out to whom and what did not, and what will: each line with its reason, past and coming alike. Reads only.

Past lines are deliveries; coming ones are what `forecast` says of those that wait and of reminders still to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models import Model, OuterRef, QuerySet, Subquery

from apps.users.models import Customer, User

from . import forecast
from .choices import DeliveryState, Fate, Reason
from .models import Attempt, Automation, Campaign, Delivery, Reminder, WebhookSubscription
from .services import reminders

# More than anybody reads; a shorter period shows the rest.
MOST_LINES = 500
# Who turned out to be one person: more doubles of doubles nobody has.
MOST_MERGES = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One thing by one way. `meant_for` is its own time, `at` when it went out or will; None when it does not."""

    row: Delivery
    meant_for: datetime
    at: datetime | None
    fate: Fate
    reason: Reason | None = None
    # What the provider said last, of what failed.
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Coming lines, the next first; past ones, the newest first. `is_cut` when there is more than is shown."""

    coming: list[Line]
    past: list[Line]
    is_cut: bool = False

    @property
    def lines(self) -> list[Line]:
        return [*self.past[::-1], *self.coming]


def of_customer(customer: Customer, *, start: datetime, end: datetime, now: datetime) -> Ledger:
    """All that was meant for this customer, under any of his records, in [start, end). What waits already is always
    shown, whenever it was meant for."""
    people = same_person(customer)
    rows = Delivery.objects.filter(customer__in=people)
    past = _past(rows.filter(slot_at__gte=start, slot_at__lt=end))
    foreseen = forecast.of_people(people, until=end, now=now) if end > now else iter(())
    coming = [_coming(one) for one in islice(foreseen, MOST_LINES + 1)]
    is_cut = len(past) > MOST_LINES or len(coming) > MOST_LINES
    return Ledger(
        sorted((line for line in coming[:MOST_LINES] if _is_shown(line, start)), key=_in_time),
        past[:MOST_LINES],
        is_cut,
    )


def _is_shown(line: Line, start: datetime) -> bool:
    return line.row.pk is not None or line.meant_for >= start


def same_person(customer: Customer) -> list[Customer]:
    """The record and those that were found to be doubles of it."""
    people = {customer.pk: customer}
    newest = [customer.pk]
    for _ in range(MOST_MERGES):
        doubles = list(Customer.objects.filter(merged_into__in=newest).exclude(pk__in=people))
        if not doubles:
            break
        people |= {row.pk: row for row in doubles}
        newest = [row.pk for row in doubles]
    return list(people.values())


def of_reminder(reminder: Reminder, *, until: datetime, now: datetime) -> Ledger:
    """What became of a reminder, and what will before `until`; whatever else goes to its recipient counts for caps."""
    rows = Delivery.objects.filter(cause=reminders.cause_of(reminder.pk))
    past = _past(rows)
    coming = list(islice(coming_of(reminder, until=until, now=now), MOST_LINES + 1))
    is_cut = len(past) > MOST_LINES or len(coming) > MOST_LINES
    return Ledger(sorted(coming[:MOST_LINES], key=_in_time), past[:MOST_LINES], is_cut)


def coming_of(reminder: Reminder, *, until: datetime | None, now: datetime) -> Iterator[Line]:
    """Its coming lines; without `until` as far as its recipient's reminders go."""
    person: Customer | User | None = reminder.customer or reminder.user
    assert person is not None  # the constraint reminder_has_one_recipient
    people = same_person(person) if isinstance(person, Customer) else [person]
    cause = reminders.cause_of(reminder.pk)
    for one in forecast.of_people(people, until=until, now=now):
        if one.row.cause == cause:
            yield _coming(one)


def _coming(one: forecast.Foreseen) -> Line:
    goes = Fate.HELD if one.reason else Fate.GOES
    return Line(one.row, one.row.slot_at, one.at, goes if one.at else Fate.WILL_NOT, one.reason)


def _in_time(line: Line) -> tuple[datetime, str]:
    return line.meant_for, line.row.way


def _past(rows: QuerySet[Delivery]) -> list[Line]:
    """One more than is shown, so that it is known whether there is more."""
    last = Attempt.objects.filter(delivery=OuterRef("pk")).exclude(error="").order_by("-number")
    over = rows.exclude(state=DeliveryState.DUE).annotate(detail=Subquery(last.values("detail")[:1]))
    found = over.select_related("template_version__template", "purpose").order_by("-slot_at", "-id")
    return [_line(row) for row in found[: MOST_LINES + 1]]


def _line(row: Delivery) -> Line:
    detail = row.detail or "" if row.state in (DeliveryState.DEAD, DeliveryState.REVIEW) else ""  # type: ignore[attr-defined]
    reason = Reason(row.reason) if row.reason else None
    return Line(row, row.slot_at, row.sent_at, Fate(row.state), reason, detail)


def subjects_of(causes: Iterable[str]) -> dict[str, Model]:
    """What has these causes: reminders, automations, campaigns and webhooks; a query for each kind."""
    kinds: dict[str, type[Model]] = {
        "reminder": Reminder,
        "automation": Automation,
        "campaign": Campaign,
        "webhook": WebhookSubscription,
    }
    ids: dict[str, set[int]] = {kind: set() for kind in kinds}
    for cause in causes:
        kind, _colon, number = cause.partition(":")
        if kind in kinds and number.isdigit():
            ids[kind].add(int(number))
    return {
        f"{kind}:{pk}": row
        for kind, model in kinds.items()
        for pk, row in (model._base_manager.in_bulk(ids[kind]) if ids[kind] else {}).items()
    }
