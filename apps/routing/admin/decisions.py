"""Why: each decision with the terms of its score, and everybody else's reason."""

from __future__ import annotations

from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    InfinitePaginator,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    display,
    exact,
    link,
    register,
)
from apps.users.permissions import user_of

from .. import selectors
from ..choices import TERMS
from ..models import Decision
from ..selectors import Other
from .base import table


@register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = ["moment", "conversation_link", "queue", "agent", "score", "outcome"]
    list_filter = [("queue", RelatedOnlyFieldListFilter), ("at", RangeDateTimeFilter)]
    list_filter_submit = True
    list_select_related = ["queue", "agent__user", "offer", "item"]
    ordering = ["-id"]
    fields = [
        "moment",
        "conversation_link",
        "queue",
        "policy_link",
        "agent",
        "outcome",
        "step_number",
        "terms_table",
        "others_table",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Decision]:
        return selectors.decisions_visible_to(user_of(request))

    @display(description=_("at"), ordering="at")
    def moment(self, decision: Decision) -> str:
        return exact(decision.at)

    @display(description=_("conversation"))
    def conversation_link(self, decision: Decision) -> SafeString:
        number = decision.item.conversation_id
        address = reverse("admin:messaging_conversation_change", args=[number])
        return format_html('<a href="{}">#{}</a>', address, number)

    @display(description=_("policy version"))
    def policy_link(self, decision: Decision) -> SafeString | str:
        return policy_link(decision, selectors.versions_named_by([decision]))

    @display(description=_("outcome"))
    def outcome(self, decision: Decision) -> str:
        return selectors.outcome_of(decision)

    @display(description=_("step"))
    def step_number(self, decision: Decision) -> int:
        return decision.step + 1

    @display(description=_("score"))
    def terms_table(self, decision: Decision) -> SafeString:
        return terms_table(decision)

    @display(description=_("why not the others"))
    def others_table(self, decision: Decision) -> SafeString | str:
        return others_table(selectors.others_of([decision])[decision.pk])


def policy_link(decision: Decision, versions: dict[int, int]) -> SafeString | str:
    """The version it used, as a link to what that said; only its number where that was not kept."""
    text = _now("version %(number)s") % {"number": decision.policy}
    if decision.pk not in versions:
        return text
    address = reverse("admin:routing_policyversion_change", args=[versions[decision.pk]])
    return link(address, text)


def terms_table(decision: Decision) -> SafeString:
    """What the score is made of, in seconds of waiting."""
    rows = [(TERMS.get(name, name), raw, f"× {weight}", value) for name, raw, weight, value in decision.terms]
    rows.append((_now("score"), "", "", decision.score))
    return table([_now("term"), _now("value"), _now("weight"), _now("seconds")], rows, numbers=(1, 2, 3))


def others_table(others: list[Other]) -> SafeString | str:
    if not others:
        return _now("Nobody else was signed in.")
    rows = [(other.agent_name, "–" if other.score is None else other.score, other.reason) for other in others]
    return table([_now("agent"), _now("score"), _now("why not")], rows, numbers=(1,))
