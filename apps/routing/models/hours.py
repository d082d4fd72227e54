"""When queues are open: calendars that several queues may share. `hours` knows what the words in them mean."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from .. import hours

# Monday first, as in `hours.Hours.week`.
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def validate_ranges(text: str) -> None:
    """That it can be read; what is wrong with hours as a whole is said by `hours.check`."""
    try:
        hours.read_ranges(text)
    except ValueError:
        raise ValidationError(
            _("Write hours like 08:00-12:30, 13:30-18:00. Empty means closed."), code="ranges"
        ) from None


def _hours_field(name: Any) -> models.CharField:
    return models.CharField(name, max_length=120, blank=True, validators=[validate_ranges])


class Calendar(models.Model):
    """Opening hours in local time: weekly ranges, public holidays, and days of their own."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    zone = models.CharField(_("time zone"), max_length=60, default="UTC")
    monday = _hours_field(_("Monday"))
    tuesday = _hours_field(_("Tuesday"))
    wednesday = _hours_field(_("Wednesday"))
    thursday = _hours_field(_("Thursday"))
    friday = _hours_field(_("Friday"))
    saturday = _hours_field(_("Saturday"))
    sunday = _hours_field(_("Sunday"))
    country = models.CharField(
        _("public holidays of"),
        max_length=2,
        blank=True,
        help_text=_("Closed on the public holidays of this country. Empty: on none."),
    )
    subdivision = models.CharField(
        _("region"),
        max_length=10,
        blank=True,
        help_text=_("Of the country, if it has holidays of its own: BY for Bavaria, NY for New York."),
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("opening hours")
        verbose_name_plural = _("opening hours")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CalendarDay(models.Model):
    """A date with hours of its own, before whatever the week or a holiday says; without hours it is closed."""

    calendar = models.ForeignKey(
        Calendar, models.CASCADE, related_name="days", verbose_name=_("opening hours")
    )
    date = models.DateField(_("date"))
    name = models.CharField(
        _("reason"), max_length=100, help_text=_("Customers read it: Company outing, Christmas Eve.")
    )
    ranges = models.CharField(
        _("open"),
        max_length=120,
        blank=True,
        validators=[validate_ranges],
        help_text=_("Like 08:00-12:30. Empty: closed."),
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("special day")
        verbose_name_plural = _("special days")
        ordering = ["date"]
        constraints = [models.UniqueConstraint(fields=["calendar", "date"], name="calendar_day_once")]

    def __str__(self) -> str:
        return f"{self.date} {self.name}"
