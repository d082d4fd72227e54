"""Campaigns: set up as drafts, started, watched while they go out, paused and stopped."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.core.admin_base import ModelAdmin, display, register
from apps.core.admin_rows import told
from apps.core.admin_saving import TellsWhy, become
from apps.core.errors import EMLError
from apps.core.spreadsheet import safe_row
from apps.users import selectors as people
from apps.users.permissions import user_of

from .. import campaign_figures, campaign_previews, selectors
from ..choices import CampaignState, DeliveryState, Reason, Way
from ..models import Campaign, Template
from ..services import campaign_lists, campaigns
from .campaign_forms import CampaignForm, ListForm

_COLOURS = {
    CampaignState.SCHEDULED: "info",
    CampaignState.RUNNING: "info",
    CampaignState.PAUSED: "warning",
    CampaignState.DONE: "success",
    CampaignState.STOPPED: "danger",
}
_GOES_ON = (CampaignState.SCHEDULED, CampaignState.RUNNING)
_RESULT_COLUMNS = (
    "customer", "external_id", "name", "way", "address", "state", "reason", "sent_at", "delivered_at",
)  # fmt: skip


@register(Campaign)
class CampaignAdmin(TellsWhy, ModelAdmin):
    form = CampaignForm
    list_display = ["name", "shown_state", "template", "team", "starts_at", "ended_at"]
    list_filter = ["state"]
    list_select_related = ["template", "team"]
    search_fields = ["name"]
    ordering = ["-id"]
    readonly_fields = ["ways_named", "begins", "hours"]
    fieldsets = [
        (None, {"fields": ["name"]}),
        (_("What"), {"fields": [("template", "ways")]}),
        (_("Who"), {"fields": [("team", "segment")]}),
        (_("When"), {"fields": [("date", "time"), "zone", ("local_from", "local_until"), "per_minute"]}),
    ]
    _shown = [
        "name",
        "template",
        "ways_named",
        "team",
        "segment",
        "begins",
        "hours",
        "per_minute",
        "created_by",
    ]
    change_form_outer_before_template = "admin/notifications/campaign/before.html"

    class Media:
        css = {"all": ["css/admin_campaigns.css"]}

    # Which, and what may be done with it

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        visible = selectors.campaigns_visible_to(user_of(request))
        return super().get_queryset(request).filter(pk__in=visible.values("pk"))

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        is_draft = obj is None or obj.state == CampaignState.DRAFT
        return is_draft and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        return False  # what went out names it

    def get_form(self, request: HttpRequest, obj: Campaign | None = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        form.by = user_of(request)
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Campaign | None = None) -> Any:
        is_fixed = obj is not None and not self.has_change_permission(request, obj)
        return [(None, {"fields": self._shown})] if is_fixed else super().get_fieldsets(request, obj)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        asks = user_of(request)
        offered: dict[str, QuerySet] = {
            "template": Template.objects.filter(is_active=True, version__gt=0, purpose__is_for_staff=False),
            "team": people.teams_visible_to(asks),
            "segment": selectors.segments_visible_to(asks),
        }
        if db_field.name in offered:
            kwargs["queryset"] = offered[db_field.name]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Campaign, form: CampaignForm, change: bool) -> None:
        plan = form.plan()
        if change:
            become(obj, campaigns.update(obj.pk, plan))
        else:
            become(obj, campaigns.create(plan, by=user_of(request), now=timezone.now()))

    def response_add(
        self, request: HttpRequest, obj: Campaign, post_url_continue: Any = None
    ) -> HttpResponse:
        """To its own page: who gets it, and the button that starts it."""
        messages.success(request, _now("Saved. Nothing goes out before you start it."))
        return self._back(obj)

    # Pages beside the form

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, Callable[..., HttpResponse]] = {
            "progress": self.progress,
            "start": self.start,
            "pause": self.pause,
            "resume": self.resume,
            "stop": self.stop,
            "upload": self.upload,
            "results": self.results,
        }
        own = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(page), name=f"notifications_campaign_{name}")
            for name, page in pages.items()
        ]
        return [*own, *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None:
            context |= self._panel(request, obj)
        return super().render_change_form(request, context, **kwargs)

    def _panel(self, request: HttpRequest, row: Campaign) -> dict[str, Any]:
        now = timezone.now()
        context = {"campaign": row, "may_act": request.user.has_perm("notifications.change_campaign")}
        if row.state == CampaignState.DRAFT:
            return context | {"preview": campaign_previews.of(row, now=now)}
        return context | _progress(row)

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A fragment that asks for itself again while something may change."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        row = self._visible(request, pk, to="view")
        return render(request, "admin/notifications/campaign/before.html", self._panel(request, row))

    def start(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._visible(request, pk, to="change")
        if request.method == "POST":
            return self._act(
                request, row, campaigns.start, _now("Started. It goes out by itself from now on.")
            )
        preview = campaign_previews.of(row, now=timezone.now())
        return self._ask(request, row, "start", preview=preview)

    def stop(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._visible(request, pk, to="change")
        if request.method == "POST":
            return self._act(request, row, campaigns.stop, _now("Stopped. Nothing that waited goes out."))
        return self._ask(request, row, "stop", **_progress(row))

    def pause(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._at_once(request, pk, campaigns.pause, _now("Paused."))

    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._at_once(request, pk, campaigns.resume, _now("It goes on."))

    def upload(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks for a list and takes it over whole, or says what is wrong with which line; removes it again."""
        row = self._visible(request, pk, to="change")
        form, wrong = ListForm(), []
        if request.method == "POST" and "remove" in request.POST:
            count = campaign_lists.remove(row.pk, by=user_of(request))
            messages.success(request, _now("Removed: %(count)s.") % {"count": count})
            return self._back(row)
        if request.method == "POST":
            try:
                form = ListForm(request.POST, request.FILES)
                if form.is_valid():
                    return self._take_over(request, row, form)
            except EMLError as error:
                wrong = _lines(error)
        has_list = row.recipients.exists()
        return self._ask(request, row, "upload", form=form, wrong=wrong, has_list=has_list)

    def _take_over(self, request: HttpRequest, row: Campaign, form: ListForm) -> HttpResponse:
        by, now = user_of(request), timezone.now()
        added = campaign_lists.add(row.pk, form.cleaned_data["file"], by=by, now=now, mistakes=form.mistakes)
        text = ngettext(
            "%(new)s customer is new in the list", "%(new)s customers are new in the list", added.new
        )
        if added.again:
            text += _now("; %(again)s lines meant somebody who is in it already")
        messages.success(request, text % {"new": added.new, "again": added.again} + ".")
        return self._back(row)

    def results(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What became of each recipient, as a CSV that a spreadsheet opens."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        row = self._visible(request, pk, to="view")
        text = io.StringIO()
        # So that spreadsheets read UTF-8.
        text.write("\ufeff")
        writer = csv.writer(text)
        writer.writerow(_RESULT_COLUMNS)
        for one in campaign_figures.results(row):
            writer.writerow(safe_row(_cell(getattr(one, name)) for name in _RESULT_COLUMNS))
        answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="campaign-{row.pk}.csv"'
        return answer

    def _visible(self, request: HttpRequest, pk: int, *, to: str) -> Campaign:
        if not request.user.has_perm(f"notifications.{to}_campaign"):
            raise PermissionDenied
        row = (
            self.get_queryset(request)
            .select_related("template__purpose", "team", "segment")
            .filter(pk=pk)
            .first()
        )
        if row is None:
            raise Http404
        return row

    def _at_once(self, request: HttpRequest, pk: int, act: Callable[..., Any], done: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        return self._act(request, self._visible(request, pk, to="change"), act, done)

    def _act(self, request: HttpRequest, row: Campaign, act: Callable[..., Any], done: str) -> HttpResponse:
        try:
            act(row.pk, by=user_of(request), now=timezone.now())
            messages.success(request, done)
        except EMLError as error:
            messages.error(request, " ".join(told(error)))
        return self._back(row)

    def _ask(self, request: HttpRequest, row: Campaign, what: str, **more: Any) -> HttpResponse:
        titles: dict[str, str | Promise] = {
            "start": _("Start “%(name)s”?"),
            "stop": _("Stop “%(name)s” for good?"),
            "upload": _("Upload a list for “%(name)s”"),
        }
        context = self.admin_site.each_context(request) | {
            "title": titles[what] % {"name": row.name},
            "opts": self.opts,
            "original": row,
            "campaign": row,
            "media": self.media,
        }
        return TemplateResponse(request, f"admin/notifications/campaign/{what}.html", context | more)

    @staticmethod
    def _back(row: Campaign) -> HttpResponse:
        return redirect(reverse("admin:notifications_campaign_change", args=[row.pk]))

    # Columns

    @display(description=_("state"), label=_COLOURS)
    def shown_state(self, campaign: Campaign) -> tuple[str, Any]:
        return campaign.state, campaign.get_state_display()

    @display(description=_("ways"))
    def ways_named(self, campaign: Campaign) -> str:
        return ", ".join(str(Way(way).label) for way in campaign.ways)

    @display(description=_("begins"))
    def begins(self, campaign: Campaign) -> str:
        if campaign.wall is None:
            return _now("when it is started")
        whose = campaign.zone or _now("by each recipient's own clock")
        return f"{campaign.wall:%Y-%m-%d %H:%M}, {whose}"

    @display(description=_("hours (local time)"))
    def hours(self, campaign: Campaign) -> str:
        if campaign.local_from is None and campaign.local_until is None:
            return _now("whenever the sending rules allow")
        ends = (campaign.local_from, campaign.local_until)
        return " – ".join(f"{end:%H:%M}" if end else "…" for end in ends)


def _progress(row: Campaign) -> dict[str, Any]:
    found = campaign_figures.progress(row)
    return {
        "progress": found,
        "held": [(Reason(reason).label, count) for reason, count in found.held.most_common()],
        "suppressed": [(Reason(reason).label, count) for reason, count in found.suppressed.most_common()],
        "held_count": found.held.total(),
        "suppressed_count": found.suppressed.total(),
        "minutes_left": found.minutes_left(row),
        "goes_on": row.state in _GOES_ON or (row.state == CampaignState.PAUSED and found.under_way > 0),
        "is_over": row.state in (CampaignState.DONE, CampaignState.STOPPED),
        "is_on": row.template.is_active,
        "now": timezone.now(),
    }


def _lines(error: EMLError) -> list[str]:
    """What is wrong, each with its line."""
    return [str(error), *(f"{line}: {' '.join(texts)}" for line, texts in error.fields.items())]


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if value in DeliveryState.values or value in Reason.values:
        return str(value)
    return "" if value is None else str(value)
