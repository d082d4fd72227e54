"""Reminders and appointments: set up here, carried on by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    CheckboxesWidget,
    InfinitePaginator,
    ModelAdmin,
    SelectWidget,
    TextWidget,
    action,
    display,
    link,
    register,
)
from apps.core.admin_rows import do_each
from apps.core.admin_saving import TellsWhy, become
from apps.messaging.selectors import conversations_visible_to
from apps.users import selectors as people
from apps.users.forms import zone_choices
from apps.users.permissions import user_of

from .. import offsets, selectors
from ..choices import Way
from ..models import Appointment, Reminder, Template
from ..services import appointments, reminders
from . import ledger

REPEATS = [
    ("", _("once")),
    ("FREQ=DAILY", _("every day")),
    ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", _("every working day (Monday to Friday)")),
    ("FREQ=WEEKLY", _("every week")),
    ("FREQ=MONTHLY", _("every month")),
    ("FREQ=YEARLY", _("every year")),
]
BEFORE, AFTER = "before", "after"
_SIDES = [(BEFORE, _("before it begins")), (AFTER, _("after it has begun"))]
_UNITS = [(offsets.MINUTES, _("minutes")), (offsets.HOURS, _("hours")), (offsets.DAYS, _("days"))]
_WAYS = [(way.value, way.label) for way in (Way.EMAIL, Way.SMS, Way.IN_APP)]


class ReminderForm(forms.ModelForm):
    ways = forms.MultipleChoiceField(label=_("Ways"), choices=_WAYS, widget=CheckboxesWidget)
    repeats = forms.ChoiceField(label=_("Repeats"), choices=REPEATS, required=False, widget=SelectWidget)
    zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=lambda: [("", _("the recipient's own")), *zone_choices()],
        widget=SelectWidget,
    )
    is_second_time = forms.BooleanField(
        label=_("the second time"),
        required=False,
        help_text=_("Only on the night the clocks go back, when the time exists twice."),
    )
    span = forms.IntegerField(
        label=_("How long"),
        required=False,
        min_value=0,
        widget=TextWidget(attrs={"type": "number", "min": 0}),
    )
    unit = forms.ChoiceField(label=_("Unit"), choices=_UNITS, initial=offsets.HOURS, widget=SelectWidget)
    side = forms.ChoiceField(label=_("Before or after"), choices=_SIDES, widget=SelectWidget)

    class Meta:
        model = Reminder
        fields = (
            "customer",
            "user",
            "template",
            "ways",
            "note",
            "conversation",
            "date",
            "time",
            "zone",
            "rrule",
            "appointment",
            "expires_at",
            "catch_up",
        )
        labels = {"rrule": _("… or by a rule")}
        help_texts = {
            "conversation": _("What it is about, if anything: the text may speak of it and link to it."),
        }

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if bool(data.get("customer")) == bool(data.get("user")):
            self.add_error("customer", _("Choose a customer or a colleague."))
        data["rrule"] = data.get("rrule") or data.get("repeats", "")
        data["offset_minutes"] = self._offset(data)
        return data

    def _offset(self, data: dict[str, Any]) -> int | None:
        appointment, span = data.get("appointment"), data.get("span")
        if appointment and span is None and "span" not in self.errors:
            self.add_error("span", _("Say how long before or after it begins."))
        if span is not None and not appointment and "appointment" not in self.errors:
            self.add_error("appointment", _("Choose the appointment."))
        if span is None or not {"unit", "side"} <= data.keys():
            return None
        return offsets.minutes_of(span, data["unit"], is_before=data["side"] == BEFORE)

    def _post_clean(self) -> None:
        """The service looks at the whole; constraints of the row would only say less clearly what it says."""


class TimeForm(forms.Form):
    date = forms.DateField(label=_("Date"), widget=TextWidget(attrs={"type": "date"}))
    time = forms.TimeField(label=_("Time"), widget=TextWidget(attrs={"type": "time"}))
    zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=lambda: [("", _("as it was")), *zone_choices()],
        widget=SelectWidget,
    )
    is_second_time = forms.BooleanField(
        label=_("the second time"),
        required=False,
        help_text=_("Only on the night the clocks go back, when the time exists twice."),
    )


@register(Reminder)
class ReminderAdmin(TellsWhy, ModelAdmin):
    form = ReminderForm
    paginator = InfinitePaginator
    list_display = ["person", "template", "next_time", "rule", "state"]
    empty_hint = _(
        "For a customer or a colleague, once or again and again, or so long before an appointment."
    )
    list_filter = ["state"]
    list_select_related = ["customer", "user", "template"]
    search_fields = ["customer__name", "user__name"]
    ordering = ["-id"]
    actions = ["reschedule", "cancel"]
    autocomplete_fields = ["customer", "conversation"]
    readonly_fields = [
        "state", "next_time", "person", "template_name", "ways_named", "about", "wall_time", "clock", "rule",
        "before", "until", "created_by", "created_at",
    ]  # fmt: skip
    change_form_outer_after_template = "admin/notifications/reminder/ledger.html"
    fieldsets = [
        (_("Who"), {"fields": ["customer", "user"]}),
        (_("What"), {"fields": ["template", "ways", "note", "conversation"]}),
        (
            _("When"),
            {
                "fields": [("date", "time"), "zone", ("repeats", "rrule"), "is_second_time"],
                "description": _("By the recipient's own clock, unless you name a time zone."),
            },
        ),
        (
            _("… or by an appointment"),
            {
                "fields": ["appointment", ("span", "unit"), "side"],
                "description": _("If the appointment is moved, the reminder moves with it."),
            },
        ),
        (_("Limits"), {"fields": ["expires_at", "catch_up"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reminder]:
        visible = selectors.reminders_visible_to(user_of(request))
        return super().get_queryset(request).filter(pk__in=visible.values("pk"))

    def get_fieldsets(self, request: HttpRequest, obj: Reminder | None = None) -> Any:
        return super().get_fieldsets(request, obj) if obj is None else self._shown(obj)

    @staticmethod
    def _shown(reminder: Reminder) -> list[tuple[Any, dict[str, Any]]]:
        """What was set, and nothing of what was not."""
        of = [name for name in ("note", "team") if getattr(reminder, name)]
        about = ["about"] if reminder.conversation_id else []
        when = ["before"] if reminder.appointment_id else ["wall_time", "clock", "rule"]
        return [
            (None, {"fields": ["state", "next_time"]}),
            (_("What"), {"fields": ["person", "template_name", "ways_named", *of, *about]}),
            (_("When"), {"fields": when}),
            (_("Limits"), {"fields": ["until", "catch_up"]}),
            (_("Set up"), {"fields": ["created_by", "created_at"]}),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        reminder = self.get_object(request, object_id)
        shown = ledger.of_reminder(request, reminder) if reminder else {}
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        asks = user_of(request)
        offered: dict[str, QuerySet] = {
            "customer": people.customers_visible_to(asks),
            "user": people.users_visible_to(asks).filter(is_active=True),
            "template": Template.objects.filter(is_active=True, version__gt=0),
            "conversation": conversations_visible_to(asks),
            "appointment": selectors.appointments_visible_to(asks)
            .filter(is_cancelled=False, starts_at__gt=timezone.now())
            .select_related("customer"),
        }
        if db_field.name in offered:
            kwargs["queryset"] = offered[db_field.name]
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "appointment":
            field.label_from_instance = _whose
        return field

    def has_change_permission(self, request: HttpRequest, obj: Reminder | None = None) -> bool:
        return False  # cancelled and set up anew, so that what waits and what is shown agree

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.change_reminder")

    def has_delete_permission(self, request: HttpRequest, obj: Reminder | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Reminder, form: Any, change: bool) -> None:
        by, data = user_of(request), form.cleaned_data
        plan = reminders.Plan(
            template=data["template"],
            to=data["customer"] or data["user"],
            ways=data["ways"],
            date=data["date"],
            time=data["time"],
            fold=1 if data["is_second_time"] else None,
            zone=data["zone"] or "",
            rrule=data["rrule"],
            conversation=data["conversation"],
            appointment=data["appointment"],
            offset_minutes=data["offset_minutes"],
            note=data["note"] or "",
            expires_at=data["expires_at"],
            catch_up=data["catch_up"],
            team=selectors.team_for(by, data["customer"]),
        )
        become(obj, reminders.schedule(plan, by=by, now=timezone.now()))

    @action(description=_("Reschedule …"), permissions=["cancel"])
    def reschedule(self, request: HttpRequest, queryset: QuerySet[Reminder]) -> HttpResponse | None:
        """Asks for the time first."""
        form = TimeForm(request.POST if "apply" in request.POST else None)
        if not form.is_valid():
            context = self.admin_site.each_context(request) | {
                "title": gettext("Reschedule"),
                "opts": self.opts,
                "form": form,
                "chosen": [
                    {"pk": row.pk, "person": self.person(row), "template": row.template} for row in queryset
                ],
            }
            return TemplateResponse(request, "admin/notifications/reschedule.html", context)
        given = dict(form.cleaned_data)
        given["fold"] = 1 if given.pop("is_second_time") else None
        by, now = user_of(request), timezone.now()
        do_each(request, queryset, lambda row: reminders.reschedule(row.pk, by=by, now=now, **given))
        return None

    @action(description=_("Cancel the selected reminders"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Reminder]) -> None:
        by, now = user_of(request), timezone.now()
        do_each(request, queryset, lambda row: reminders.cancel(row.pk, by=by, now=now))

    @display(description=_("to"))
    def person(self, reminder: Reminder) -> Model | None:
        return reminder.customer or reminder.user

    @display(description=_("template"))
    def template_name(self, reminder: Reminder) -> str:
        return reminder.template.name

    @display(description=_("ways"))
    def ways_named(self, reminder: Reminder) -> str:
        return ", ".join(str(Way(way).label) for way in reminder.ways)

    @display(description=_("next"), ordering="next_at")
    def next_time(self, reminder: Reminder) -> str:
        """By the recipient's clock, which is the one that counts."""
        if reminder.next_at is None:
            return "–"
        return _moment(reminder.next_at, reminder)

    @display(description=_("about"))
    def about(self, reminder: Reminder) -> SafeString:
        path = reverse("admin:messaging_conversation_change", args=[reminder.conversation_id])
        return link(path, reminder.conversation)

    @display(description=_("time"))
    def wall_time(self, reminder: Reminder) -> str:
        said = date_format(reminders.start_of(reminder), "D j M Y, H:i")
        return gettext("%(time)s, the second time") % {"time": said} if reminder.fold else said

    @display(description=_("by the clock of"))
    def clock(self, reminder: Reminder) -> str:
        return reminder.zone or gettext("the recipient (%(zone)s)") % {"zone": reminders.zone_of(reminder)}

    @display(description=_("by an appointment"))
    def before(self, reminder: Reminder) -> SafeString:
        appointment = reminder.appointment
        assert appointment is not None  # see _shown
        path = reverse("admin:notifications_appointment_change", args=[appointment.pk])
        said = offsets.in_words(reminder.offset_minutes or 0)
        at = _moment(appointment.starts_at, reminder)
        return format_html("{}: {}, {}", said, link(path, appointment), at)

    @display(description=_("not after"))
    def until(self, reminder: Reminder) -> str:
        if reminder.expires_at:
            return _moment(reminder.expires_at, reminder)
        is_before = reminder.appointment_id and (reminder.offset_minutes or 0) < 0
        return gettext("the beginning of the appointment") if is_before else gettext("no limit")

    @display(description=_("repeats"))
    def rule(self, reminder: Reminder) -> Any:
        return dict(REPEATS).get(reminder.rrule, reminder.rrule)


