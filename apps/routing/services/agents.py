"""Presence of agents: what they choose, whether they are connected, what they are doing; and their capacity.

Everything about one agent is written under the lock of his row. Several agents are locked in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from apps.core import events
from apps.core.events import SYSTEM, Actor
from apps.users.models import User

from .. import errors, presence_policy
from ..choices import Chosen, ItemState, State
from ..events import PresenceChanged
from ..models import Agent, NotReadyReason, PresenceInterval

# Three missed heartbeats: a dead laptop is noticed within half a minute.
LEASE = timedelta(seconds=30)
# So long a lost agent keeps his active work: a reload or a tunnel must not take it from him.
GRACE = timedelta(seconds=60)


def of(user: User) -> Agent:
    """The agent row of a user; made on first use."""
    return Agent.objects.get_or_create(user=user)[0]


def lock(agent_id: int) -> Agent:
    """The agent's row, locked. Nothing is joined: a join would show related rows as they were before the wait."""
    return Agent.objects.select_for_update(no_key=True).get(pk=agent_id)


def lock_if_free(agent_id: int) -> Agent | None:
    """For sweeps, which come again in a second: None when somebody else works on this agent."""
    return Agent.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=agent_id).first()


def lock_many(agent_ids: Iterable[int]) -> dict[int, Agent]:
    """Several agents, locked in id order, so that two claimers cannot deadlock."""
    rows = Agent.objects.filter(id__in=set(agent_ids)).order_by("id").select_for_update(no_key=True)
    return {agent.pk: agent for agent in rows}


def choose(
    user: User, *, chosen: Chosen, now: datetime, by: Actor, reason: NotReadyReason | None = None
) -> Agent:
    """Set what the agent says about himself, which also ends "not responding". Renews his lease.

    Going not ready or signing out withdraws what rings at him (nobody is blamed). Signing out also puts his work back
    in line and ends his wrap-ups. ReasonRequired without a reason for being not ready.
    """
    from . import leaving

    if chosen == Chosen.NOT_READY and reason is None:
        raise errors.ReasonRequired
    with transaction.atomic():
        agent = lock(of(user).pk)
        has_chosen = (agent.chosen, agent.reason_id) != (chosen, reason.pk if reason else None)
        _write_choice(agent, chosen=chosen, reason=reason, now=now)
        if chosen == Chosen.SIGNED_OUT:
            leaving.leave_everything(agent, reason="signed_out", by=by, now=now)
        elif chosen == Chosen.NOT_READY:
            leaving.leave_offers(agent, reason="agent_left", by=by, now=now)
        restate(agent, now=now, by=by, has_chosen=has_chosen)
        return agent


def _write_choice(agent: Agent, *, chosen: Chosen, reason: NotReadyReason | None, now: datetime) -> None:
    if chosen == Chosen.AVAILABLE and (agent.chosen != chosen or agent.is_not_responding):
        # Idle is who could have taken something: a night or a lunch break does not count.
        agent.free_since = now
    # Whoever says something about himself responds.
    agent.is_not_responding = False
    agent.chosen = chosen
    agent.reason = reason if chosen == Chosen.NOT_READY else None
    agent.present_until = None if chosen == Chosen.SIGNED_OUT else now + LEASE
    agent.save(update_fields=["chosen", "reason", "is_not_responding", "present_until", "free_since"])


def set_not_ready(agent_id: int, *, reason: NotReadyReason, now: datetime, by: Actor) -> Agent:
    """A supervisor pauses an agent who is signed in; his lease stays his own. AgentNotThere when he is not."""
    from . import leaving

    with transaction.atomic():
        agent = lock(agent_id)
        if agent.chosen == Chosen.SIGNED_OUT:
            raise errors.AgentNotThere
        agent.chosen, agent.reason = Chosen.NOT_READY, reason
        agent.save(update_fields=["chosen", "reason"])
        leaving.leave_offers(agent, reason="agent_left", by=by, now=now)
        restate(agent, now=now, by=by, has_chosen=True)
        return agent


def set_capacity(agent_id: int, *, capacity: int, by: Actor) -> Agent:
    """How many units he may hold. CapacityTooLow while he holds more than that."""
    with transaction.atomic():
        agent = lock(agent_id)
        if capacity < agent.load:
            raise errors.CapacityTooLow(load=agent.load)
        agent.capacity = capacity
        agent.save(update_fields=["capacity"])
        return agent


