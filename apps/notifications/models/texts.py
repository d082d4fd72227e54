"""What is said, and when it may be said."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from ..choices import PurposeKind, Way


class Purpose(models.Model):
    """Why somebody is written to; customers choose by purpose and way what they want."""

    slug = models.SlugField(_("key"), unique=True)
    name = models.CharField(
        _("name"), max_length=100, help_text=_("Customers read it on their preference page.")
    )
    description = models.CharField(_("description"), max_length=300, blank=True)
    kind = models.CharField(_("kind"), max_length=20, choices=PurposeKind, default=PurposeKind.TRANSACTIONAL)
    is_for_staff = models.BooleanField(
        _("for staff only"), default=False, help_text=_("Customers do not see it on their preference page.")
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("purpose")
        verbose_name_plural = _("purposes")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_marketing(self) -> bool:
        return self.kind == PurposeKind.MARKETING


def every_weekday() -> list[int]:
    return list(range(7))


class SendingRule(models.Model):
    """Quiet hours, allowed days and caps of one purpose by one way, in the recipient's local time."""

    purpose = models.ForeignKey(Purpose, models.CASCADE, related_name="rules", verbose_name=_("purpose"))
    way = models.CharField(_("way"), max_length=10, choices=Way)
    quiet_from = models.TimeField(
        _("quiet from"), null=True, blank=True, help_text=_("Local time of the recipient, like 21:00.")
    )
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    weekdays = models.JSONField(
        _("allowed days"), default=every_weekday, blank=True, help_text=_("0 is Monday, 6 is Sunday.")
    )
    holidays_country = models.CharField(
        _("no sending on public holidays of"), max_length=2, blank=True, help_text=_("A country like DE.")
    )
    holidays_region = models.CharField(_("region"), max_length=10, blank=True)
    most_per_day = models.PositiveSmallIntegerField(_("most per day"), null=True, blank=True)
    most_per_week = models.PositiveSmallIntegerField(_("most per week"), null=True, blank=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("sending rule")
        verbose_name_plural = _("sending rules")
        constraints = [models.UniqueConstraint(fields=["purpose", "way"], name="sending_rule_once")]

    def __str__(self) -> str:
        return f"{self.purpose}, {self.get_way_display()}"


class Template(models.Model):
    """A text with placeholders, by way and language. Saving it makes a new version."""

    slug = models.SlugField(_("key"), unique=True)
    name = models.CharField(_("name"), max_length=100)
    purpose = models.ForeignKey(Purpose, models.PROTECT, related_name="templates", verbose_name=_("purpose"))
    # The version in force; each delivery names the one it used.
    version = models.PositiveIntegerField(_("version"), default=0, editable=False)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """The texts of a template as they were from then on. Never changed."""

    template = models.ForeignKey(
        Template, models.CASCADE, related_name="versions", verbose_name=_("template")
    )
    number = models.PositiveIntegerField(_("version"))
    # {way: {language: {"subject": …, "body": …, "html": …}}}
    texts = models.JSONField(_("texts"), default=dict)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by")
    )
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("template version")
        verbose_name_plural = _("template versions")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="template_version_once")]

    def __str__(self) -> str:
        return f"{self.template} v{self.number}"
