"""Campaigns: set up, started, paused, stopped. What goes out in between is `feeding`'s work."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.core import events
from apps.core.events import Actor
from apps.users.models import Team, User

from .. import errors, recurrence
from ..choices import CampaignState, DeliveryState, Reason, Way
from ..events import CampaignPaused, CampaignResumed, CampaignStarted, CampaignStopped
from ..models import Campaign, CampaignRecipient, Delivery, Segment, Template
from ..planning import moment_of
from . import deliveries, templates

# Ways that lead to customers.
WAYS = (Way.EMAIL, Way.SMS)
# Where a day begins and ends: whoever is reached by his own clock lives in between.
FIRST_ZONE, LAST_ZONE = ZoneInfo("Etc/GMT-14"), ZoneInfo("Etc/GMT+12")
# So much before anybody's time the recipients are written down.
LEAD = timedelta(minutes=5)
_NOT_OVER = (CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.PAUSED)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign says, to whom, when. Without `date` and `time` it begins when it is started; without `zone` they
    are by each recipient's own clock. `team` None: everybody's customers."""

    name: str
    template: Template
    ways: Sequence[str]
    team: Team | None
    segment: Segment | None = None
    date: dt.date | None = None
    time: dt.time | None = None
    zone: str = ""
    local_from: dt.time | None = None
    local_until: dt.time | None = None
    per_minute: int = 600


def create(plan: Plan, *, by: Actor, now: datetime) -> Campaign:
    """A draft. Raises CampaignInvalid; its `fields` say what is wrong."""
    row = Campaign(created_by=by if isinstance(by, User) else None, created_at=now)
    return _save(row, plan)


def update(campaign_id: int, plan: Plan) -> Campaign:
    """Change a draft. Raises CampaignHasBegun, CampaignInvalid."""
    with transaction.atomic():
        return _save(draft(campaign_id), plan)


def draft(campaign_id: int) -> Campaign:
    """The locked row of one that has not been started, in the caller's transaction."""
    row = _locked(campaign_id)
    if row.state != CampaignState.DRAFT:
        raise errors.CampaignHasBegun
    return row


def _save(row: Campaign, plan: Plan) -> Campaign:
    check(row, plan)
    for name in Plan.__dataclass_fields__:
        setattr(row, name, getattr(plan, name))
    row.ways = list(dict.fromkeys(plan.ways))
    try:
        row.full_clean()
    except ValidationError as error:
        raise errors.CampaignInvalid(fields=error.message_dict) from None
    row.save()
    return row


def check(row: Campaign, plan: Plan) -> None:
    """Whether `row` (new or a draft) may become that. Raises CampaignInvalid; its `fields` say what is wrong."""
    wrong: dict[str, list[str]] = {}
    if not plan.ways or set(plan.ways) - set(WAYS):
        wrong["ways"] = [_("Choose e-mail, SMS or both.")]
    if (plan.date is None) != (plan.time is None):
        wrong["time"] = [_("Say both the date and the time, or neither.")]
    if plan.local_from is not None and plan.local_from == plan.local_until:
        wrong["local_until"] = [_("This would leave no time at all.")]
    if plan.segment and plan.segment.team_id and plan.team != plan.segment.team:
        wrong["segment"] = [_("This segment belongs to another team.")]
    has_list = row.pk is not None and row.segment_id is None and row.recipients.exists()
    fixed = (list(plan.ways), plan.team, plan.segment)
    if has_list and fixed != (row.ways, row.team, None):
        wrong["segment"] = [_("There is a list already. Remove it before you change team, segment or ways.")]
    if wrong:
        raise errors.CampaignInvalid(fields=wrong)


# Acts


def start(campaign_id: int, *, by: Actor, now: datetime) -> Campaign:
    """From now on it goes out by itself when its time has come. Writes nothing but its own row: recipients are listed
    in the background. Raises CampaignHasBegun; CampaignNotReady in sentences."""
    with transaction.atomic():
        row = draft(campaign_id)
        if missing := _missing(row) or _too_late(row, now=now):
            raise errors.CampaignNotReady(missing)
        row.state, row.is_listed = CampaignState.SCHEDULED, row.segment_id is None
        row.starts_at = max(_first_moment(row, now=now) - LEAD, now)
        row.save(update_fields=["state", "is_listed", "starts_at"])
        events.record(CampaignStarted(campaign=row.pk), stream=row.stream, actor=by)
        return row


