"""Opening hours: a week as people write it, holidays, special days, and whether it is open now."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from holidays import list_supported_countries
from holidays.registry import COUNTRIES

from apps.core.admin_base import HistoryAdmin, SearchSelectWidget, TabularInline, display, register

from .. import hours, openings
from ..models import Calendar, CalendarDay
from ..models.hours import WEEKDAYS
from ..services import bell


def _countries() -> Iterable[tuple[str, str]]:
    """("DE", "Germany"), by name."""
    known = list_supported_countries()
    names = {
        code: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", entry[0])
        for entry in COUNTRIES.values()
        for code in [entry[1]]
    }
    return sorted(((code, names.get(code, code)) for code in known), key=lambda country: country[1])


class CalendarForm(forms.ModelForm):
    zone = forms.ChoiceField(
        label=_("Time zone"),
        widget=SearchSelectWidget,
        choices=lambda: [(name, name) for name in hours.zones()],
        initial=timezone.get_default_timezone_name,
    )
    country = forms.ChoiceField(
        label=_("Closed on public holidays of"),
        required=False,
        widget=SearchSelectWidget,
        choices=lambda: [("", _("no country")), *_countries()],
    )

    class Meta:
        model = Calendar
        fields = ["name", "zone", *WEEKDAYS, "country", "subdivision"]

    def clean(self) -> dict[str, Any]:
        """What is wrong is said at its field."""
        given = self.cleaned_data
        for number, name in enumerate(WEEKDAYS):
            for text in _problems_of_day(number, given.get(name) or ""):
                self.add_error(name, text)
        country, subdivision = given.get("country") or "", given.get("subdivision") or ""
        place = hours.Hours((hours.ALL_DAY,) * 7, country=country, subdivision=subdivision)
        for text in hours.check(place, gettext=_now):
            self.add_error("subdivision", text)
        return given


def _problems_of_day(number: int, text: str) -> list[str]:
    """Of one weekday, as if the rest were in order. What cannot be read is told by the field itself."""
    try:
        ranges = hours.read_ranges(text)
    except ValueError:
        return []
    week = tuple(ranges if day == number else hours.ALL_DAY for day in range(7))
    return hours.check(hours.Hours(week), gettext=_now)


class DayFormSet(BaseInlineFormSet):
    """The last to see the whole: it says what is wrong with the days, and whether it would never open."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        rows = [form.cleaned_data for form in self.forms]
        kept = [row for row in rows if row.get("date") and not row.get("DELETE")]
        days = {row["date"]: hours.SpecialDay(row["name"], hours.read_ranges(row["ranges"])) for row in kept}
        has_week = any(getattr(self.instance, name) for name in WEEKDAYS)
        plan = hours.Hours((hours.ALL_DAY if has_week else (),) * 7, special_days=days)
        if found := hours.check(plan, gettext=_now):
            raise ValidationError([ValidationError(text, code="hours") for text in found])


class DayInline(TabularInline):
    model = CalendarDay
    formset = DayFormSet
    fields = ["date", "name", "ranges"]
    extra = 0
    verbose_name_plural = _("Special days: hours of their own, or closed")


@register(Calendar)
class CalendarAdmin(HistoryAdmin):
    form = CalendarForm
    inlines = [DayInline]
    list_display = ["name", "now", "zone", "holidays_of", "used_by"]
    search_fields = ["name"]
    readonly_fields = ["now", "used_by"]
    fieldsets = [
        (None, {"fields": ["name", "zone", "now", "used_by"]}),
        (
            _("The week"),
            {
                "fields": [*WEEKDAYS],
                "description": _(
                    "Hours of that place, like 08:00-12:30, 13:30-18:00. A day without hours is closed; the whole day "
                    "is 00:00-24:00."
                ),
            },
        ),
        (_("Holidays"), {"fields": ["country", "subdivision"]}),
    ]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        # A calendar is plain rows, so no service tells the router that the office may have opened.
        queues = list(form.instance.queues.values_list("pk", flat=True))
        transaction.on_commit(partial(bell.ring, queues=queues), robust=True)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Calendar]:
        return super().get_queryset(request).prefetch_related("days", "queues")

    @display(description=_("now"))
    def now(self, calendar: Calendar) -> str:
        return "–" if calendar.pk is None else in_words(openings.hours_of(calendar), now=timezone.now())

    @display(description=_("holidays"))
    def holidays_of(self, calendar: Calendar) -> str:
        return "-".join(filter(None, [calendar.country, calendar.subdivision])) or "–"

    @display(description=_("queues"))
    def used_by(self, calendar: Calendar) -> str:
        return "–" if calendar.pk is None else ", ".join(queue.name for queue in calendar.queues.all()) or "–"


def in_words(plan: hours.Hours, *, now: datetime) -> str:
    """`Closed (Christmas Day). Opens Mon 28 Dec, 08:00.` on the viewer's clock."""
    state = hours.is_open(plan, at=now)
    if isinstance(state, hours.Open):
        if state.until is None:
            return _now("Open, always.")
        return _now("Open until %(time)s.") % {"time": _moment(state.until)}
    closed = _now("Closed (%(reason)s).") % {"reason": state.name} if state.name else _now("Closed.")
    if state.until is None:
        return f"{closed} {_now('It does not open again.')}"
    return f"{closed} {_now('Opens %(time)s.') % {'time': _moment(state.until)}}"


def _moment(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return date_format(local, "H:i" if local.date() == timezone.localdate() else "D j M, H:i")
