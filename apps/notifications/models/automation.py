"""What is sent when something happens."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from ..choices import Audience
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
    repeat_seconds = models.PositiveIntegerField(_("again every … seconds"), default=0)
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
