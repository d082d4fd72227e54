"""Carries campaigns on: lists their recipients, and hands them to the sending queue at the campaign's pace.

Each step is one short transaction under the campaign's row lock, so any number of workers may run it; after a crash the
next step goes on where the last commit was. A recipient and his delivery are written together: nobody comes twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from apps.core import bulk, events
from apps.core.events import SYSTEM
from apps.users.models import Customer

from .. import planning, segments
from ..choices import OPEN_STATES, CampaignState, Priority
from ..events import CampaignFinished
from ..models import Campaign, CampaignRecipient, Delivery
from . import campaigns, deliveries, facts, templates

LISTED_AT_ONCE = 2000
LOOKED_AT_AT_ONCE = 500
# What goes out within so long is in the sending queue already, each at its own moment: longer than between two ticks.
AHEAD = timedelta(seconds=10)
# A sending queue that stands still is not filled further than with a minute of the campaign's pace, or so many.
MOST_WAITING = 5000
# A tick ends in time for the next one, well before the worker's limit.
WORK_SECONDS = 20.0

Clock = Callable[[], datetime]


def work_off(*, clock: Clock) -> int:
    """Carry every campaign on as far as can be done now, turn by turn; returns how many recipients were looked at."""
    done, until = 0, time.monotonic() + WORK_SECONDS
    going = list(Campaign.objects.to_work_on(clock()).values_list("pk", flat=True))
    while going and time.monotonic() < until:
        counts = {pk: step(pk, now=clock()) for pk in going}
        done += sum(counts.values())
        going = [pk for pk, count in counts.items() if count]
    return done


def step(campaign_id: int, *, now: datetime) -> int:
    """List or look at some recipients; returns how many, 0 when there is nothing to do now (or another worker does)."""
    with transaction.atomic():
        locked = Campaign.objects.to_work_on(now).select_for_update(skip_locked=True, of=("self",))
        row = locked.select_related("template", "segment").filter(pk=campaign_id).first()
        if row is None:
            return 0
        if row.state == CampaignState.SCHEDULED:
            row.state = CampaignState.RUNNING
            row.save(update_fields=["state"])
        if not row.is_listed:
            return _list(row, now=now)
        count = _release(row, now=now)
        if not count:
            _finish(row, now=now)
        return count


def audience(row: Campaign, *, now: datetime) -> QuerySet[Customer]:
    """The customers of its segment that it may write to."""
    assert row.segment is not None
    found = segments.customers(row.segment.filter, now=now)
    for team in {row.team_id, row.segment.team_id} - {None}:
        found = found.filter(_in_team(team))
    return found


def _in_team(team_id: int | None) -> Exists:
    return Exists(Customer.teams.through.objects.filter(customer=OuterRef("pk"), team=team_id))


def _list(row: Campaign, *, now: datetime) -> int:
    """The next recipients of the segment, in the order of their ids."""
    people = audience(row, now=row.starts_at or now).filter(pk__gt=row.listed_to).order_by("pk")
    found = list(people.values_list("pk", flat=True)[:LISTED_AT_ONCE])
    recipients = [
        CampaignRecipient(campaign=row, customer_id=pk, way=way, due_at=now)
        for pk in found
        for way in row.ways
    ]
    bulk.insert(CampaignRecipient, recipients)
    row.listed_to = found[-1] if found else row.listed_to
    row.is_listed = len(found) < LISTED_AT_ONCE
    row.save(update_fields=["listed_to", "is_listed"])
    return len(found) or 1


# Releasing


@dataclass(slots=True)
class _Places:
    """Moments at which one more may go out, at the campaign's pace."""

    next_at: datetime
    interval: timedelta
    until: datetime

    def take(self) -> datetime | None:
        if self.next_at > self.until:
            return None
        taken, self.next_at = self.next_at, self.next_at + self.interval
        return taken


@dataclass(slots=True)
class _Round:
    """What became of the recipients that were looked at."""

    changed: list[CampaignRecipient] = field(default_factory=list)
    drafts: list[deliveries.Draft] = field(default_factory=list)


def _release(row: Campaign, *, now: datetime) -> int:
    places = _Places(max(row.given_until or now, now), row.interval, now + AHEAD)
    version = templates.current(row.template)
    if (
        places.next_at > places.until
        or version is None
        or not row.template.is_active
        or _is_full(row, now=now)
    ):
        return 0
    coming = CampaignRecipient.objects.filter(campaign=row, is_planned=False, due_at__lte=now + AHEAD)
    recipients = list(coming.select_related("customer").order_by("due_at", "id")[:LOOKED_AT_AT_ONCE])
    if not recipients:
        return 0
    made = _look_at(row, recipients, places, version_id=version.pk, now=now)
    deliveries.make_many(made.drafts, now=now)
    bulk.update(made.changed, ["due_at", "reason", "is_planned", "address"])
    if row.given_until != places.next_at:
        row.given_until = places.next_at
        row.save(update_fields=["given_until"])
    return len(made.changed)