def renew_leases(user_ids: Iterable[int], *, now: datetime) -> int:
    """The heartbeat of many agents: two statements. Whoever came back from a lost connection is restated.

    Not inside another transaction: it locks agents. Returns how many leases were renewed.
    """
    with transaction.atomic():
        signed_in = Agent.objects.filter(user_id__in=set(user_ids)).exclude(chosen=Chosen.SIGNED_OUT)
        # An UPDATE alone would lock them in any order, and meet the router half way.
        rows = list(signed_in.order_by("id").select_for_update(no_key=True))
        Agent.objects.filter(id__in=[agent.pk for agent in rows]).update(present_until=now + LEASE)
        for agent in rows:
            was_lost = agent.present_until is None or agent.present_until <= now
            agent.present_until = now + LEASE
            if was_lost:
                restate(agent, now=now, by=SYSTEM)
        return len(rows)


def reserve(agent: Agent, *, units: int, now: datetime) -> bool:
    """Take units of a locked agent's capacity if he has them, is there and takes work; the row count decides.

    His idle time begins anew, so that the next one goes to somebody else.
    """
    there = Agent.objects.filter(
        id=agent.pk,
        load__lte=F("capacity") - units,
        chosen=Chosen.AVAILABLE,
        is_not_responding=False,
        present_until__gt=now,
        user__is_active=True,
    )
    return _take(agent, there.update(load=F("load") + units, free_since=now))


def burden(agent: Agent, *, units: int, now: datetime) -> bool:
    """Take units of a locked agent's capacity without asking whether he wants them; False when he has no room."""
    has_room = Agent.objects.filter(id=agent.pk, load__lte=F("capacity") - units)
    return _take(agent, has_room.update(load=F("load") + units, free_since=now))


def _take(agent: Agent, changed_rows: int) -> bool:
    if changed_rows:
        agent.refresh_from_db(fields=["load", "free_since"])
    return bool(changed_rows)


def give_back(agent: Agent, *, units: int, now: datetime) -> None:
    """Return units of a locked agent; from now on he is idle (also after an offer)."""
    Agent.objects.filter(id=agent.pk).update(
        load=F("load") - units, free_since=Greatest(F("free_since"), Value(now))
    )
    agent.refresh_from_db(fields=["load", "free_since"])


def is_connected(agent: Agent, *, now: datetime) -> bool:
    return agent.chosen != Chosen.SIGNED_OUT and agent.present_until is not None and agent.present_until > now


def state_of(agent: Agent, *, now: datetime) -> State:
    items = list(agent.items.held().values_list("state", flat=True))
    return presence_policy.displayed(
        chosen=agent.chosen,
        is_connected=is_connected(agent, now=now),
        is_not_responding=agent.is_not_responding,
        active=items.count(ItemState.ACTIVE),
        offered=agent.offers.live().count(),
        wrapping_up=items.count(ItemState.WRAP_UP),
    )


def restate(agent: Agent, *, now: datetime, by: Actor, has_chosen: bool = False) -> None:
    """Write a new presence interval if the displayed state changed. Once per transaction, under the agent's lock.

    `has_chosen`: he says something else about himself now. Screens and router must know, also when the displayed
    state stays the same (on contact before and after).
    """
    state = state_of(agent, now=now)
    reason = agent.reason.name if agent.reason and state == State.NOT_READY else ""
    current = PresenceInterval.objects.filter(agent=agent, ended_at=None).first()
    is_same = current is not None and (current.state, current.reason) == (state, reason)
    if not is_same:
        _begin_interval(agent, current, state=state, reason=reason, now=now)
    if has_chosen or not is_same:
        fact = PresenceChanged(
            agent=agent.pk, user=agent.user_id, state=str(state), reason=reason, chosen=str(agent.chosen)
        )
        events.record(fact, stream=agent.stream, actor=by)


def _begin_interval(
    agent: Agent, current: PresenceInterval | None, *, state: State, reason: str, now: datetime
) -> None:
    """Intervals meet without gap or overlap, also when `now` was read before waiting for the lock."""
    started_at = max(now, current.started_at) if current else now
    if current and current.started_at == started_at:
        current.delete()  # it lasted no time at all
        before = PresenceInterval.objects.filter(agent=agent, ended_at=started_at, state=state, reason=reason)
        if before.update(ended_at=None):
            return
    elif current:
        PresenceInterval.objects.filter(pk=current.pk).update(ended_at=started_at)
    PresenceInterval.objects.create(agent=agent, state=state, reason=reason, started_at=started_at)
