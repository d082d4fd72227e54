"""What a campaign would do if it were started now, and what campaigns that go on still have for somebody. Read-only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from apps.users.models import Customer

from . import planning
from .choices import CampaignState, Reason
from .models import Campaign, CampaignRecipient, Delivery, TemplateVersion
from .services import campaigns, deliveries, facts, feeding, rendering, templates

LOOKED_AT = 200
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of some of the recipients if it were started now: counts, by reason."""

    looked_at: int
    goes: int = 0
    held: dict[Reason, int] = field(default_factory=dict)
    suppressed: dict[Reason, int] = field(default_factory=dict)


def foresee(row: Campaign, recipients: Sequence[CampaignRecipient], *, now: datetime) -> Foreseen:
    """By the same function as the sending; writes nothing."""
    version = templates.current(row.template)
    if version is None:
        return Foreseen(0)
    drafts = [feeding.draft_of(row, recipient, version_id=version.pk, at=now) for recipient in recipients]
    known = facts.gather([deliveries.unsaved(draft, now=now) for draft in drafts], now=now)
    before = feeding.Before(None, set(), set())
    found = Foreseen(len(recipients))
    goes = 0
    for recipient, one in zip(recipients, known, strict=True):
        match before.verdict(row, recipient, one, now=now):
            case planning.Goes():
                goes += 1
                before.addresses.add((recipient.way, one.recipient.address))
            case planning.Held(_, reason):
                found.held[reason] = found.held.get(reason, 0) + 1
            case planning.Suppressed(reason):
                found.suppressed[reason] = found.suppressed.get(reason, 0) + 1
    return replace(found, goes=goes)


@dataclass(frozen=True, slots=True)
class Preview:
    """`count` are customers; `foreseen` counts messages to the first of them, one for each way."""

    count: int
    sample: list[Customer]
    foreseen: Foreseen

    @property
    def held(self) -> list[tuple[str, int]]:
        return [(str(Reason(reason).label), count) for reason, count in self.foreseen.held.items()]

    @property
    def suppressed(self) -> list[tuple[str, int]]:
        return [(str(Reason(reason).label), count) for reason, count in self.foreseen.suppressed.items()]


def of(row: Campaign, *, now: datetime) -> Preview:
    """By the same functions as the sending itself; writes nothing, and looks at no more than LOOKED_AT customers."""
    meant = _meant(row, now=now)
    first = list(meant.order_by("pk")[:LOOKED_AT])
    recipients = [
        CampaignRecipient(campaign=row, customer=customer, way=way) for customer in first for way in row.ways
    ]
    return Preview(meant.count(), first[:SHOWN], foresee(row, recipients, now=now))


def _meant(row: Campaign, *, now: datetime) -> QuerySet[Customer]:
    if row.segment is not None:
        return feeding.audience(row, now=now)
    listed = CampaignRecipient.objects.filter(campaign=row, way=row.ways[0])
    return Customer.objects.filter(pk__in=listed.values("customer"))


def coming(people: Collection[Customer], *, now: datetime) -> list[Delivery]:
    """What campaigns that go on still have for these customers, as deliveries that are not saved: `slot_at` is when
    each is meant for, `due_at` when its turn comes. A query for each."""
    going = (CampaignState.SCHEDULED, CampaignState.RUNNING)
    theirs = CampaignRecipient.objects.filter(customer__in=people, is_planned=False)
    waiting = list(
        theirs.filter(campaign__state__in=going)
        .select_related("customer", "campaign__template")
        .order_by("pk")
    )
    if not waiting:
        return []
    in_force = templates.current_of({one.campaign.template_id for one in waiting})
    versions = TemplateVersion.objects.select_related("template").in_bulk(in_force.values())
    made = []
    for one in waiting:
        if (version := versions.get(in_force.get(one.campaign.template_id, 0))) is not None:
            draft = feeding.draft_of(one.campaign, one, version_id=version.pk, at=now)
            row = deliveries.unsaved(draft, now=now)
            row.slot_at = campaigns.slot_of(one.campaign, zone=rendering.zone_of(row), now=now)
            row.due_at = _turn_of(one, slot=row.slot_at, now=now)
            row.template_version = version
            made.append(row)
    return made


def _turn_of(recipient: CampaignRecipient, *, slot: datetime, now: datetime) -> datetime:
    """When the pace lets go what is meant for `slot`: after all that are looked at before it, in groups that come due
    together, as `feeding` releases them. At the latest: some of those may not go out, and then take no turn."""
    row = recipient.campaign
    is_before = Q(due_at__lt=recipient.due_at) | Q(due_at=recipient.due_at, pk__lt=recipient.pk)
    before = CampaignRecipient.objects.filter(is_before, campaign=row, is_planned=False)
    groups = before.order_by().values_list("due_at").annotate(Count("pk"))
    turn = max(row.given_until or now, now)
    # Who was not looked at yet waits for a slot like this one.
    for due_at, how_many in sorted((slot if due <= now < slot else due, count) for due, count in groups):
        turn = max(turn, due_at) + how_many * row.interval
    return max(turn, slot, recipient.due_at)
