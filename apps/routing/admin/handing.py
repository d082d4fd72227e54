"""Giving work to somebody: the two actions that the line and the conversations share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import SelectWidget
from apps.core.admin_rows import do_each
from apps.users.choices import Role
from apps.users.permissions import user_of
from apps.users.policy import home_path

from .. import selectors
from ..models import Agent
from ..services import agents, clock, work
from .base import ask

ConversationOf = Callable[[Any], int]


class AgentChoice(forms.ModelChoiceField):
    def label_from_instance(self, agent: Agent) -> str:
        state = agent.reason.name if agent.reason else agent.get_chosen_display()
        room = _("%(room)s of %(capacity)s units free")
        return f"{agent.user} ({state}, {room % {'room': agent.capacity - agent.load, 'capacity': agent.capacity}})"


def _agent_form(request: HttpRequest) -> type[forms.Form]:
    choices = selectors.agents_to_hand_to(user_of(request), now=clock.now())
    field = AgentChoice(
        choices,
        label=_("Agent"),
        widget=SelectWidget,
        empty_label=None,
        help_text=_("Signed-in agents of your teams. They are not asked."),
    )
    return type("AgentForm", (forms.Form,), {"agent": field})


def _check_may(request: HttpRequest) -> None:
    if not user_of(request).has_perm("routing.change_item"):
        raise PermissionDenied


def reassign(
    request: HttpRequest, queryset: QuerySet, *, conversation_of: ConversationOf, action: str, back: str = ""
) -> HttpResponse | None:
    """Ask for the agent, then give him all of it; each row says for itself why it could not be."""
    _check_may(request)

    def give(given: dict[str, Any]) -> None:
        def to_him(row: Model) -> None:
            to = given["agent"].user
            work.reassign(conversation_of(row), to=to, by=user_of(request), now=clock.now())

        do_each(request, given["rows"], to_him)

    title = str(_("Give to an agent"))
    return ask(
        request, form=_agent_form(request), action=action, title=title, rows=queryset, then=give, back=back
    )


def ask_to_take_over(
    request: HttpRequest, queryset: QuerySet, *, conversation_of: ConversationOf, back: str
) -> HttpResponse | None:
    """For a link: following one must change nothing yet."""
    _check_may(request)

    def take(given: dict[str, Any]) -> None:
        take_over(request, given["rows"], conversation_of=conversation_of)

    title = str(_("Take over yourself"))
    return ask(request, form=forms.Form, action="", title=title, rows=queryset, then=take, back=back)


def take_over(request: HttpRequest, queryset: Iterable[Model], *, conversation_of: ConversationOf) -> None:
    """All of it is the supervisor's own from now on."""
    _check_may(request)
    do_each(request, queryset, partial(_take_over, request, conversation_of))
    seconds = int((agents.LEASE + agents.GRACE) / timedelta(seconds=1))
    text = _(
        "What you took over waits in the {link}. Open it within {seconds} seconds, or it goes back in line."
    )
    link = format_html('<a href="{}">{}</a>', home_path(Role.AGENT), _("console"))
    messages.info(request, format_html(str(text), link=link, seconds=seconds))


def _take_over(request: HttpRequest, conversation_of: ConversationOf, row: Model) -> None:
    work.take_over(conversation_of(row), by=user_of(request), now=clock.now())
