"""Queues: the whole policy on one page, checked in sentences and saved as one new version."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import HistoryAdmin, display, register
from apps.core.admin_saving import TellsWhy
from apps.users.permissions import user_of
from apps.users.selectors import teams_visible_to

from .. import openings, policy_drafts, policy_starts, selectors, waits
from ..models import Queue
from ..policy_drafts import PolicyDraft
from ..services import clock, policies
from . import trial
from .base import ago
from .hours import in_words
from .policy_page import LevelInline, PolicyFormSet, QueueForm, RouteInline, StepInline, row_of, started_with
from .versions import versions_table


@register(Queue)
class QueueAdmin(TellsWhy, HistoryAdmin):
    form = QueueForm
    inlines = [StepInline, LevelInline, RouteInline]
    list_display = ["name", "team", "in_line", "longest", "signed_in", "version", "is_active"]
    list_filter = ["is_active", ("team", RelatedOnlyFieldListFilter)]
    list_select_related = ["team"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["version", "versions", "open_now", "wait_quality"]
    change_form_outer_before_template = "admin/routing/queue/before.html"
    starts = policy_starts.STARTS
    fieldsets = [
        (None, {"fields": ["name", "slug", "team", "is_active", "version", "seen"]}),
        (
            _("Who goes first"),
            {
                # Where its template puts the steps and levels.
                "classes": ["policy"],
                "fields": ["rate", "w_idle", "w_fit", "w_last"],
                "description": _(
                    "The score is in seconds of waiting: rate × waited + head start + fit + idle time + last agent."
                ),
            },
        ),
        (_("How it is offered"), {"fields": ["units", "offer_seconds", "wrap_up_seconds"]}),
        (
            _("What is promised"),
            {"fields": ["service_target_seconds", "service_target_percent", "wait_quality"]},
        ),
        (_("When it is open"), {"fields": ["calendar", "open_now", "when_closed", "when_unstaffed"]}),
        (
            _("When too many wait"),
            {
                "fields": ["most_waiting", "longest_wait_seconds", "when_full", "overflow_to"],
                "description": _(
                    "“Send to another queue”, here or above, sends to the other queue if that one is open, not full, "
                    "and somebody is there. It may send on again."
                ),
            },
        ),
        (
            _("Callbacks"),
            {
                "fields": ["callback_tries", "callback_retry_minutes", "callback_hours"],
                "description": _(
                    "Where a callback is offered, customers leave a number or ask to be written to, and keep their "
                    "place in line. When it is their turn an agent is rung and sees how to reach them."
                ),
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Queue]:
        return selectors.with_line(selectors.queues_visible_to(user_of(request)), now=clock.now())

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "team":
            kwargs["queryset"] = teams_visible_to(user_of(request))
        if db_field.name == "overflow_to":
            # Passing on to another department is what it is for.
            kwargs["queryset"] = selectors.queues_to_pass_on_to()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        own = path("try/", self.admin_site.admin_view(self.try_it), name="routing_queue_try")
        return [own, *super().get_urls()]

    def try_it(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return trial.page(request)

    def get_fieldsets(self, request: HttpRequest, obj: Queue | None = None) -> Any:
        past = [(_("What changed"), {"fields": ["versions"]})] if obj else []
        return [*self.fieldsets, *past]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_changeform_initial_data(request) | started_with(request).settings

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        """The steps and levels of a ready-made policy, in the empty rows of a new queue."""
        kwargs = super().get_formset_kwargs(request, obj, inline, prefix)
        if obj is None or obj.pk is None:
            draft = started_with(request)
            rows = {"steps": [row_of(step) for step in draft.steps], "levels": [*map(asdict, draft.levels)]}
            kwargs |= {"initial": rows[prefix]} if rows.get(prefix) else {}
        return kwargs

    def has_delete_permission(self, request: HttpRequest, obj: Queue | None = None) -> bool:
        return False  # decisions name it; switch it off instead

    def revert_disabled(self, request: HttpRequest, obj: Queue | None = None) -> bool:
        return True  # an old row of the queue knows nothing of its steps

    def save_model(self, request: HttpRequest, obj: Queue, form: QueueForm, change: bool) -> None:
        """Saved with its steps and levels, below."""

    def save_related(self, request: HttpRequest, form: QueueForm, formsets: Any, change: bool) -> None:
        policy_parts = [formset for formset in formsets if isinstance(formset, PolicyFormSet)]
        routes = [formset for formset in formsets if not isinstance(formset, PolicyFormSet)]
        draft = PolicyDraft(
            steps=tuple(step for part in policy_parts for step in part.draft().steps),
            levels=tuple(level for part in policy_parts for level in part.draft().levels),
            settings={
                name: form.cleaned_data[name] for name in policies.SETTINGS if name in form.cleaned_data
            },
        )
        if change:
            # Routes first: a queue is switched off after its inboxes have left.
            self._save_routes(request, form, routes, change)
            saved = policies.save(
                form.instance, draft=draft, by=user_of(request), seen=form.cleaned_data["seen"]
            )
        else:
            saved = policies.create(draft=draft, by=user_of(request))
        form.instance.__dict__.update(saved.__dict__)
        if not change:
            self._save_routes(request, form, routes, change)
        for part in policy_parts:
            part.save()
        for text in policy_drafts.hints(draft):
            messages.warning(request, text)

    def _save_routes(self, request: HttpRequest, form: QueueForm, routes: Any, change: bool) -> None:
        for formset in routes:
            self.save_formset(request, form, formset, change=change)

    @display(description=_("last versions"))
    def versions(self, queue: Queue) -> SafeString:
        return versions_table(queue)

    @display(description=_("now"))
    def open_now(self, queue: Queue) -> str:
        plan = openings.calendar_of(queue)
        return in_words(plan, now=timezone.now()) if plan else _now("Open, always.")

    @display(description=_("estimated waits so far"))
    def wait_quality(self, queue: Queue) -> str:
        """How good they were; a promise that nobody checks is none."""
        error = waits.table_for(queue).error
        if not error.count:
            return _now("Nothing learned yet: nobody waited and was answered.")
        text = _now(
            "%(inside)d %% of %(count)d waits ended inside the range announced. The mean was %(bias)+d s off on "
            "average; typical error %(rmse)d s."
        )
        return text % {
            "inside": round(100 * error.coverage),
            "count": error.count,
            "bias": round(error.bias_seconds),
            "rmse": round(error.rmse_seconds),
        }

    @display(description=_("waiting"), ordering="waiting")
    def in_line(self, queue: Queue) -> int:
        return queue.waiting  # type: ignore[attr-defined]

    @display(description=_("longest wait"), ordering="waiting_since")
    def longest(self, queue: Queue) -> str:
        return ago(queue.waiting_since)  # type: ignore[attr-defined]

    @display(description=_("available / signed in"))
    def signed_in(self, queue: Queue) -> str:
        return f"{queue.agents_available} / {queue.agents_signed_in}"  # type: ignore[attr-defined]
