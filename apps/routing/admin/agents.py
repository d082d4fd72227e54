"""Agents: who is here, in what state, with what in hand; their skills and capacity; pausing and signing them out."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import ModelAdmin, SelectWidget, TabularInline, action, display, register
from apps.core.admin_rows import do_each
from apps.core.admin_saving import TellsWhy, become
from apps.users.permissions import user_of
from apps.users.selectors import users_visible_to

from .. import selectors
from ..choices import State
from ..models import Agent, AgentSkill, NotReadyReason
from ..services import agents, clock, supervision
from . import days
from .base import ago, ask

# How each state is coloured; grey where nothing is named.
COLOURS = {
    State.AVAILABLE: "success",
    State.ON_CONTACT: "info",
    State.OFFERED: "info",
    State.WRAP_UP: "info",
    State.NOT_READY: "warning",
    State.NOT_RESPONDING: "danger",
    State.DISCONNECTED: "danger",
}


class ReasonForm(forms.Form):
    reason = forms.ModelChoiceField(
        NotReadyReason.objects.filter(is_active=True),
        label=_("Reason"),
        widget=SelectWidget,
        empty_label=None,
    )


class SkillInline(TabularInline):
    model = AgentSkill
    fields = ["skill", "level"]
    extra = 0


@register(Agent)
class AgentAdmin(TellsWhy, ModelAdmin):
    list_display = ["name", "state", "since", "units", "work", "team_names", "skill_names"]
    list_filter = [
        "chosen",
        ("user__teams", RelatedOnlyFieldListFilter),
        ("skills", RelatedOnlyFieldListFilter),
    ]
    search_fields = ["user__name", "user__email"]
    ordering = ["chosen", "user__name"]
    actions = ["set_not_ready", "sign_out"]
    inlines = [SkillInline]
    change_form_outer_before_template = "admin/routing/agent/before.html"

    def get_urls(self) -> list[URLPattern]:
        own = path("<int:agent>/day/", self.admin_site.admin_view(self.day), name="routing_agent_day")
        return [own, *super().get_urls()]

    def day(self, request: HttpRequest, agent: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return days.page(request, agent)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        visible = selectors.agents_visible_to(user_of(request)).filter(user__is_active=True)
        return selectors.with_work(selectors.with_presence(visible))

    def get_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[str]:
        return ["name", "state", "since", "units", "work", "capacity"] if obj else ["user", "capacity"]

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[str]:
        return ["name", "state", "since", "units", "work"] if obj else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            kwargs["queryset"] = users_visible_to(user_of(request)).filter(is_active=True, agent=None)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return False  # history names people: users are switched off instead

    def save_model(self, request: HttpRequest, obj: Agent, form: forms.ModelForm, change: bool) -> None:
        """Only the capacity: load and presence have changed since the form was shown."""
        by, capacity = user_of(request), form.cleaned_data["capacity"]
        if change:
            supervision.set_capacity(obj, capacity=capacity, by=by)
        else:
            become(obj, supervision.start_as_agent(form.cleaned_data["user"], capacity=capacity, by=by))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        agents.skills_changed(form.instance, by=user_of(request))

    @action(description=_("Set not ready …"), permissions=["change"])
    def set_not_ready(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse | None:
        by = user_of(request)

        def pause(given: dict[str, Any]) -> None:
            do = partial(supervision.pause, reason=given["reason"], by=by, now=clock.now())
            do_each(request, given["rows"], do)

        title = str(_("Set not ready"))
        return ask(request, form=ReasonForm, action="set_not_ready", title=title, rows=queryset, then=pause)

    @action(description=_("Sign out at once (their work goes back in line)"), permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        do_each(request, queryset, partial(supervision.sign_out, by=user_of(request), now=clock.now()))

    @display(description=_("agent"), ordering="user__name")
    def name(self, agent: Agent) -> str:
        return str(agent.user)

    @display(description=_("state"), label=COLOURS)
    def state(self, agent: Agent) -> tuple[str, str]:
        shown = selectors.presence_of(agent)
        return shown.state, f"{shown.state.label}: {shown.reason}" if shown.reason else str(shown.state.label)

    @display(description=_("since"))
    def since(self, agent: Agent) -> str:
        return ago(selectors.presence_of(agent).since)

    @display(description=_("units taken"), ordering="load")
    def units(self, agent: Agent) -> str:
        return f"{agent.load} / {agent.capacity}"

    @display(description=_("work in hand"))
    def work(self, agent: Agent) -> SafeString | str:
        items = [*agent.held, *(offer.item for offer in agent.ringing)]  # type: ignore[attr-defined]
        rows = (
            (
                reverse("admin:messaging_conversation_change", args=[item.conversation_id]),
                item.conversation.customer,
            )
            for item in items
        )
        return format_html_join(", ", '<a href="{}">{}</a>', rows) or "–"

    @display(description=_("teams"))
    def team_names(self, agent: Agent) -> str:
        return ", ".join(team.name for team in agent.user.teams.all())

    @display(description=_("skills"))
    def skill_names(self, agent: Agent) -> str:
        return ", ".join(f"{level.skill.name} {level.level}" for level in agent.levels.all())
