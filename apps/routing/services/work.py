"""Work in an agent's hands: finished, wrapped up, passed on, taken back. `hands` keeps the lock order."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction

from apps.core import events
from apps.core.errors import EMLError
from apps.core.events import SYSTEM, Actor
from apps.messaging import errors as messaging_errors
from apps.messaging.services import conversations
from apps.users.models import User

from .. import errors
from ..choices import HELD, Chosen, ItemState
from ..events import ItemBack, WorkFinished, WorkReassigned, WrapUpStarted
from ..models import Agent, Item, Queue
from . import agents, hands, offers, queueing
from .hands import Held

logger = logging.getLogger(__name__)

# One sweep ends so many; the next one comes in a second.
BATCH = 200


def conversation_closed(conversation_id: int, *, now: datetime) -> None:
    """Follow a closed conversation: its agent wraps up, or the line is one shorter. Safe to repeat."""
    with transaction.atomic():
        try:
            held = hands.hold(conversation_id)
        except errors.NotInLine:
            return
        if hands.is_settled(held.item):
            return
        _withdraw(held, reason="customer_left", by=SYSTEM, now=now)
        if held.item.state == ItemState.ACTIVE:
            _wrap_up(held, now=now)
        else:
            _finish(held, by=SYSTEM, now=now)
        held.restate(now=now, by=SYSTEM)


def _wrap_up(held: Held, *, now: datetime) -> None:
    item, agent = held.item, held.holder
    seconds = item.queue.wrap_up_seconds
    if seconds == 0 or agent is None or agent.chosen == Chosen.SIGNED_OUT:
        _finish(held, by=SYSTEM, now=now)
        return
    item.state, item.epoch, item.wrap_until = (
        ItemState.WRAP_UP,
        item.epoch + 1,
        now + timedelta(seconds=seconds),
    )
    item.save(update_fields=["state", "epoch", "wrap_until"])
    fact = WrapUpStarted(conversation=item.conversation_id, item=item.pk, agent=agent.pk)
    events.record(fact, stream=item.conversation.stream, actor=SYSTEM)


def _finish(held: Held, *, by: Actor, now: datetime) -> None:
    """The end of an item. Whoever held it stays named in it, and has his units back."""
    item, agent = held.item, held.holder
    units = item.units
    item.state, item.units, item.wrap_until, item.epoch = ItemState.DONE, 0, None, item.epoch + 1
    item.snoozed_until, item.snoozed_for = None, None
    item.save(update_fields=["state", "units", "wrap_until", "epoch", "snoozed_until", "snoozed_for"])
    if agent:
        agents.give_back(agent, units=units, now=now)
    fact = WorkFinished(conversation=item.conversation_id, item=item.pk, agent=agent.pk if agent else None)
    events.record(fact, stream=item.conversation.stream, actor=by)


def end_wrap_up(conversation_id: int, *, by: Actor, now: datetime, user: User | None = None) -> None:
    """Free the agent before the timer does. NotInWrapUp when there is none (of this user, if given)."""
    with transaction.atomic():
        try:
            held = hands.hold(conversation_id)
        except errors.NotInLine:
            raise errors.NotInWrapUp from None
        if held.item.state != ItemState.WRAP_UP or held.holder is None:
            raise errors.NotInWrapUp
        if user is not None and held.holder.user_id != user.pk:
            raise errors.NotInWrapUp
        _finish(held, by=by, now=now)
        held.restate(now=now, by=by)


def end_wrap_ups(*, now: datetime) -> int:
    """The timer: every wrap-up whose time is over."""
    over = Item.objects.filter(state=ItemState.WRAP_UP, wrap_until__lte=now).order_by("wrap_until")
    ended = 0
    for conversation_id in list(over.values_list("conversation_id", flat=True)[:BATCH]):
        try:
            end_wrap_up(conversation_id, by=SYSTEM, now=now)
            ended += 1
        except EMLError:
            continue  # somebody ended it by hand a moment ago, or works on it: the next sweep looks again
    return ended


def transfer_to_queue(
    conversation_id: int, *, to: Queue, by: Actor, now: datetime, holder: User | None = None
) -> None:
    """Pass it on to a queue; it keeps its place in line, and does not come back at once to whoever had it.

    With `holder`, only while this user has it (NotYourConversation).
    """
    if not to.is_active:
        raise errors.QueueSwitchedOff
    with transaction.atomic():
        held = hands.hold(conversation_id)
        _check_holder(held, holder)
        came_from = held.holder
        _back_in_line(held, reason="transfer", by=by, now=now, team_id=to.team_id)
        queueing.move(held.item, to=to, by=by, not_to=came_from, now=now)
        held.restate(now=now, by=by)


def transfer_to_agent(
    conversation_id: int, *, to: User, by: Actor, now: datetime, holder: User | None = None
) -> None:
    """Ring one agent for it. If he declines or does not answer, it waits in its queue at its old place.

    With `holder`, only while this user has it. Raises AgentNotInTeam, AgentNotThere, AgentNotAvailable,
    AgentAtCapacity, NotInLine, NotYourConversation; then nothing has changed.
    """
    agent_id = agents.of(to).pk
    with transaction.atomic():
        held = hands.hold(conversation_id, also=[agent_id])
        _check_holder(held, holder)
        came_from, target = held.holder, held.agents[agent_id]
        _check_may_have(held, target, user=to, now=now)
        if not _is_available(target):
            raise errors.AgentNotAvailable
        _back_in_line(held, reason="transfer", by=by, now=now)
        if came_from and came_from.pk != agent_id:
            queueing.keep_from(held.item, came_from, now=now)
        if offers.make(held.item, agent=target, now=now, by=by) is None:
            raise errors.AgentAtCapacity
        held.restate(now=now, by=by)


def reassign(conversation_id: int, *, to: User, by: Actor, now: datetime) -> None:
    """A supervisor gives it to an agent without asking him: from the line, from an offer, or from another agent.

    He may be paused, but must be signed in. Raises AgentNotInTeam, AgentNotThere, AgentAtCapacity, NotInLine; then
    nothing has changed. No-op when he has it already.
    """
    agent_id = agents.of(to).pk
    with transaction.atomic():
        held = hands.hold(conversation_id, also=[agent_id])
        _give(held, held.agents[agent_id], user=to, by=by, now=now)


def take_over(conversation_id: int, *, by: User, now: datetime) -> None:
    """A supervisor takes it himself. If he is not signed in as an agent, he is from now on (not ready for anything
    else), and has the usual grace to open the console before it goes back in line."""
    agent_id = agents.of(by).pk
    with transaction.atomic():
        held = hands.hold(conversation_id, also=[agent_id])
        agent = held.agents[agent_id]
        if not agents.is_connected(agent, now=now):
            agent.chosen, agent.reason, agent.present_until = Chosen.NOT_READY, None, now + agents.LEASE
            agent.save(update_fields=["chosen", "reason", "present_until"])
        _give(held, agent, user=by, by=by, now=now)


def _give(held: Held, agent: Agent, *, user: User, by: Actor, now: datetime) -> None:
    item = held.item
    if item.state == ItemState.ACTIVE and held.holder is agent:
        return
    _hand_over(held, agent, user=user, by=by, now=now)
    fact = WorkReassigned(conversation=item.conversation_id, item=item.pk, agent=agent.pk)
    events.record(fact, stream=item.conversation.stream, actor=by)


def _hand_over(held: Held, agent: Agent, *, user: User, by: Actor, now: datetime) -> None:
    item = held.item
    _check_may_have(held, agent, user=user, now=now)
    _back_in_line(held, reason="reassign", by=by, now=now)
    if not agents.burden(agent, units=item.queue.units, now=now):
        raise errors.AgentAtCapacity
    item.state, item.agent, item.last_agent, item.units = ItemState.ACTIVE, agent, agent, item.queue.units
    item.epoch, item.answered_at = item.epoch + 1, item.answered_at or now
    item.save(update_fields=["state", "agent", "last_agent", "units", "epoch", "answered_at"])
    conversations.assign(item.conversation_id, agent=user, by=by, now=now)
    held.restate(now=now, by=by)


def put_to_rest(held: Held, *, reason: str, by: Actor, now: datetime) -> None:
    """A callback reached nobody, or it is snoozed: its agent is free, nobody is rung for now. It keeps its place."""
    _back_in_line(held, reason=reason, by=by, now=now)
    item = held.item
    item.state, item.epoch = ItemState.RESTING, item.epoch + 1
    item.save(update_fields=["state", "epoch"])
    held.restate(now=now, by=by)


def wake(item: Item) -> None:
    """A resting item (locked by the caller) waits in line again."""
    if item.state == ItemState.RESTING:
        item.state, item.epoch = ItemState.WAITING, item.epoch + 1
        item.snoozed_until, item.snoozed_for = None, None
        item.save(update_fields=["state", "epoch", "snoozed_until", "snoozed_for"])


def give_back(held: Held, agent: Agent, *, by: Actor, now: datetime) -> None:
    """Whoever had it and is here, available and has room has it again, without being rung. Raises as `reassign`, and
    AgentNotAvailable."""
    if not _is_available(agent):
        raise errors.AgentNotAvailable
    _hand_over(held, agent, user=agent.user, by=by, now=now)


def take_from(held: Held, *, reason: str, by: Actor, now: datetime) -> None:
    """Take what an agent holds, because he goes: active work waits again, a wrap-up is over. He is not restated."""
    if held.item.state != ItemState.ACTIVE:
        _finish(held, by=by, now=now)
        return
    try:
        _back_in_line(held, reason=reason, by=by, now=now)
    except messaging_errors.ConversationIsClosed:
        # Closed a moment ago, and not followed yet: nobody is left to wrap it up.
        _finish(held, by=by, now=now)


def _back_in_line(held: Held, *, reason: str, by: Actor, now: datetime, team_id: int | None = None) -> None:
    """Take an item from whoever has it or is rung for it; it waits at its old place. NotInLine when it is over."""
    item = held.item
    if hands.is_settled(item):
        raise errors.NotInLine
    _withdraw(held, reason=reason, by=by, now=now)
    wake(item)
    agent = held.holder
    if agent is None:
        return
    conversations.release(item.conversation_id, reason=reason, by=by, now=now, team_id=team_id)
    units = item.units
    item.state, item.agent, item.units, item.epoch = ItemState.WAITING, None, 0, item.epoch + 1
    item.last_agent = agent
    item.save(update_fields=["state", "agent", "units", "epoch", "last_agent"])
    agents.give_back(agent, units=units, now=now)
    fact = ItemBack(conversation=item.conversation_id, item=item.pk, agent=agent.pk, reason=reason)
    events.record(fact, stream=item.conversation.stream, actor=by)


def _withdraw(held: Held, *, reason: str, by: Actor, now: datetime) -> None:
    if held.offer:
        agent = held.agents[held.offer.agent_id]
        offers.cancel(held.offer, agent=agent, reason=reason, by=by, now=now, item=held.item)
        held.offer = None


def _check_holder(held: Held, holder: User | None) -> None:
    """Who may pass on only his own work was asked before the locks; it may be somebody else's by now."""
    if holder is None:
        return
    if held.holder is None or held.holder.user_id != holder.pk or held.item.state not in HELD:
        raise messaging_errors.NotYourConversation


def _check_may_have(held: Held, agent: Agent, *, user: User, now: datetime) -> None:
    if hands.is_settled(held.item):
        raise errors.NotInLine
    team_id = held.item.conversation.team_id
    if not User.objects.filter(pk=user.pk, is_active=True, teams=team_id).exists():
        raise errors.AgentNotInTeam
    if not agents.is_connected(agent, now=now):
        raise errors.AgentNotThere


def _is_available(agent: Agent) -> bool:
    return agent.chosen == Chosen.AVAILABLE and not agent.is_not_responding
