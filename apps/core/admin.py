"""The event log and what still follows from it; and what other packages have that helps an administrator."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import dispatch, incidents, visibility
from .admin_base import (
    DropdownFilter,
    InfinitePaginator,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    TextFilter,
    action,
    display,
    exact,
    register,
    site,
)
from .events import Fact
from .models import ErrorGroup, Event, Handling


class TypeFilter(DropdownFilter):
    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The types the program knows; asking the log which it holds would read all of it."""
        return [(name, name) for name in sorted({fact.type for fact in Fact.__subclasses__()})]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(type=self.value()) if self.value() else queryset


class ActorFilter(TextFilter):
    title = _("actor (user:5, customer:7, system)")
    parameter_name = "actor"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(actor=self.value().strip()) if self.value() else queryset


class StreamSearch:
    """The search box finds one stream by its whole name, which has an index; parts of names would read everything."""

    search_fields = ["stream"]
    search_help_text = _("A stream: conversation:12, agent:3, user:5, customer:7")
    # Counts beside the filters would count the log once for each type.
    show_facets = ShowFacets.NEVER

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        return (queryset.filter(stream=term) if term else queryset), False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)  # type: ignore[misc]
        return visibility.visible(rows, to=request.user)


@register(Event)
class EventAdmin(StreamSearch, ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = ["moment", "type", "stream_link", "actor", "summary"]
    list_filter = [TypeFilter, ActorFilter, ("at", RangeDateTimeFilter)]
    list_filter_submit = True
    ordering = ["-id"]
    fields = ["type", "stream_link", "actor", "moment", "payload_table"]

    @display(description=_("at"))
    def moment(self, event: Event) -> str:
        """To the second and shorter than the usual format: the log is read by comparing times."""
        return exact(event.at)

    @display(description=_("stream"))
    def stream_link(self, event: Event) -> SafeString:
        address = reverse("admin:core_event_changelist")
        return format_html('<a href="{}?q={}">{}</a>', address, event.stream, event.stream)

    @display(description=_("payload"))
    def summary(self, event: Event) -> str:
        return " · ".join(f"{name} {_shown(value)}" for name, value in event.payload.items())

    @display(description=_("payload"))
    def payload_table(self, event: Event) -> SafeString:
        rows = format_html_join(
            "",
            '<tr><th scope="row" class="pr-6 py-1 text-left font-semibold">{}</th><td class="py-1">{}</td></tr>',
            ((name, _shown(value)) for name, value in event.payload.items()),
        )
        return format_html("<table><tbody>{}</tbody></table>", rows)


class StateFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("dead", _("Dead")), ("waiting", _("Waiting"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(is_dead=self.value() == "dead") if self.value() else queryset


@register(Handling)
class HandlingAdmin(StreamSearch, ReadOnlyAdmin):
    list_display = ["subscriber", "event_type", "stream", "state", "tries", "due", "error_line"]
    list_filter = [StateFilter]
    list_filter_submit = True
    list_select_related = ["event"]
    ordering = ["-is_dead", "id"]
    actions = ["retry"]
    fields = ["subscriber", "event_link", "stream", "state_name", "tries", "due", "error_text"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.change_handling")

    @action(description=_("Retry the selected dead follow-ups"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Handling]) -> None:
        count = dispatch.retry(list(queryset.values_list("id", flat=True)))
        text = ngettext(
            "%(count)s follow-up is put back to work.", "%(count)s follow-ups are put back to work.", count
        )
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, text % {"count": count} if count else _("None of these is dead."), level)

    @display(description=_("state"), label={"dead": "danger", "waiting": "info"})
    def state(self, handling: Handling) -> tuple[str, Any]:
        return ("dead", _("Dead")) if handling.is_dead else ("waiting", _("Waiting"))

    @display(description=_("state"))
    def state_name(self, handling: Handling) -> Any:
        return self.state(handling)[1]

    @display(description=_("due at"))
    def due(self, handling: Handling) -> str:
        return exact(handling.due_at)

    @display(description=_("event"))
    def event_type(self, handling: Handling) -> str:
        return handling.event.type

    @display(description=_("event"))
    def event_link(self, handling: Handling) -> SafeString:
        address = reverse("admin:core_event_change", args=[handling.event_id])
        return format_html('<a href="{}">{}</a>', address, handling.event)

    @display(description=_("last error"))
    def error_line(self, handling: Handling) -> str:
        first = handling.last_error.partition("\n")[0]
        return first if len(first) <= 100 else f"{first[:99]}…"

    @display(description=_("last error"))
    def error_text(self, handling: Handling) -> SafeString:
        return format_html('<pre class="overflow-x-auto text-xs">{}</pre>', handling.last_error)


class IncidentFilter(DropdownFilter):
    title = _("incident")
    parameter_name = "incident"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("Not acknowledged")), ("any", _("All incidents"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "open":
                return queryset.alarming()  # type: ignore[attr-defined]
            case "any":
                return queryset.filter(alarmed_at__isnull=False)
            case _:
                return queryset


@register(ErrorGroup)
class ErrorGroupAdmin(ReadOnlyAdmin):
    list_display = ["title", "place", "state", "count", "last_seen"]
    list_filter = [IncidentFilter]
    empty_hint = _("Errors of the program are kept here, counted, without anything a person said or is.")
    list_filter_submit = True
    ordering = ["-last_seen_at"]
    actions = ["acknowledge"]
    search_fields = ["title", "place", "request_id"]
    fields = [
        "title",
        "place",
        "level",
        "logger",
        "count",
        "first_seen",
        "last_seen",
        "request_id",
        "state_name",
        "acknowledged_by",
    ]
    change_form_outer_before_template = "admin/core/errorgroup/acknowledge.html"

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.change_errorgroup")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.acknowledge_one)
        return [path("<int:pk>/acknowledge/", view, name="core_errorgroup_acknowledge"), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict, **kwargs: Any) -> HttpResponse:
        group = kwargs["obj"]
        if group.is_alarming and self.has_acknowledge_permission(request):
            context |= {"acknowledge_path": reverse("admin:core_errorgroup_acknowledge", args=[group.pk])}
        return super().render_change_form(request, context, **kwargs)

    def acknowledge_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """From the page that an alert leads to."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_acknowledge_permission(request):
            raise PermissionDenied
        group = get_object_or_404(self.get_queryset(request), pk=pk)
        self.acknowledge(request, self.get_queryset(request).filter(pk=group.pk))
        return redirect("admin:core_errorgroup_change", pk)

    @action(description=_("Acknowledge: somebody looks after it"), permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[ErrorGroup]) -> None:
        now = timezone.now()
        done = sum(incidents.acknowledge(group, by=request.user, now=now) for group in queryset)  # type: ignore[arg-type]
        text = ngettext("%(count)s incident is acknowledged.", "%(count)s incidents are acknowledged.", done)
        level = messages.SUCCESS if done else messages.WARNING
        told = text % {"count": done} if done else _("None of these is an open incident.")
        self.message_user(request, told, level)

    @display(description=_("state"), label={"open": "danger", "known": "info", "seen": "warning"})
    def state(self, group: ErrorGroup) -> tuple[str, Any]:
        if group.alarmed_at is None:
            return "seen", _("Seen")
        return ("open", _("Incident")) if group.is_alarming else ("known", _("Acknowledged"))

    @display(description=_("state"))
    def state_name(self, group: ErrorGroup) -> Any:
        return self.state(group)[1]

    @display(description=_("first seen"))
    def first_seen(self, group: ErrorGroup) -> str:
        return exact(group.first_seen_at)

    @display(description=_("last seen"), ordering="last_seen_at")
    def last_seen(self, group: ErrorGroup) -> str:
        return exact(group.last_seen_at)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class SignInAttemptAdmin(ReadOnlyAdmin):
    """Who is locked out, and why. Deleting a row lets them try again at once."""

    list_display = ["attempt_time", "username", "ip_address", "failures_since_start"]
    search_fields = ["username", "ip_address"]
    fields = ["attempt_time", "username", "ip_address", "user_agent", "path_info", "failures_since_start"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")


class ScheduleAdmin(ReadOnlyAdmin):
    """What runs by itself, and when it last did. The schedule is part of the program."""

    list_display = ["name", "task", "enabled", "last_run_at", "total_run_count"]
    fields = [
        "name",
        "task",
        "enabled",
        "interval",
        "crontab",
        "last_run_at",
        "total_run_count",
        "expire_seconds",
    ]
    ordering = ["name"]


def _replace(label: str, admin_class: type | None) -> None:
    model = apps.get_model(label)
    if site.is_registered(model):
        site.unregister(model)
    if admin_class:
        site.register(model, admin_class)


def _tidy(labels: Iterable[str]) -> None:
    for label in labels:
        _replace(label, None)


# Rights come from roles, sign-ins and tokens have their own pages: these tables would only invite mistakes.
_tidy(
    [
        "account.EmailAddress",
        "auth.Group",
        "axes.AccessFailureLog",
        "axes.AccessLog",
        "django_celery_beat.ClockedSchedule",
        "django_celery_beat.CrontabSchedule",
        "django_celery_beat.IntervalSchedule",
        "django_celery_beat.SolarSchedule",
        "mfa.Authenticator",
        "socialaccount.SocialAccount",
        "socialaccount.SocialApp",
        "socialaccount.SocialToken",
        "token_blacklist.BlacklistedToken",
        "token_blacklist.OutstandingToken",
        "usersessions.UserSession",
    ]
)
_replace("axes.AccessAttempt", SignInAttemptAdmin)
_replace("django_celery_beat.PeriodicTask", ScheduleAdmin)
