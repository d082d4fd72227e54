"""What people want, what does not reach them, and what was put into their notification centre."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.users.models import Customer

from ..choices import ConsentSource, Reason, Way
from .texts import Purpose


class Preference(models.Model):
    """Whether a customer wants a purpose by a way, as he said last; earlier wishes are in the event log."""

    customer = models.ForeignKey(
        Customer, models.CASCADE, related_name="preferences", verbose_name=_("customer")
    )
    purpose = models.ForeignKey(Purpose, models.CASCADE, related_name="+", verbose_name=_("purpose"))
    way = models.CharField(_("way"), max_length=10, choices=Way)
    is_wanted = models.BooleanField(_("wanted"))
    source = models.CharField(_("source"), max_length=20, choices=ConsentSource)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("preference")
        verbose_name_plural = _("preferences")
        constraints = [models.UniqueConstraint(fields=["customer", "purpose", "way"], name="preference_once")]

    def __str__(self) -> str:
        return f"{self.customer}: {self.purpose}, {self.way}"


class Suppression(models.Model):
    """An address nothing is sent to any more, whoever it belongs to."""

    way = models.CharField(_("way"), max_length=10, choices=Way)
    address = models.CharField(_("address"), max_length=500)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason, default=Reason.BOUNCED)
    detail = models.CharField(_("detail"), max_length=300, blank=True)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("suppressed address")
        verbose_name_plural = _("suppressed addresses")
        constraints = [models.UniqueConstraint(fields=["way", "address"], name="suppression_once")]

    def __str__(self) -> str:
        return self.address


class Notice(models.Model):
    """One line of a user's notification centre."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices")
    # The delivery that put it there: a repeated attempt finds it.
    delivery = models.OneToOneField(
        "notifications.Delivery", models.CASCADE, null=True, related_name="notice"
    )
    title = models.CharField(max_length=200)
    body = models.TextField(max_length=2000, blank=True)
    # A path of ours ("/console/c/12/"), or empty.
    link = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        indexes = [
            models.Index(fields=["user", "-id"], name="notice_by_user"),
            models.Index(fields=["user"], condition=Q(read_at=None), name="notice_unread"),
        ]

    def __str__(self) -> str:
        return self.title
