"""Presence of agents: what they choose, whether they are connected, what they are doing; and their capacity."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from apps.core import events
from apps.core.events import SYSTEM, Actor
from apps.users.models import User

from .. import errors, presence_policy
from ..choices import Chosen, ItemState, OfferState, State
from ..events import PresenceChanged
from ..models import Agent, NotReadyReason, Offer, PresenceInterval

# Three missed heartbeats: a dead laptop is noticed within half a minute.
LEASE = timedelta(seconds=30)
# So long a lost agent keeps his active work: a reload or a tunnel must not take it from him.
GRACE = timedelta(seconds=60)


def of(user: User) -> Agent:
    """The agent row of a user; made on first use."""
    return Agent.objects.get_or_create(user=user)[0]


def choose(
    user: User, *, chosen: Chosen, now: datetime, by: Actor, reason: NotReadyReason | None = None
) -> Agent:
    """Set what the agent says about himself; being available also ends "not responding". Renews his lease.

    Signing out or going not ready cancels what rings at him (nobody is blamed); signing out needs no reason.
    """
    from . import offers

    if chosen == Chosen.NOT_READY and reason is None:
        raise errors.ReasonRequired
    with transaction.atomic():
        agent = lock(of(user).pk)
        agent.chosen, agent.reason = chosen, reason if chosen == Chosen.NOT_READY else None
        if chosen == Chosen.AVAILABLE:
            agent.is_not_responding = False
        agent.present_until = None if chosen == Chosen.SIGNED_OUT else now + LEASE
        agent.save(update_fields=["chosen", "reason", "is_not_responding", "present_until"])
        if chosen != Chosen.AVAILABLE:
            offers.cancel_all_of(agent, reason="agent_left", by=by, now=now)
        restate(agent, now=now, by=by)
        return agent


def renew_leases(user_ids: Iterable[int], *, now: datetime) -> int:
    """The heartbeat of many agents in one statement. Whoever came back from a lost connection is restated."""
    signed_in = Agent.objects.filter(user_id__in=list(user_ids)).exclude(chosen=Chosen.SIGNED_OUT)
    returned = list(signed_in.filter(present_until__lte=now))
    renewed = signed_in.update(present_until=now + LEASE)
    for agent in returned:
        with transaction.atomic():
            restate(lock(agent.pk), now=now, by=SYSTEM)
    return renewed


def reserve(agent_id: int, *, units: int, now: datetime) -> bool:
    """Take units of an agent's capacity if he has them, is there and takes work; the row count decides."""
    return bool(
        Agent.objects.filter(
            id=agent_id,
            load__lte=F("capacity") - units,
            chosen=Chosen.AVAILABLE,
            is_not_responding=False,
            present_until__gt=now,
            user__is_active=True,
        ).update(load=F("load") + units)
    )


def give_back(agent: Agent, *, units: int, now: datetime, was_offered: bool = False) -> None:
    """Return units; from now on he is idle (also after an offer, so that the next one goes to somebody else)."""
    Agent.objects.filter(id=agent.pk).update(load=Greatest(F("load") - units, 0), free_since=now)
    agent.refresh_from_db(fields=["load", "free_since"])


def lock(agent_id: int) -> Agent:
    """The agent's row, locked. Lock order everywhere: agent, then offer, then item."""
    return (
        Agent.objects.select_for_update(no_key=True, of=("self",))
        .select_related("user", "reason")
        .get(pk=agent_id)
    )


def lock_many(agent_ids: Iterable[int]) -> QuerySet[Agent]:
    """Several agents, locked in id order, so that two claimers cannot deadlock."""
    return (
        Agent.objects.filter(id__in=list(agent_ids))
        .order_by("id")
        .select_for_update(no_key=True, of=("self",))
    )


def state_of(agent: Agent, *, now: datetime) -> State:
    items = list(agent.items.held().values_list("state", flat=True))
    return presence_policy.displayed(
        chosen=agent.chosen,
        is_connected=agent.present_until is not None and agent.present_until > now,
        is_not_responding=agent.is_not_responding,
        active=items.count(ItemState.ACTIVE),
        offered=Offer.objects.filter(agent=agent, state=OfferState.OFFERED).count(),
        wrapping_up=items.count(ItemState.WRAP_UP),
    )


def restate(agent: Agent, *, now: datetime, by: Actor) -> None:
    """Write a new presence interval if the displayed state changed. Call it under the agent's lock."""
    state = state_of(agent, now=now)
    reason = agent.reason.name if agent.reason and state == State.NOT_READY else ""
    current = PresenceInterval.objects.filter(agent=agent, ended_at=None).first()
    if current and (current.state, current.reason) == (state, reason):
        return
    if current:
        PresenceInterval.objects.filter(pk=current.pk).update(ended_at=now)
    PresenceInterval.objects.create(agent=agent, state=state, reason=reason, started_at=now)
    fact = PresenceChanged(agent=agent.pk, user=agent.user_id, state=str(state), reason=reason)
    events.record(fact, stream=agent.stream, actor=by)