def _missing(row: Campaign) -> str:
    version = templates.current(row.template)
    if not row.template.is_active or version is None:
        return _("Its template is switched off or has no text.")
    without = [str(Way(way).label) for way in row.ways if not version.texts.get(way)]
    if without:
        return _("Its template has no text for: %(ways)s.") % {"ways": ", ".join(without)}
    if row.segment_id is None and not row.recipients.exists():
        return _("Nobody would get it: choose a segment, or upload a list.")
    return ""


def _too_late(row: Campaign, *, now: datetime) -> str:
    wall = row.wall
    if wall is None:
        return ""
    if row.zone and not recurrence.exists(wall, zone=ZoneInfo(row.zone)):
        return _("This time does not exist: the clocks go forward that night.")
    last = moment_of(wall, zone=ZoneInfo(row.zone) if row.zone else LAST_ZONE)
    if not now < last < now + recurrence.HORIZON:
        return str(errors.TimeOutOfRange.detail)
    return ""


def _first_moment(row: Campaign, *, now: datetime) -> datetime:
    wall = row.wall
    return now if wall is None else moment_of(wall, zone=ZoneInfo(row.zone) if row.zone else FIRST_ZONE)


def slot_of(row: Campaign, *, zone: ZoneInfo, now: datetime) -> datetime:
    """When it is meant for a recipient who lives in `zone`: a time that does not exist there is the next one that does,
    one that exists twice is the first."""
    wall = row.wall
    return now if wall is None else moment_of(wall, zone=ZoneInfo(row.zone) if row.zone else zone)


def pause(campaign_id: int, *, by: Actor, now: datetime) -> Campaign:
    """Nothing more is sent: what waits in the sending queue and was never tried is taken back. What is being sent at
    this moment ends, and what failed once is still tried again. Raises CampaignNotRunning."""
    with transaction.atomic():
        row = _locked(campaign_id)
        if row.state not in (CampaignState.SCHEDULED, CampaignState.RUNNING):
            raise errors.CampaignNotRunning
        _take_back(row, now=now)
        row.state = CampaignState.PAUSED
        row.save(update_fields=["state"])
        events.record(CampaignPaused(campaign=row.pk), stream=row.stream, actor=by)
        return row


def _take_back(row: Campaign, *, now: datetime) -> None:
    """Few: `feeding` never has more than a minute's worth in the queue. Those that a sender holds are past it."""
    waiting = Delivery.objects.filter(cause=row.cause, state=DeliveryState.DUE, tries=0)
    taken = list(waiting.select_for_update(skip_locked=True, of=("self",)).only("customer_id", "way"))
    for way in row.ways:
        people = [delivery.customer_id for delivery in taken if delivery.way == way]
        recipients = CampaignRecipient.objects.filter(campaign=row, way=way, customer__in=people)
        recipients.update(is_planned=False, address="", due_at=now)
    Delivery.objects.filter(pk__in=[delivery.pk for delivery in taken]).delete()


def resume(campaign_id: int, *, by: Actor, now: datetime) -> Campaign:
    """It goes on where it was. Raises CampaignNotPaused."""
    with transaction.atomic():
        row = _locked(campaign_id)
        if row.state != CampaignState.PAUSED:
            raise errors.CampaignNotPaused
        is_early = row.starts_at is not None and row.starts_at > now
        row.state = CampaignState.SCHEDULED if is_early else CampaignState.RUNNING
        row.save(update_fields=["state"])
        events.record(CampaignResumed(campaign=row.pk), stream=row.stream, actor=by)
        return row


def stop(campaign_id: int, *, by: Actor, now: datetime) -> Campaign:
    """For good: nothing that waits goes out. Raises CampaignNotRunning (a draft), CampaignOver."""
    with transaction.atomic():
        row = _locked(campaign_id)
        if row.state == CampaignState.DRAFT:
            raise errors.CampaignNotRunning
        if row.state not in _NOT_OVER:
            raise errors.CampaignOver
        cancelled = deliveries.cancel(cause=row.cause, reason=Reason.DROPPED)
        row.state, row.ended_at = CampaignState.STOPPED, now
        row.save(update_fields=["state", "ended_at"])
        fact = CampaignStopped(campaign=row.pk, cancelled=cancelled)
        events.record(fact, stream=row.stream, actor=by)
        return row


def _locked(campaign_id: int) -> Campaign:
    found = (
        Campaign.objects.select_for_update(of=("self",))
        .select_related("template", "team", "segment")
        .filter(pk=campaign_id)
        .first()
    )
    if found is None:
        raise errors.CampaignNotFound
    return found
