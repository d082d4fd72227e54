"""Presence of agents: what they choose, whether they are connected, what they are doing; and their capacity.

Everything about one agent is written under the lock of his row. Several agents are locked in the order of their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from apps.core import bulk, events
from apps.core.events import SYSTEM, Actor
from apps.users.models import User

from .. import errors, presence_policy
from ..choices import Chosen, ItemState, State
from ..events import AgentSkillsChanged, PresenceChanged
from ..models import Agent, Item, NotReadyReason, Offer, PresenceInterval
from . import bell

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
        transaction.on_commit(partial(bell.ring, agents=[agent.pk]), robust=True)
        return agent


def skills_changed(agent: Agent, *, by: Actor) -> None:
    """After they were written, in the same transaction: he may take other work from now on."""
    fact = AgentSkillsChanged(agent=agent.pk, user=agent.user_id)
    events.record(fact, stream=agent.stream, actor=by)


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


def takes_work(agent: Agent, *, units: int, now: datetime) -> bool:
    """Whether a locked agent is there, takes work and has the room. His user is looked at by whoever asks."""
    return (
        agent.chosen == Chosen.AVAILABLE
        and not agent.is_not_responding
        and is_connected(agent, now=now)
        and agent.load + units <= agent.capacity
    )


def burden(agent: Agent, *, units: int, now: datetime) -> bool:
    """Take units of a locked agent's capacity without asking whether he wants them; False when he has no room."""
    has_room = Agent.objects.filter(id=agent.pk, load__lte=F("capacity") - units)
    if not has_room.update(load=F("load") + units, free_since=now):
        return False
    agent.refresh_from_db(fields=["load", "free_since"])
    return True


def give_back(agent: Agent, *, units: int, now: datetime) -> None:
    """Return units of a locked agent; from now on he is idle (also after an offer)."""
    Agent.objects.filter(id=agent.pk).update(
        load=F("load") - units, free_since=Greatest(F("free_since"), Value(now))
    )
    agent.refresh_from_db(fields=["load", "free_since"])


def is_connected(agent: Agent, *, now: datetime) -> bool:
    return agent.chosen != Chosen.SIGNED_OUT and agent.present_until is not None and agent.present_until > now


def state_of(agent: Agent, *, now: datetime) -> State:
    return _states([agent], now=now)[agent.pk]


def _states(agents: Collection[Agent], *, now: datetime, are_on_contact: bool = False) -> dict[int, State]:
    """What is displayed of each (agent id → state), in two queries; in none if they work on something now, which comes
    before whatever else is in their hands."""
    ids = [agent.pk for agent in agents]
    held, offered = Counter[tuple[int, str]](), Counter[int]()
    if are_on_contact:
        held.update((pk, ItemState.ACTIVE) for pk in ids)
    else:
        held.update(Item.objects.held().filter(agent__in=ids).values_list("agent", "state"))
        offered.update(Offer.objects.live().filter(agent__in=ids).values_list("agent", flat=True))
    return {
        agent.pk: presence_policy.displayed(
            chosen=agent.chosen,
            is_connected=is_connected(agent, now=now),
            is_not_responding=agent.is_not_responding,
            active=held[agent.pk, ItemState.ACTIVE],
            offered=offered[agent.pk],
            wrapping_up=held[agent.pk, ItemState.WRAP_UP],
        )
        for agent in agents
    }


def restate(agent: Agent, *, now: datetime, by: Actor, has_chosen: bool = False) -> None:
    """Write a new presence interval if the displayed state changed. Once per transaction, under the agent's lock.

    `has_chosen`: he says something else about himself now. Screens and router must know, also when the displayed
    state stays the same (on contact before and after).
    """
    restate_all([agent], now=now, by=by, has_chosen=has_chosen)


def restate_all(
    agents: Collection[Agent],
    *,
    now: datetime,
    by: Actor | Mapping[int, Actor],
    has_chosen: bool = False,
    are_on_contact: bool = False,
) -> None:
    """`restate` for many locked agents, in a constant number of statements unless an interval lasted no time.

    `by` is who did it to all of them, or to each (agent id → actor). `are_on_contact`: the caller has just given each
    of them something to work on, so that needs not be asked.
    """
    states = _states(agents, now=now, are_on_contact=are_on_contact)
    open_now = PresenceInterval.objects.filter(agent__in=[agent.pk for agent in agents], ended_at=None)
    current = {interval.agent_id: interval for interval in open_now}
    entries, changes = [], []
    for agent in agents:
        state, interval = states[agent.pk], current.get(agent.pk)
        reason = agent.reason.name if state == State.NOT_READY and agent.reason else ""
        is_same = interval is not None and (interval.state, interval.reason) == (state, reason)
        if not is_same:
            changes.append(_Change(agent.pk, interval, state, reason))
        if has_chosen or not is_same:
            fact = PresenceChanged(
                agent=agent.pk,
                user=agent.user_id,
                state=str(state),
                reason=reason,
                chosen=str(agent.chosen),
                before=interval.state if interval else "",
            )
            actor = by[agent.pk] if isinstance(by, Mapping) else by
            entries.append(events.Entry(fact, agent.stream, actor.actor_ref))
    _begin_intervals(changes, now=now)
    if entries:
        events.record_many(entries)


class _Change(NamedTuple):
    """An agent's state is another from now on; `before` is his interval until now."""

    agent_id: int
    before: PresenceInterval | None
    state: State
    reason: str


def _begin_intervals(changes: list[_Change], *, now: datetime) -> None:
    """Intervals meet without gap or overlap, also when `now` was read before waiting for the lock."""
    ending, beginning = [], []
    for change in changes:
        before = change.before
        started_at = max(now, before.started_at) if before else now
        if before and before.started_at == started_at:
            before.delete()  # it lasted no time at all
            if _reopened(change, ended_at=started_at):
                continue
        elif before:
            before.ended_at = started_at
            ending.append(before)
        interval = PresenceInterval(
            agent_id=change.agent_id, state=change.state, reason=change.reason, started_at=started_at
        )
        beginning.append(interval)
    bulk.update(ending, ["ended_at"])
    bulk.insert(PresenceInterval, beginning)


def _reopened(change: _Change, *, ended_at: datetime) -> bool:
    """Whether the interval before goes on, as if nothing had happened."""
    same = PresenceInterval.objects.filter(
        agent=change.agent_id, ended_at=ended_at, state=change.state, reason=change.reason
    )
    return bool(same.update(ended_at=None))
