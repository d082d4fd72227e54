"""One text to many customers: who they are (segments, uploaded lists), and how far it has come."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from apps.users.models import Customer, Team, validate_time_zone

from ..choices import CampaignState, Reason, Way
from .texts import Template

MOST_PER_MINUTE = 60_000


class Segment(models.Model):
    """A saved filter over customers."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    team = models.ForeignKey(
        Team,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="segments",
        verbose_name=_("team"),
        help_text=_("Only this team uses it, and only its customers are in it. Empty: for every team."),
    )
    # What `segments.checked` returns: all of it must hold.
    filter = models.JSONField(_("filter"), default=dict, blank=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CampaignQuerySet(models.QuerySet):
    def to_work_on(self, now: datetime) -> CampaignQuerySet:
        """Those whose time has come and that are not over, the oldest first."""
        begun = Q(state=CampaignState.SCHEDULED, starts_at__lte=now) | Q(state=CampaignState.RUNNING)
        return self.filter(begun).order_by("id")


class Campaign(models.Model):
    """One text to many customers, at a pace, nobody twice."""

    name = models.CharField(_("name"), max_length=100)
    template = models.ForeignKey(
        Template,
        models.PROTECT,
        related_name="campaigns",
        verbose_name=_("template"),
        help_text=_("Its purpose decides who may get it at all, and on which days and hours."),
    )
    ways = models.JSONField(_("ways"), default=list)
    team = models.ForeignKey(
        Team,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="campaigns",
        verbose_name=_("team"),
        help_text=_("Only this team's customers get it. Empty: everybody's (for administrators)."),
    )
    segment = models.ForeignKey(
        Segment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="campaigns",
        verbose_name=_("segment"),
        help_text=_("Empty: the customers of a list that you upload afterwards."),
    )
    # A wall time in `zone` (empty: in each recipient's own); without one as soon as it is started.
    date = models.DateField(_("date"), null=True, blank=True)
    time = models.TimeField(_("time"), null=True, blank=True)
    zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text=_("Empty: by each recipient's own clock."),
    )
    # In each recipient's own zone; empty: whenever the sending rules allow.
    local_from = models.TimeField(_("not before (local time)"), null=True, blank=True)
    local_until = models.TimeField(_("not after (local time)"), null=True, blank=True)
    per_minute = models.PositiveIntegerField(
        _("most per minute"),
        default=600,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PER_MINUTE)],
    )
    state = models.CharField(
        _("state"), max_length=10, choices=CampaignState, default=CampaignState.DRAFT, editable=False
    )
    # When its recipients are looked at for the first time.
    starts_at = models.DateTimeField(_("starts at"), null=True, editable=False)
    # Of a segment: whoever has a lower id is a recipient already, or is none. `is_listed`: that is everybody.
    listed_to = models.BigIntegerField(default=0, editable=False)
    is_listed = models.BooleanField(default=False, editable=False)
    # The pace: until when its places are given away.
    given_until = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(_("ended at"), null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        editable=False,
        verbose_name=_("made by"),
    )
    created_at = models.DateTimeField(_("made at"), default=timezone.now, editable=False)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(state__in=["scheduled", "running"]), name="campaign_to_work_on"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def stream(self) -> str:
        return self.cause

    @property
    def cause(self) -> str:
        """What its deliveries name."""
        return f"campaign:{self.pk}"

    @property
    def interval(self) -> timedelta:
        """From one message to the next, at its pace."""
        return timedelta(minutes=1) / self.per_minute

    @property
    def wall(self) -> datetime | None:
        """The wall time it is meant for; None: as soon as it is started."""
        return _wall(self.date, self.time)


def _wall(day: date | None, at: time | None) -> datetime | None:
    return datetime.combine(day, at) if day is not None and at is not None else None


class CampaignRecipient(models.Model):
    """Somebody a campaign goes to by one way, fixed when it starts; `values` are the columns of an uploaded list."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="recipients")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    way = models.CharField(_("way"), max_length=10, choices=Way)
    values = models.JSONField(default=dict)
    # When it is looked at next, and why not before.
    due_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=20, choices=Reason, blank=True)
    # Its delivery exists: it went to the sending queue, or says why it did not.
    is_planned = models.BooleanField(default=False)
    # Where it went then; nobody else of the campaign has it.
    address = models.CharField(max_length=254, blank=True)

    class Meta:
        verbose_name = _("campaign recipient")
        verbose_name_plural = _("campaign recipients")
        constraints = [
            models.UniqueConstraint(fields=["campaign", "customer", "way"], name="campaign_recipient_once"),
            models.UniqueConstraint(
                fields=["campaign", "way", "address"],
                condition=~Q(address=""),
                name="campaign_address_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["campaign", "due_at", "id"], condition=Q(is_planned=False), name="campaign_to_plan"
            )
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id} → {self.customer_id}"
