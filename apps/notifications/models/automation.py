"""What is sent when something happens (automations), and to many at once (campaigns)."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from apps.users.models import Customer, Team

from ..choices import Audience, CampaignState
from .texts import Template


class Automation(models.Model):
    """When an event happens: this text, to these people, after a while, unless something else happened meanwhile."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    event_type = models.CharField(_("when"), max_length=80)
    # {"rating__lte": 2}: names of the event's payload with a comparison, all of which must hold.
    conditions = models.JSONField(_("only if"), default=dict, blank=True)
    template = models.ForeignKey(
        Template, models.PROTECT, related_name="automations", verbose_name=_("template")
    )
    ways = models.JSONField(_("ways"), default=list)
    audience = models.CharField(_("to"), max_length=20, choices=Audience)
    delay_seconds = models.PositiveIntegerField(_("after seconds"), default=0)
    repeat_seconds = models.PositiveIntegerField(
        _("again every … seconds"), default=0, help_text=_("Until one of the events below settles it.")
    )
    most_repeats = models.PositiveSmallIntegerField(
        _("most repetitions"), default=0, validators=[MaxValueValidator(24)]
    )
    # Types of events of the same stream that make it needless.
    unless = models.JSONField(_("unless meanwhile"), default=list, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("automation")
        verbose_name_plural = _("automations")
        ordering = ["name"]
        indexes = [
            models.Index(fields=["event_type"], condition=Q(is_active=True), name="automation_by_event")
        ]

    def __str__(self) -> str:
        return self.name


class Segment(models.Model):
    """A saved filter over customers."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    team = models.ForeignKey(
        Team, models.PROTECT, null=True, blank=True, related_name="segments", verbose_name=_("team")
    )
    # {"language": "de", "attributes.plan": "gold"}: all of it must hold.
    filter = models.JSONField(_("filter"), default=dict, blank=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Campaign(models.Model):
    """One text to many customers, at a pace, nobody twice."""

    name = models.CharField(_("name"), max_length=100)
    template = models.ForeignKey(
        Template, models.PROTECT, related_name="campaigns", verbose_name=_("template")
    )
    ways = models.JSONField(_("ways"), default=list)
    team = models.ForeignKey(Team, models.PROTECT, related_name="campaigns", verbose_name=_("team"))
    segment = models.ForeignKey(
        Segment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="campaigns",
        verbose_name=_("segment"),
        help_text=_("Empty: the recipients of an uploaded list."),
    )
    starts_at = models.DateTimeField(_("starts at"), null=True, blank=True)
    # In each recipient's own zone; empty: whenever the sending rules allow.
    local_from = models.TimeField(_("not before (local time)"), null=True, blank=True)
    local_until = models.TimeField(_("not after (local time)"), null=True, blank=True)
    per_minute = models.PositiveIntegerField(_("most per minute"), default=600)
    state = models.CharField(
        _("state"), max_length=10, choices=CampaignState, default=CampaignState.DRAFT, editable=False
    )
    started_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def stream(self) -> str:
        return f"campaign:{self.pk}"


class CampaignRecipient(models.Model):
    """Somebody a campaign goes to, fixed when it starts; `values` are the columns of an uploaded list."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="recipients")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    values = models.JSONField(default=dict)
    # Its deliveries exist.
    is_planned = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("campaign recipient")
        verbose_name_plural = _("campaign recipients")
        constraints = [
            models.UniqueConstraint(fields=["campaign", "customer"], name="campaign_recipient_once")
        ]
        indexes = [
            models.Index(fields=["campaign", "id"], condition=Q(is_planned=False), name="campaign_to_plan")
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id} → {self.customer_id}"
