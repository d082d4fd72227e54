"""Why did (not) I get this: all that was and will be meant for one customer, and for one reminder, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core.admin_base import Panel, SelectWidget, TextWidget, link, panels, site
from apps.users.models import Customer
from apps.users.permissions import user_of
from apps.users.selectors import customers_visible_to

from .. import ledger
from ..choices import Fate
from ..ledger import Line
from ..models import Delivery, Reminder
from ..planning import moment_of
from ..services import reminders

LONGEST = timedelta(days=366)
AROUND = timedelta(days=30)
PERIODS = (7, 30, 90)
_CAUSES = {
    "reminder": _("Reminder"),
    "automation": _("Automation"),
    "campaign": _("Campaign"),
    "message": _("Answer of an agent"),
}
_COLOURS = {
    Fate.GOES: "info",
    Fate.HELD: "warning",
    Fate.WILL_NOT: "danger",
    Fate.SENDING: "info",
    Fate.SENT: "success",
    Fate.DELIVERED: "success",
    Fate.DEAD: "danger",
    Fate.REVIEW: "warning",
    Fate.SUPPRESSED: "danger",
    Fate.CANCELLED: "default",
}
CUSTOMERS, MINE = "customer", "mine"


class PeriodForm(forms.Form):
    """Days by the chosen clock, both included."""

    start = forms.DateField(label=_("from"), required=False, widget=TextWidget(attrs={"type": "date"}))
    end = forms.DateField(label=_("to"), required=False, widget=TextWidget(attrs={"type": "date"}))
    clock = forms.ChoiceField(
        label=_("times by"),
        required=False,
        choices=[(CUSTOMERS, _("the customer's clock")), (MINE, _("my clock"))],
        widget=SelectWidget,
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        start, end = data.get("start"), data.get("end")
        if start and end and not start <= end <= start + LONGEST:
            raise ValidationError(_("Choose up to a year, the earlier day first."))
        return data


@require_safe
def page(request: HttpRequest, pk: int) -> TemplateResponse:
    """One customer. What is foreign or was merged into another record is not there."""
    customer = customers_visible_to(user_of(request)).filter(pk=pk).first()
    if customer is None:
        raise Http404
    now = timezone.now()
    form = PeriodForm(request.GET or None)
    asked = form.cleaned_data if form.is_valid() else {}
    zone = zone_of(customer, asked.get("clock") or CUSTOMERS)
    first, last = _days(asked, now.astimezone(zone).date())
    start, end = (_midnight(day, zone) for day in (first, last + timedelta(days=1)))
    found = ledger.of_customer(customer, start=start, end=end, now=now)
    if not form.is_bound or not form.is_valid():
        form = PeriodForm(form.data or None, initial={"start": first, "end": last})
    context = context_of(found, zone=zone) | {
        "title": _("Notifications of %(name)s") % {"name": customer},
        "customer": customer,
        "form": form,
        "start": first,
        "end": last,
    }
    return TemplateResponse(
        request, "admin/notifications/ledger/page.html", site.each_context(request) | context
    )


def zone_of(customer: Customer, clock: str) -> ZoneInfo:
    if clock == MINE:
        return ZoneInfo(str(timezone.get_current_timezone()))
    return ZoneInfo(customer.time_zone or settings.TIME_ZONE)


def _days(asked: dict[str, Any], today: date) -> tuple[date, date]:
    first: date | None = asked.get("start")
    last: date | None = asked.get("end")
    if first is None:
        first = (last or today) - AROUND
    if last is None:
        last = max(today, first) + AROUND
    return first, min(last, first + LONGEST)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return moment_of(datetime.combine(day, time()), zone=zone)


def of_reminder(request: HttpRequest, reminder: Reminder) -> dict[str, Any]:
    """For the page of one reminder: the coming days it was asked for, and all that is over."""
    asked = request.GET.get("days", "")
    days = int(asked) if asked in map(str, PERIODS) else PERIODS[1]
    now = timezone.now()
    found = ledger.of_reminder(reminder, until=now + timedelta(days=days), now=now)
    zone = reminders.zone_of(reminder)
    return context_of(found, zone=zone) | {"days": days, "periods": PERIODS}


def context_of(found: ledger.Ledger, *, zone: ZoneInfo) -> dict[str, Any]:
    subjects = ledger.subjects_of(line.row.cause for line in found.lines)
    return {
        "zone": zone.key,
        "coming": _rows(found.coming, subjects, zone),
        "past": _rows(found.past, subjects, zone),
        "is_cut": found.is_cut,
        "most": ledger.MOST_LINES,
    }


def _rows(lines: Sequence[Line], subjects: dict[str, Model], zone: ZoneInfo) -> list[dict[str, Any]]:
    return [_row(line, subjects.get(line.row.cause), zone) for line in lines]


def _row(line: Line, subject: Model | None, zone: ZoneInfo) -> dict[str, Any]:
    row = line.row
    kind = row.cause.partition(":")[0]
    version = row.template_version
    return {
        "meant_for": _shown(line.meant_for, zone),
        "at": _shown(line.at, zone) if line.at else "–",
        "kind": _CAUSES.get(kind, kind),
        "what": version.template.name if version else subject or "",
        "cause": _page_of(subject),
        "way": row.get_way_display(),
        "fate": line.fate.label,
        "colour": _COLOURS[line.fate],
        "delivery": reverse("admin:notifications_delivery_change", args=[row.pk]) if row.pk else "",
        "why": " · ".join(filter(None, (str(line.reason.label) if line.reason else "", line.detail))),
    }


def cause_page_of(delivery: Delivery) -> str:
    """The page of what it was made for; empty when there is none (any more)."""
    return _page_of(ledger.subjects_of([delivery.cause]).get(delivery.cause))


def _page_of(subject: Model | None) -> str:
    if subject is None:
        return ""
    return reverse(f"admin:notifications_{subject._meta.model_name}_change", args=[subject.pk])


def _shown(moment: datetime, zone: ZoneInfo) -> str:
    """With the name of the offset: on the night the clocks go back one time is there twice."""
    return date_format(moment.astimezone(zone), "D j M Y, H:i T")


def of_customer(request: HttpRequest, row: Model) -> Panel | None:
    """The way there, on the customer's page."""
    if not request.user.has_perm("notifications.view_delivery"):
        return None
    page = reverse("admin:notifications_delivery_customer", args=[row.pk])
    text = _("Why did (not) this customer get something? All that went out and will.")
    return Panel(_("Notifications"), link(page, text))


panels["users.customer"].append(of_customer)
