"""Routing's part of the conversation pages: why it went where it went, and two actions for supervisors."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import Panel, action, panels, site
from apps.messaging.models import Conversation

from .. import selectors
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
        f"{localtime(decision.at):%Y-%m-%d %H:%M:%S}",
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


panels["messaging.conversation"].append(why)
# A conversation's page belongs to the floor below, which does not know that there are agents to give it to.
_page = site.get_model_admin(Conversation)
_page.actions = [*(_page.actions or ()), give_to_an_agent, take_over_yourself]
