"""When it is said."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.messaging.models import Conversation
from apps.users.models import Customer, Team, validate_time_zone

from ..choices import CatchUp, ReminderState
from .texts import Template


class Appointment(models.Model):
    """Something that happens at a time; reminders can be relative to it and follow it when it moves."""

    customer = models.ForeignKey(
        Customer, models.PROTECT, related_name="appointments", verbose_name=_("customer")
    )
    team = models.ForeignKey(Team, models.PROTECT, related_name="appointments", verbose_name=_("team"))
    title = models.CharField(_("title"), max_length=200)
    starts_at = models.DateTimeField(_("starts at"))
    is_cancelled = models.BooleanField(_("cancelled"), default=False)
    external_id = models.CharField(_("external id"), max_length=100, null=True, blank=True, unique=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("appointment")
        verbose_name_plural = _("appointments")
        ordering = ["starts_at"]
        indexes = [models.Index(fields=["customer", "starts_at"], name="appointment_by_customer")]

    def __str__(self) -> str:
        return self.title


class ReminderQuerySet(models.QuerySet):
    def active(self) -> ReminderQuerySet:
        return self.filter(state=ReminderState.ACTIVE)


class Reminder(models.Model):
    """One text for one customer or one user: once, by a rule, or relative to an appointment.

    Its next occurrence is always there as deliveries (one for each way); they are made in the transaction that made,
    moved or finished an occurrence.
    """

    template = models.ForeignKey(
        Template, models.PROTECT, related_name="reminders", verbose_name=_("template")
    )
    ways = models.JSONField(_("ways"), default=list)
    customer = models.ForeignKey(
        Customer, models.PROTECT, null=True, blank=True, related_name="reminders", verbose_name=_("customer")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reminders",
        verbose_name=_("user"),
    )
    conversation = models.ForeignKey(
        Conversation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reminders",
        verbose_name=_("conversation"),
    )
    appointment = models.ForeignKey(
        Appointment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reminders",
        verbose_name=_("appointment"),
    )
    team = models.ForeignKey(
        Team, models.PROTECT, null=True, blank=True, related_name="reminders", verbose_name=_("team")
    )
    note = models.CharField(_("note"), max_length=500, blank=True, help_text=_("The text's {reminder.note}."))
    # The first occurrence by the wall clock of `zone` (empty: the recipient's own). Empty when relative.
    date = models.DateField(_("date"), null=True, blank=True)
    time = models.TimeField(_("time"), null=True, blank=True)
    # The second of two equal wall times on the night the clocks go back; the first unless somebody asks for it.
    fold = models.PositiveSmallIntegerField(default=0, editable=False)
    zone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[validate_time_zone])
    rrule = models.CharField(
        _("repeats"), max_length=300, blank=True, help_text=_("RFC 5545, like FREQ=DAILY.")
    )
    # Relative to the appointment: -1440 is a day before it.
    offset_minutes = models.IntegerField(_("minutes after the appointment"), null=True, blank=True)
    expires_at = models.DateTimeField(_("not after"), null=True, blank=True)
    catch_up = models.CharField(_("if missed"), max_length=10, choices=CatchUp, default=CatchUp.SEND)
    state = models.CharField(
        _("state"), max_length=10, choices=ReminderState, default=ReminderState.ACTIVE, editable=False
    )
    # Raised when it is moved or planned anew, so that a slot that was called off may come again.
    round = models.PositiveIntegerField(default=0, editable=False)
    # The occurrence whose deliveries exist now: its wall time ("2026-10-25T02:30") and its moment.
    next_slot = models.CharField(max_length=25, blank=True, editable=False)
    next_at = models.DateTimeField(_("next"), null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    objects = ReminderQuerySet.as_manager()

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        constraints = [
            models.CheckConstraint(
                condition=Q(customer=None, user__isnull=False) | Q(customer__isnull=False, user=None),
                name="reminder_has_one_recipient",
            ),
            models.CheckConstraint(
                condition=Q(date__isnull=False, time__isnull=False)
                | Q(appointment__isnull=False, offset_minutes__isnull=False),
                name="reminder_has_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="active"), name="reminder_next"),
            models.Index(fields=["customer", "-id"], name="reminder_by_customer"),
        ]

    def __str__(self) -> str:
        return _("Reminder %(id)s") % {"id": self.pk}

    @property
    def stream(self) -> str:
        return f"reminder:{self.pk}"
