"""The sending queues: what waits, how late it is, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.core.admin_base import ModelAdmin, action, display, register
from apps.users.models import User

from .. import figures
from ..models import SendingQueue
from ..services import queues

NOTHING = "–"


@register(SendingQueue)
class SendingQueueAdmin(ModelAdmin):
    """Counts are of now; pace and lateness of the last ten minutes."""

    list_display = [
        "name",
        "state",
        "waiting",
        "due",
        "leased",
        "retrying",
        "dead",
        "review",
        "oldest",
        "rate",
        "lateness",
    ]
    list_filter = ["way"]
    actions = ["pause", "resume", "retry_dead", "drop_waiting"]
    fields = ["way", "priority", "state_name", "per_minute"]
    readonly_fields = ["way", "priority", "state_name"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """One look at the deliveries for all rows."""
        page = super().get_changelist_instance(request)
        known = figures.of_queues(now=timezone.now())
        page.result_list = list(page.result_list)
        for queue in page.result_list:
            queue.figures = known[queue.way, queue.priority]
        return page

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What was done with a queue, from the list too, is in the event log."""
        queue = self.get_object(request, object_id)
        if queue is None:
            raise Http404
        if not self.has_view_or_change_permission(request, queue):
            raise PermissionDenied
        return redirect(reverse("admin:core_event_changelist", query={"q": queue.stream}))

    def save_model(
        self, request: HttpRequest, obj: SendingQueue, form: forms.ModelForm, change: bool
    ) -> None:
        by = cast(User, request.user)
        queues.set_pace(obj.pk, per_minute=obj.per_minute, by=by, now=timezone.now())

    # What is shown

    @display(description=_("queue"))
    def name(self, queue: SendingQueue) -> str:
        return str(queue)

    @display(description=_("state"), label={"paused": "warning", "slowed": "info", "runs": "success"})
    def state(self, queue: SendingQueue) -> tuple[str, Any]:
        if queue.is_paused:
            return "paused", _("Paused")
        if queue.per_minute:
            return "slowed", _("%(count)s/min") % {"count": queue.per_minute}
        return "runs", _("Runs")

    @display(description=_("state"))
    def state_name(self, queue: SendingQueue) -> Any:
        return self.state(queue)[1]

    @display(description=_("waiting"))
    def waiting(self, queue: Any) -> int:
        return queue.figures.waiting

    @display(description=_("due"))
    def due(self, queue: Any) -> int:
        return queue.figures.due

    @display(description=_("sending"))
    def leased(self, queue: Any) -> int:
        return queue.figures.leased

    @display(description=_("retrying"))
    def retrying(self, queue: Any) -> int:
        return queue.figures.retrying

    @display(description=_("dead"), label={"some": "danger", "none": "success"})
    def dead(self, queue: Any) -> tuple[str, str]:
        return _counted(queue.figures.dead)

    @display(description=_("review"), label={"some": "warning", "none": "success"})
    def review(self, queue: Any) -> tuple[str, str]:
        return _counted(queue.figures.review)

    @display(description=_("late by"))
    def oldest(self, queue: Any) -> str:
        if queue.figures.oldest_due_at is None:
            return NOTHING
        return span(queue.figures.oldest_seconds(timezone.now()))

    @display(description=_("a minute"))
    def rate(self, queue: Any) -> str:
        pace = queue.figures.per_minute
        return f"{pace:.1f}" if 0 < pace < 10 else f"{pace:.0f}"

    @display(description=_("lateness"))
    def lateness(self, queue: Any) -> SafeString | str:
        """In two lines: the table is as wide as its frame."""
        usual, worst = queue.figures.late(0.5), queue.figures.late(0.99)
        if usual is None or worst is None:
            return NOTHING
        return format_html(
            '<span class="whitespace-nowrap">p50 {}<br>p99 {}</span>', span(usual), span(worst)
        )

    # What can be done

    @action(description=_("Pause"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: Any) -> None:
        self._each(request, queryset, queues.pause, _("Paused: %(count)s."))

    @action(description=_("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: Any) -> None:
        self._each(request, queryset, queues.resume, _("Resumed: %(count)s."))

    @action(description=_("Send the dead ones again"), permissions=["change"])
    def retry_dead(self, request: HttpRequest, queryset: Any) -> None:
        self._each(request, queryset, queues.retry_dead, _("Sent again: %(count)s."))

    @action(description=_("Drop what waits …"), permissions=["change"])
    def drop_waiting(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        if request.POST.get("confirmed"):
            self._each(request, queryset, queues.drop_waiting, _("Dropped: %(count)s."))
            return None
        return self._ask(request, list(queryset))

    def _each(self, request: HttpRequest, chosen: Any, act: Callable[..., int], text: str | Promise) -> None:
        count = sum(int(act(queue.pk, by=request.user, now=timezone.now())) for queue in chosen)
        self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def _ask(self, request: HttpRequest, chosen: list[SendingQueue]) -> HttpResponse:
        known = figures.of_queues(now=timezone.now())
        count = sum(
            known[queue.way, queue.priority].waiting + known[queue.way, queue.priority].due
            for queue in chosen
        )
        title = ngettext(
            "%(count)s delivery would never go out. Drop it?",
            "%(count)s deliveries would never go out. Drop them?",
            count,
        )
        context = self.admin_site.each_context(request) | {
            "title": title % {"count": count},
            "opts": self.opts,
            "chosen": chosen,
        }
        return TemplateResponse(request, "admin/notifications/drop.html", context)


def _counted(count: int) -> tuple[str, str]:
    """As text: a label takes the number 0 for nothing to show."""
    return ("some" if count else "none"), str(count)


def span(seconds: float) -> str:
    """Short, and as exact as it matters."""
    if seconds < 1:
        return _("%(count)s ms") % {"count": f"{seconds * 1000:.0f}"}
    if seconds < 120:
        return _("%(count)s s") % {"count": f"{seconds:.0f}"}
    if seconds < 7200:
        return _("%(count)s min") % {"count": f"{seconds / 60:.0f}"}
    return _("%(count)s h") % {"count": f"{seconds / 3600:.0f}"}