def _is_full(row: Campaign, *, now: datetime) -> bool:
    """So much is due and not sent: the gateway rests, the queue is paused or slower than the campaign."""
    due = Delivery.objects.due(now).filter(cause=row.cause, priority=Priority.BULK, way__in=row.ways)
    return due.count() >= min(row.per_minute, MOST_WAITING)


def _look_at(
    row: Campaign,
    recipients: Sequence[CampaignRecipient],
    places: _Places,
    *,
    version_id: int,
    now: datetime,
) -> _Round:
    made = _Round()
    drafts = [draft_of(row, recipient, version_id=version_id, at=now) for recipient in recipients]
    known = facts.gather([deliveries.unsaved(draft, now=now) for draft in drafts], now=now)
    before = Before.of(row, recipients, {one.recipient.address for one in known})
    for recipient, draft, one in zip(recipients, drafts, known, strict=True):
        verdict = before.verdict(row, recipient, one, now=now)
        if isinstance(verdict, planning.Suppressed):
            recipient.is_planned, recipient.reason = True, ""
            made.drafts.append(replace(draft, suppressed=verdict.reason))
        elif (moment := _moment(verdict)) > places.until:
            recipient.due_at, recipient.reason = moment, getattr(verdict, "reason", "")
        elif place := places.take():
            recipient.is_planned, recipient.address, recipient.reason = True, one.recipient.address, ""
            before.addresses.add((recipient.way, recipient.address))
            made.drafts.append(replace(draft, at=max(moment, place)))
        else:
            continue
        made.changed.append(recipient)
    return made


def _moment(verdict: planning.Goes | planning.Held) -> datetime:
    return verdict.at if isinstance(verdict, planning.Goes) else verdict.until


def draft_of(
    row: Campaign, recipient: CampaignRecipient, *, version_id: int, at: datetime
) -> deliveries.Draft:
    return deliveries.Draft(
        cause=row.cause,
        to=recipient.customer,
        way=recipient.way,
        at=at,
        purpose_id=row.template.purpose_id,
        template_version_id=version_id,
        context={f"list.{name}": value for name, value in recipient.values.items()},
        priority=Priority.BULK,
    )


@dataclass(slots=True)
class Before:
    """What the campaign did earlier that concerns these recipients, and who of them is still of its team."""

    members: set[int] | None
    addresses: set[tuple[str, str]]
    # Who had it under a record that was merged into his since.
    merged: set[tuple[int | None, str]]

    @classmethod
    def of(cls, row: Campaign, recipients: Sequence[CampaignRecipient], addresses: Iterable[str]) -> Before:
        people = [recipient.customer_id for recipient in recipients]
        out = CampaignRecipient.objects.filter(campaign=row, way__in=row.ways).exclude(address="")
        merged = out.filter(customer__merged_into__in=people)
        return cls(
            _members(row, people),
            set(out.filter(address__in=set(addresses)).values_list("way", "address")),
            set(merged.values_list("customer__merged_into", "way")),
        )

    def verdict(
        self, row: Campaign, recipient: CampaignRecipient, known: facts.Known, *, now: datetime
    ) -> planning.Verdict:
        person = known.recipient
        had_it = (recipient.way, person.address) in self.addresses or (
            recipient.customer_id,
            recipient.way,
        ) in self.merged
        is_gone = self.members is not None and recipient.customer_id not in self.members
        slot = replace(known.slot, at=campaigns.slot_of(row, zone=person.zone, now=now))
        person = replace(person, is_active=person.is_active and not is_gone, had_it=person.had_it or had_it)
        return planning.plan(slot, person, known.rule, now=now)


def _members(row: Campaign, people: Sequence[int]) -> set[int] | None:
    """Who is still a customer of its team; a double is what he was merged into. None: of everybody's customers."""
    if row.team_id is None:
        return None
    there = Customer.objects.filter(pk__in=people).filter(_in_team(row.team_id))
    return set(there.values_list("pk", flat=True))


def _finish(row: Campaign, *, now: datetime) -> None:
    """Over when nobody waits to be looked at, and nothing is on its way."""
    if row.recipients.filter(is_planned=False).exists():
        return
    if Delivery.objects.filter(cause=row.cause, state__in=OPEN_STATES).exists():
        return
    row.state, row.ended_at = CampaignState.DONE, now
    row.save(update_fields=["state", "ended_at"])
    events.record(CampaignFinished(campaign=row.pk), stream=row.stream, actor=SYSTEM)
