"""Routing's part of the conversation pages: why it went where it went, and what supervisors do about it."""

from __future__ import annotations

from types import MethodType
from typing import Any

from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import Panel, action, exact, panels, site
from apps.messaging import timeline
from apps.messaging.models import Conversation

from .. import selectors
from .. import timeline as of_routing
from ..models import Decision
from ..selectors import Other
from . import handing
from .decisions import others_table, policy_link, terms_table

# More than a supervisor reads at once; the list of decisions has the rest.
MOST_SHOWN = 10


def why(request: HttpRequest, conversation: Model) -> Panel | None:
    """Each decision of this conversation, newest first."""
    decisions = list(selectors.decisions_of(conversation.pk)[:MOST_SHOWN])
    if not decisions:
        return None
    others = selectors.others_of(decisions)
    versions = selectors.versions_named_by(decisions)
    parts = ((_one(decision, others[decision.pk], versions),) for decision in decisions)
    return Panel(_("Why"), format_html_join("", "{}", parts))


def _one(decision: Decision, others: list[Other], versions: dict[int, int]) -> SafeString:
    return format_html(
        '<h4 class="font-semibold mt-4 mb-2">{} · {} ({}) → {} ({})</h4>{}<div class="mt-2">{}</div>',
        exact(decision.at),
        decision.queue,
        policy_link(decision, versions),
        decision.agent,
        selectors.outcome_of(decision),
        terms_table(decision),
        others_table(others),
    )


def _number(conversation: Any) -> int:
    return conversation.pk


@action(description=_("Give to an agent …"), permissions=["view"])
def give_to_an_agent(
    admin: Any, request: HttpRequest, queryset: QuerySet[Conversation]
) -> HttpResponse | None:
    return handing.reassign(request, queryset, conversation_of=_number, action="give_to_an_agent")


@action(description=_("Take over yourself"), permissions=["view"])
def take_over_yourself(admin: Any, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
    handing.take_over(request, queryset, conversation_of=_number)


def _may_hand_over(request: HttpRequest, object_id: str | None = None) -> bool:
    return request.user.has_perm("routing.change_item")


@action(description=_("Give to an agent …"), permissions=["hand_over"], url_path="give", icon="person_add")
def give_it_to_an_agent(admin: Any, request: HttpRequest, object_id: str) -> HttpResponse | None:
    rows, back = _this_one(admin, request, object_id)
    return handing.reassign(request, rows, conversation_of=_number, action="", back=back)


@action(description=_("Take over yourself"), permissions=["hand_over"], url_path="take-over", icon="pan_tool")
def take_it_over(admin: Any, request: HttpRequest, object_id: str) -> HttpResponse | None:
    rows, back = _this_one(admin, request, object_id)
    return handing.ask_to_take_over(request, rows, conversation_of=_number, back=back)


def _this_one(admin: Any, request: HttpRequest, object_id: str) -> tuple[QuerySet[Conversation], str]:
    """The conversation of a page, if it is one of his, and the address of that page."""
    conversation = admin.get_object(request, object_id)
    if conversation is None:
        raise Http404
    page = reverse("admin:messaging_conversation_change", args=[conversation.pk])
    return admin.get_queryset(request).filter(pk=conversation.pk), page


panels["messaging.conversation"].append(why)
timeline.WORDS |= of_routing.WORDS
timeline.NAMERS.append(of_routing.names)
timeline.LEFT_OUT |= of_routing.SAID_ALREADY
# A conversation's page belongs to the floor below, which does not know that there are agents to give it to.
_page: Any = site.get_model_admin(Conversation)
_page.actions = [*(_page.actions or ()), give_to_an_agent, take_over_yourself]
_page.has_hand_over_permission = _may_hand_over
for verb in (give_it_to_an_agent, take_it_over):
    setattr(_page, verb.__name__, MethodType(verb, _page))
    _page.actions_detail = [*_page.actions_detail, verb.__name__]
