"""The left-hand side: my conversations, the line, the team, what rings."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from django.db.models import (
    Count,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce

from apps.messaging import selectors as messaging
from apps.messaging.choices import Sender, Status
from apps.messaging.models import Conversation, Message
from apps.routing import openings, staffing, waits
from apps.routing import selectors as routing
from apps.routing.choices import Chosen, ItemState
from apps.routing.models import Decision, Item
from apps.users.choices import Role
from apps.users.models import User

from .. import why
from . import presence
from .presence import Presence

TEAM_SHOWN = 50


def conversations_of(user: User) -> QuerySet[Conversation]:
    """Those in his hands, in the order in which he got them: a list that jumps while one works is no help."""
    mine = messaging.conversations_visible_to(user).filter(agent=user, status=Status.ACTIVE)
    return with_desk_figures(mine).order_by("assigned_at", "id")


def with_desk_figures(conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Adds `unread`, `waiting_since` (the customer's first unanswered message) and `last_words`, `last_speaker`."""
    here = Message.objects.filter(conversation=OuterRef("pk"))
    last_answer = here.filter(sender=Sender.AGENT).order_by("-seq").values("seq")[:1]
    unanswered = here.filter(sender=Sender.CUSTOMER, seq__gt=OuterRef("answered_seq")).order_by("seq")
    unread = here.filter(sender=Sender.CUSTOMER, seq__gt=OuterRef("agent_read_seq")).order_by()
    spoken = here.exclude(sender=Sender.SYSTEM).order_by("-seq")
    return (
        conversations.select_related("customer", "inbox", "agent", "item__queue")
        .annotate(answered_seq=Coalesce(Subquery(last_answer), 0))
        .annotate(
            waiting_since=Subquery(unanswered.values("at")[:1]),
            unread=Coalesce(Subquery(unread.values("conversation").annotate(n=Count("*")).values("n")), 0),
            last_words=Subquery(spoken.values("body")[:1]),
            last_speaker=Subquery(spoken.values("sender")[:1]),
        )
    )


def wrap_ups_of(user: User) -> QuerySet[Item]:
    wrapping = Item.objects.filter(agent__user=user, state=ItemState.WRAP_UP)
    return wrapping.select_related("conversation__customer", "queue").order_by("wrap_until")


def snoozed_by(user: User) -> QuerySet[Item]:
    """What he does not want to see before its time; the next first."""
    his = Item.objects.filter(snoozed_for__user=user, conversation__team__in=user.teams.values("id"))
    return his.select_related("conversation__customer").order_by("snoozed_until", "id")


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """What waits in the queues somebody may see."""

    waiting: int
    longest_since: datetime | None


def line_seen_by(user: User) -> Line:
    waiting = Item.objects.filter(
        state__in=[ItemState.WAITING, ItemState.OFFERED], queue__in=routing.queues_visible_to(user)
    )
    figures = waiting.aggregate(waiting=Count("id"), longest_since=Min("at"))
    return Line(**figures)


def queues_of(user: User, *, now: datetime) -> list[Any]:
    """His queues with the figures of their lines, each with `is_closed`, `is_deserted` (nobody is there who may take
    something) and `told`, which is what whoever comes next is told to expect. A constant number of queries.

    One that is switched off is there while somebody waits in it.
    """
    closed = openings.closed_queues(now=now)
    deserted = set(staffing.unstaffed(routing.queues_visible_to(user), now=now).values_list("pk", flat=True))
    seen = waits.with_places(routing.with_line(routing.queues_visible_to(user), now=now), now=now)
    queues: list[Any] = list(seen.filter(Q(is_active=True) | Q(waiting__gt=0)).order_by("name"))
    for queue in queues:
        queue.is_closed, queue.is_deserted = queue.pk in closed, queue.pk in deserted
        queue.told = None if queue.is_closed or queue.is_deserted else waits.next_estimate(queue)
    return queues


# The team, for supervisors


def team_conversations(user: User) -> QuerySet[Conversation]:
    """What waits or is with somebody else: who waits longest first."""
    others = messaging.conversations_visible_to(user).open().exclude(agent=user)
    return with_desk_figures(others).order_by(F("waiting_since").asc(nulls_last=True), "id")[:TEAM_SHOWN]


def team_agents(user: User, *, now: datetime) -> list[Presence]:
    agents = routing.agents_visible_to(user).exclude(user=user).filter(user__is_active=True)
    signed_in = agents.exclude(chosen=Chosen.SIGNED_OUT)
    return [
        presence.shown(agent, now=now) for agent in presence.with_interval(signed_in).order_by("user__name")
    ]


# Offers


def offers_ringing_at(user: User, *, now: datetime) -> list[Any]:
    """Live offers with `last_words`, `why` and `seconds`; the oldest rings first."""
    words = Message.objects.filter(conversation=OuterRef("item__conversation"), sender=Sender.CUSTOMER)
    live = routing.live_offers_of(user).filter(expires_at__gt=now)
    offers: list[Any] = list(live.annotate(last_words=Subquery(words.order_by("-seq").values("body")[:1])))
    for offer in offers:
        offer.why = _why(offer.decision)
        offer.seconds = max(1, round((offer.expires_at - offer.offered_at).total_seconds()))
    return offers


def _why(decision: Decision | None) -> str:
    return "" if decision is None else why.sentence(decision.terms, decision.others)


def may_supervise(user: User) -> bool:
    return user.has_role(Role.SUPERVISOR)