def _moment(moment: datetime, reminder: Reminder) -> str:
    return date_format(moment.astimezone(reminders.zone_of(reminder)), "D j M Y, H:i T")


def _whose(appointment: Appointment) -> str:
    """Many have the same title. By the viewer's clock, like the list of appointments."""
    at = date_format(timezone.localtime(appointment.starts_at), "D j M Y, H:i")
    return f"{appointment.customer}: {appointment.title}, {at}"


@register(Appointment)
class AppointmentAdmin(TellsWhy, ModelAdmin):
    paginator = InfinitePaginator
    list_display = ["title", "customer", "starts_at", "team", "is_cancelled"]
    empty_hint = _("What customers are to come to, or you to them: reminders can be set before it.")
    list_filter = ["is_cancelled"]
    list_select_related = ["customer", "team"]
    search_fields = ["title", "customer__name", "=external_id"]
    ordering = ["-starts_at"]
    actions = ["cancel"]
    autocomplete_fields = ["customer"]
    fields = ["customer", "team", "title", "starts_at", "external_id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Appointment]:
        visible = selectors.appointments_visible_to(user_of(request))
        return super().get_queryset(request).filter(pk__in=visible.values("pk"))

    def get_readonly_fields(self, request: HttpRequest, obj: Appointment | None = None) -> list[str]:
        """Afterwards only its time moves."""
        return [] if obj is None else ["customer", "team", "title", "external_id"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "customer":
            kwargs["queryset"] = people.customers_visible_to(user_of(request))
        if db_field.name == "team":
            kwargs["queryset"] = people.teams_visible_to(user_of(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.change_appointment")

    def has_delete_permission(self, request: HttpRequest, obj: Appointment | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Appointment, form: Any, change: bool) -> None:
        data, now = form.cleaned_data, timezone.now()
        if change:
            become(obj, appointments.move(obj.pk, starts_at=data["starts_at"], by=user_of(request), now=now))
        else:
            become(obj, appointments.make(**data, now=now))

    @action(description=_("Cancel the selected appointments and their reminders"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Appointment]) -> None:
        by, now = user_of(request), timezone.now()
        do_each(request, queryset, lambda row: appointments.cancel(row.pk, by=by, now=now))
