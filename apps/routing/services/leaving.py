"""An agent goes: what rang at him rings elsewhere, and what he worked on waits again at its old place.

By choice, because his connection is lost, because he was switched off, or because he left a team. Every function here
is called under the agent's lock, unless it says otherwise; the caller restates the agent.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from apps.core.events import SYSTEM, Actor
from apps.users.choices import Role
from apps.users.models import User

from ..choices import Chosen, State
from ..models import Agent, Item, Offer, PresenceInterval
from . import agents, hands, offers, work


def leave_offers(
    agent: Agent, *, reason: str, by: Actor, now: datetime, teams: Collection[int] | None = None
) -> None:
    """Withdraw what rings at him, of these teams or of all; nobody is blamed."""
    live = Offer.objects.live().filter(agent=agent).select_related("item").order_by("item_id")
    for offer in live if teams is None else live.filter(item__queue__team__in=teams):
        offers.cancel(offer, agent=agent, reason=reason, by=by, now=now)


def leave_work(
    agent: Agent, *, reason: str, by: Actor, now: datetime, teams: Collection[int] | None = None
) -> None:
    """Put his active work back in line and end his wrap-ups, of these teams or of all."""
    held = agent.items.held() if teams is None else agent.items.held().filter(conversation__team__in=teams)
    # In the order in which senders lock conversations, since each stays locked until the end.
    for conversation_id in list(held.order_by("conversation_id").values_list("conversation_id", flat=True)):
        work.take_from(hands.hold(conversation_id), reason=reason, by=by, now=now)
    agent.refresh_from_db(fields=["load", "free_since"])


def leave_everything(agent: Agent, *, reason: str, by: Actor, now: datetime) -> None:
    leave_offers(agent, reason=reason, by=by, now=now)
    leave_work(agent, reason=reason, by=by, now=now)


def sign_out(agent_id: int, *, reason: str, by: Actor, now: datetime) -> None:
    """Somebody else ends his working day, at once. Takes the lock itself; safe to repeat."""
    with transaction.atomic():
        agent = agents.lock(agent_id)
        has_chosen = agent.chosen != Chosen.SIGNED_OUT
        agent.chosen, agent.reason, agent.present_until = Chosen.SIGNED_OUT, None, None
        agent.save(update_fields=["chosen", "reason", "present_until"])
        leave_everything(agent, reason=reason, by=by, now=now)
        agents.restate(agent, now=now, by=by, has_chosen=has_chosen)


def follow_user(user_id: int, *, now: datetime) -> None:
    """After his account was switched off or his role changed: whoever may not answer any more leaves everything."""
    agent = Agent.objects.filter(user=user_id).first()
    if agent and not User.objects.get(pk=user_id).has_role(Role.AGENT):
        sign_out(agent.pk, reason="switched_off", by=SYSTEM, now=now)


def follow_teams(user_id: int, *, removed: Collection[int], now: datetime) -> None:
    """After he left teams: their work is not his any more. Safe to repeat, also when he is back in the team."""
    agent = Agent.objects.filter(user=user_id).first()
    teams = set(removed) - set(
        User.teams.through.objects.filter(user=user_id).values_list("team_id", flat=True)
    )
    if agent is None or not teams:
        return
    with transaction.atomic():
        agent = agents.lock(agent.pk)
        leave_offers(agent, reason="left_team", by=SYSTEM, now=now, teams=teams)
        leave_work(agent, reason="left_team", by=SYSTEM, now=now, teams=teams)
        agents.restate(agent, now=now, by=SYSTEM)


def release_lost(*, now: datetime) -> int:
    """Agents whose connection ended: what rings at them is offered elsewhere; after the grace, their work too."""
    ringing = Exists(Offer.objects.live().filter(agent=OuterRef("pk")))
    shown = Exists(
        PresenceInterval.objects.filter(agent=OuterRef("pk"), ended_at=None, state=State.DISCONNECTED)
    )
    is_over = Q(present_until__lte=now - agents.GRACE)
    lost = Agent.objects.lost(now).filter(ringing | ~shown | is_over).values_list("id", flat=True)
    return sum(_release_from(agent_id, now=now) for agent_id in list(lost))


def _release_from(agent_id: int, *, now: datetime) -> bool:
    with transaction.atomic():
        agent = agents.lock_if_free(agent_id)
        if agent is None or agent.chosen == Chosen.SIGNED_OUT or agents.is_connected(agent, now=now):
            return False  # he is back, or about to be
        is_over = agent.present_until is None or agent.present_until + agents.GRACE <= now
        if is_over:
            agent.chosen, agent.reason, agent.present_until = Chosen.SIGNED_OUT, None, None
            agent.save(update_fields=["chosen", "reason", "present_until"])
            leave_everything(agent, reason="lost", by=SYSTEM, now=now)
        else:
            leave_offers(agent, reason="lost", by=SYSTEM, now=now)
        agents.restate(agent, now=now, by=SYSTEM, has_chosen=is_over)
        return True


def release_strays(*, now: datetime) -> int:
    """Work held by agents who are signed out, however that came about: nobody would ever answer it."""
    held = Exists(Item.objects.held().filter(agent=OuterRef("pk")))
    rung = Exists(Offer.objects.live().filter(agent=OuterRef("pk")))
    strays = Agent.objects.filter(held | rung, chosen=Chosen.SIGNED_OUT).values_list("id", flat=True)
    found = list(strays)
    for agent_id in found:
        sign_out(agent_id, reason="lost", by=SYSTEM, now=now)
    return len(found)
