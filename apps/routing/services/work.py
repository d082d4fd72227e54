"""Work in an agent's hands: finished, wrapped up, passed on, lost. Lock order: agent, then offer, then item."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from apps.core import events
from apps.core.events import SYSTEM, Actor
from apps.messaging.services import conversations
from apps.users.models import User

from .. import errors
from ..choices import Chosen, ItemState
from ..events import ItemBack, WorkFinished, WorkReassigned, WrapUpStarted
from ..models import Agent, Item, Queue
from . import agents, offers, queueing


def conversation_closed(conversation_id: int, *, now: datetime) -> None:
    """Follow a closed conversation: its agent wraps up, or the line is one shorter. Safe to repeat."""
    item, agent = _item_and_agent(conversation_id)
    if item is None:
        return
    with transaction.atomic():
        agent = agents.lock(agent.pk) if agent else None
        live = item.offers.live().select_related("item", "item__conversation").first()
        if live:
            ringing = agents.lock(live.agent_id)
            offers.cancel(live, agent=ringing, reason="customer_left", by=SYSTEM, now=now)
        item = queueing.get_locked(conversation_id)
        if item.state == ItemState.ACTIVE and agent:
            _wrap_up(item, agent=agent, now=now)
        elif item.state == ItemState.WAITING:
            _finish(item, agent=None, now=now)


def _item_and_agent(conversation_id: int) -> tuple[Item | None, Agent | None]:
    item = Item.objects.select_related("agent").filter(conversation_id=conversation_id).first()
    if item is None or item.state in (ItemState.DONE, ItemState.WRAP_UP):
        return None, None
    return item, item.agent if item.state == ItemState.ACTIVE else None


def _wrap_up(item: Item, *, agent: Agent, now: datetime) -> None:
    if item.queue.wrap_up_seconds == 0:
        return _finish(item, agent=agent, now=now)
    item.state, item.epoch = ItemState.WRAP_UP, item.epoch + 1
    item.wrap_until = now + timedelta(seconds=item.queue.wrap_up_seconds)
    item.save(update_fields=["state", "epoch", "wrap_until"])
    fact = WrapUpStarted(conversation=item.conversation_id, item=item.pk, agent=agent.pk)
    events.record(fact, stream=item.conversation.stream, actor=SYSTEM)
    agents.restate(agent, now=now, by=SYSTEM)
    return None


def _finish(item: Item, *, agent: Agent | None, now: datetime, by: Actor = SYSTEM) -> None:
    units = item.units
    item.state, item.units, item.wrap_until, item.epoch = ItemState.DONE, 0, None, item.epoch + 1
    item.save(update_fields=["state", "units", "wrap_until", "epoch"])
    if agent:
        agents.give_back(agent, units=units, now=now)
    fact = WorkFinished(conversation=item.conversation_id, item=item.pk, agent=agent.pk if agent else None)
    events.record(fact, stream=item.conversation.stream, actor=by)
    if agent:
        agents.restate(agent, now=now, by=by)


def end_wrap_up(conversation_id: int, *, by: Actor, now: datetime, user: User | None = None) -> None:
    """Free the agent before the timer does. NotInWrapUp when there is none (of this user)."""
    wrapping = Item.objects.filter(conversation_id=conversation_id, state=ItemState.WRAP_UP)
    if user is not None:
        wrapping = wrapping.filter(agent__user=user)
    agent_id = wrapping.values_list("agent_id", flat=True).first()
    if agent_id is None:
        raise errors.NotInWrapUp
    with transaction.atomic():
        agent = agents.lock(agent_id)
        item = queueing.get_locked(conversation_id)
        if item.state != ItemState.WRAP_UP:
            raise errors.NotInWrapUp
        _finish(item, agent=agent, now=now, by=by)


def end_wrap_ups(*, now: datetime) -> int:
    """The timer: every wrap-up whose time is over."""
    over = Item.objects.filter(state=ItemState.WRAP_UP, wrap_until__lte=now).values_list(
        "conversation_id", flat=True
    )
    ended = 0
    for conversation_id in list(over[:200]):
        try:
            end_wrap_up(conversation_id, by=SYSTEM, now=now)
            ended += 1
        except (errors.NotInWrapUp, errors.NotInLine):
            continue  # somebody ended it by hand a moment ago
    return ended


def transfer_to_queue(conversation_id: int, *, to: Queue, by: Actor, now: datetime) -> None:
    """Pass it on to a queue; it keeps its place in line, and does not come back to the one who passed it on."""
    with transaction.atomic():
        item = _back_in_line(conversation_id, reason="transfer", by=by, now=now, team_id=to.team_id)
        came_from = item.last_agent_id
        queueing.move(item, to=to, by=by)
        if came_from:
            item.not_to = {str(came_from): int(now.timestamp())}
            item.save(update_fields=["not_to"])


def transfer_to_agent(conversation_id: int, *, to: User, by: Actor, now: datetime) -> None:
    """Ring one agent for it. If he declines or does not answer, it waits in its queue at its old place."""
    agent_id = _agent_to_hand_to(conversation_id, to=to)
    with transaction.atomic():
        # Both agents before the item, in id order.
        current = Item.objects.values_list("agent_id", flat=True).get(conversation_id=conversation_id)
        list(agents.lock_many({agent_id, current} - {None}))
        item = _back_in_line(conversation_id, reason="transfer", by=by, now=now)
        if offers.make(item, agent=agents.lock(agent_id), now=now, by=by) is None:
            raise errors.AgentAtCapacity


def reassign(conversation_id: int, *, to: User, by: Actor, now: datetime) -> None:
    """A supervisor gives it to an agent without asking him: from the line, from an offer, or from another agent."""
    agent_id = _agent_to_hand_to(conversation_id, to=to)
    with transaction.atomic():
        current = Item.objects.values_list("agent_id", flat=True).get(conversation_id=conversation_id)
        list(agents.lock_many({agent_id, current} - {None}))
        agent = agents.lock(agent_id)
        item = _back_in_line(conversation_id, reason="reassign", by=by, now=now)
        units = item.queue.units
        room = Agent.objects.filter(id=agent_id, load__lte=F("capacity") - units).update(
            load=F("load") + units
        )
        if not room:
            raise errors.AgentAtCapacity
        item.state, item.agent, item.last_agent, item.units = ItemState.ACTIVE, agent, agent, units
        item.epoch, item.answered_at = item.epoch + 1, item.answered_at or now
        item.save(update_fields=["state", "agent", "last_agent", "units", "epoch", "answered_at"])
        conversations.assign(conversation_id, agent=to, by=by, now=now)
        fact = WorkReassigned(conversation=conversation_id, item=item.pk, agent=agent_id)
        events.record(fact, stream=item.conversation.stream, actor=by)
        agents.restate(agent, now=now, by=by)


def release_lost(*, now: datetime) -> int:
    """Agents whose connection ended: what rings at them is offered elsewhere; after the grace, their work too."""
    lost = list(Agent.objects.lost(now).values_list("id", "present_until"))
    for agent_id, present_until in lost:
        _release_from(agent_id, is_over=present_until + agents.GRACE <= now, now=now)
    return len(lost)


def _release_from(agent_id: int, *, is_over: bool, now: datetime) -> None:
    with transaction.atomic():
        agent = agents.lock(agent_id)
        if agent.chosen == Chosen.SIGNED_OUT or agent.present_until is None or agent.present_until > now:
            return  # he is back
        offers.cancel_all_of(agent, reason="agent_lost", by=SYSTEM, now=now)
        if is_over:
            _take_everything_from(agent, now=now)
            agent.chosen, agent.present_until = Chosen.SIGNED_OUT, None
            agent.save(update_fields=["chosen", "present_until"])
        agents.restate(agent, now=now, by=SYSTEM)


def _take_everything_from(agent: Agent, *, now: datetime) -> None:
    for conversation_id, state in list(agent.items.held().values_list("conversation_id", "state")):
        if state == ItemState.WRAP_UP:
            _finish(queueing.get_locked(conversation_id), agent=agent, now=now)
        else:
            _back_in_line(conversation_id, reason="lost", by=SYSTEM, now=now)


def _agent_to_hand_to(conversation_id: int, *, to: User) -> int:
    item = Item.objects.select_related("conversation").filter(conversation_id=conversation_id).first()
    if item is None or item.state == ItemState.DONE:
        raise errors.NotInLine
    if not to.is_active or not to.teams.filter(pk=item.conversation.team_id).exists():
        raise errors.AgentNotInTeam
    return agents.of(to).pk


def _back_in_line(
    conversation_id: int, *, reason: str, by: Actor, now: datetime, team_id: int | None = None
) -> Item:
    """Take an item from whoever has it or is rung for it; it waits at its old place. Returns it locked."""
    item = Item.objects.select_related("agent").filter(conversation_id=conversation_id).first()
    if item is None:
        raise errors.NotInLine
    if item.state == ItemState.OFFERED:
        live = item.offers.live().select_related("item", "item__conversation").first()
        if live:
            offers.cancel(live, agent=agents.lock(live.agent_id), reason=reason, by=by, now=now)
    agent = agents.lock(item.agent_id) if item.state == ItemState.ACTIVE else None
    item = queueing.get_locked(conversation_id)
    if item.state == ItemState.WAITING:
        return item
    if item.state != ItemState.ACTIVE or agent is None or item.agent_id != agent.pk:
        raise errors.NotInLine
    conversations.release(conversation_id, reason=reason, by=by, now=now, team_id=team_id)
    units = item.units
    item.state, item.agent, item.units, item.epoch = ItemState.WAITING, None, 0, item.epoch + 1
    item.last_agent = agent
    item.save(update_fields=["state", "agent", "units", "epoch", "last_agent"])
    item.conversation.refresh_from_db()
    agents.give_back(agent, units=units, now=now)
    fact = ItemBack(conversation=conversation_id, item=item.pk, agent=agent.pk, reason=reason)
    events.record(fact, stream=item.conversation.stream, actor=by)
    agents.restate(agent, now=now, by=by)
    return item
