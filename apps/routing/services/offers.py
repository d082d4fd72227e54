"""The life of an offer: made, then accepted (`acceptance`), declined, lapsed or cancelled. Late answers lose.

Lock order: agent, then offer, then item. The state of the offer row is the commit point; its units are reserved from
the moment it is made, so accepting adds nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.core import bulk, events
from apps.core.among import among
from apps.core.errors import EMLError
from apps.core.events import SYSTEM, Actor, Fact
from apps.messaging.models import stream
from apps.users.models import User

from .. import errors, policy
from ..choices import ItemState, OfferState
from ..events import OfferCancelled, OfferDeclined, OfferLapsed, OfferMade
from ..models import Agent, Decision, Item, Offer
from . import agents

logger = logging.getLogger(__name__)

# One sweep ends so many; the next one comes in a second.
BATCH = 200


class Reasons(NamedTuple):
    """Of a decision, what is stored (`Decision`) besides its item, agent and time."""

    queue_id: int
    policy: int
    score: int
    step: int
    terms: list
    others: list


class Wish(NamedTuple):
    """An offer to be made: of an item as it was seen (`epoch`), to a locked agent."""

    item_id: int
    epoch: int
    conversation_id: int
    units: int
    offer_seconds: int
    agent: Agent
    reasons: Reasons | None = None

    @classmethod
    def of(cls, item: Item, agent: Agent) -> Wish:
        queue = item.queue
        return cls(item.pk, item.epoch, item.conversation_id, queue.units, queue.offer_seconds, agent)


def make(item: Item, *, agent: Agent, now: datetime, by: Actor = SYSTEM) -> Offer | None:
    """Ring an agent for a waiting item and reserve his units; None when either is not to be had any more.

    The caller holds the agent's lock. `item.epoch` is the number the caller saw: if it changed, he is too late.
    """
    made = make_many([Wish.of(item, agent)], now=now, by=by)
    return Offer.objects.get(pk=made[item.pk]) if made else None


def make_many(wishes: Sequence[Wish], *, now: datetime, by: Actor = SYSTEM) -> dict[int, int]:
    """`make` for many, in a constant number of statements per queue: locks are held for a moment only.

    Returns the offers (by item id, their ids). Wishes that cannot be fulfilled (any more) are left out. The caller
    holds the locks of all agents named.
    """
    with transaction.atomic():
        possible = _fulfil(wishes, now=now)
        if not possible:
            return {}
        rung = list({wish.agent.pk: wish.agent for wish in possible}.values())
        bulk.update(rung, ["load", "free_since"])  # the database checks the bounds
        _mark_offered(possible)
        keys = _store(possible, now=now)
        events.record_many(_made(wish, key, by) for wish, key in zip(possible, keys, strict=True))
        agents.restate_all(rung, now=now, by=by)
        return {wish.item_id: key for wish, key in zip(possible, keys, strict=True)}


def _fulfil(wishes: Sequence[Wish], *, now: datetime) -> list[Wish]:
    """Those whose item still waits as it was seen and whose agent takes it; units are reserved in the agents' rows.

    Idle time begins anew with each offer, so that the next one goes to somebody else.
    """
    users = {wish.agent.user_id for wish in wishes}
    active_ids = set(User.objects.filter(among("id", users), is_active=True).values_list("id", flat=True))
    waiting = Item.objects.waiting().filter(among("id", {wish.item_id for wish in wishes})).order_by("id")
    epochs = dict(waiting.select_for_update(no_key=True).values_list("id", "epoch"))
    possible = []
    for wish in wishes:
        agent = wish.agent
        is_there = agent.user_id in active_ids and agents.takes_work(agent, units=wish.units, now=now)
        if is_there and epochs.get(wish.item_id) == wish.epoch:
            del epochs[wish.item_id]
            agent.load, agent.free_since = agent.load + wish.units, now
            possible.append(wish)
    return possible


def _mark_offered(wishes: Sequence[Wish]) -> None:
    by_units: dict[int, list[int]] = defaultdict(list)
    for wish in wishes:
        by_units[wish.units].append(wish.item_id)
    for units, ids in by_units.items():
        taken = Item.objects.filter(among("id", ids))
        taken.update(state=ItemState.OFFERED, epoch=F("epoch") + 1, units=units)


def _store(wishes: Sequence[Wish], *, now: datetime) -> list[int]:
    """Decisions and offers, many hundreds per second: as columns, without a row of their models for each."""
    decided = [wish for wish in wishes if wish.reasons]
    decisions = dict(zip((wish.item_id for wish in decided), _store_decisions(decided, now=now), strict=True))
    lasting = {wish.offer_seconds: now + timedelta(seconds=wish.offer_seconds) for wish in wishes}
    columns: dict[str, list] = {
        "item_id": [wish.item_id for wish in wishes],
        "agent_id": [wish.agent.pk for wish in wishes],
        "decision_id": [decisions.get(wish.item_id) for wish in wishes],
        "epoch": [wish.epoch + 1 for wish in wishes],
        "units": [wish.units for wish in wishes],
        "expires_at": [lasting[wish.offer_seconds] for wish in wishes],
    }
    return bulk.insert_values(Offer, columns, offered_at=now)


def _store_decisions(wishes: Sequence[Wish], *, now: datetime) -> list[int]:
    reasons = [wish.reasons for wish in wishes if wish.reasons]
    columns = {name: [getattr(one, name) for one in reasons] for name in Reasons._fields}
    columns["item_id"] = [wish.item_id for wish in wishes]
    columns["agent_id"] = [wish.agent.pk for wish in wishes]
    return bulk.insert_values(Decision, columns, at=now)


def _made(wish: Wish, offer_id: int, by: Actor) -> events.Entry:
    fact = OfferMade(
        conversation=wish.conversation_id, offer=offer_id, agent=wish.agent.pk, user=wish.agent.user_id
    )
    return events.Entry(fact, stream(wish.conversation_id), by.actor_ref)


def decline(offer_id: int, *, by: User, now: datetime) -> Offer:
    """The agent does not want it: it goes back to its place in line, and not to him again for now."""
    with transaction.atomic():
        offer, agent = _locked(offer_id, user=by)
        if not end(offer, agent=agent, state=OfferState.DECLINED, now=now):
            raise too_late(offer)
        answered([agent])
        _record(OfferDeclined, offer, agent=agent, by=by)
        agents.restate(agent, now=now, by=by)
        return offer


def answered(people: Iterable[Agent]) -> None:
    """Whoever answers one offer responds, whatever he missed before."""
    deaf = [agent for agent in people if agent.is_not_responding]
    for agent in deaf:
        agent.is_not_responding = False
    if deaf:
        Agent.objects.filter(id__in=[agent.pk for agent in deaf]).update(is_not_responding=False)


def lapse_expired(*, now: datetime) -> int:
    """End every offer whose lease is over; those agents are set not responding until they come back (RONA)."""
    expired = Offer.objects.live().filter(expires_at__lte=now).order_by("expires_at")
    return sum(
        _lapse(offer_id, agent_id, now=now)
        for offer_id, agent_id in expired.values_list("id", "agent_id")[:BATCH]
    )


def _lapse(offer_id: int, agent_id: int, *, now: datetime) -> bool:
    with transaction.atomic():
        agent = agents.lock_if_free(agent_id)
        if agent is None:
            return False
        offer = Offer.objects.get(pk=offer_id)
        if not end(offer, agent=agent, state=OfferState.LAPSED, now=now):
            return False
        agent.is_not_responding = True
        agent.save(update_fields=["is_not_responding"])
        _record(OfferLapsed, offer, agent=agent, by=SYSTEM)
        agents.restate(agent, now=now, by=SYSTEM)
        return True


def cancel(
    offer: Offer, *, agent: Agent, reason: str, by: Actor, now: datetime, item: Item | None = None
) -> bool:
    """Withdraw a live offer without blame; False when it had ended already.

    The caller holds the agent's lock (and the lock of `item`, if he gives it) and restates the agent afterwards.
    """
    if not end(offer, agent=agent, state=OfferState.CANCELLED, now=now, item=item):
        return False
    _record(OfferCancelled, offer, agent=agent, by=by, reason=reason)
    return True


def end(offer: Offer, *, agent: Agent, state: OfferState, now: datetime, item: Item | None = None) -> bool:
    """End a live offer: units back, and the item waits at its old place. False when it had ended already."""
    if not Offer.objects.live().filter(id=offer.pk).update(state=state, ended_at=now):
        return False
    offer.state, offer.ended_at = state, now
    item = item or Item.objects.select_for_update(no_key=True).get(pk=offer.item_id)
    if (item.state, item.epoch) == (ItemState.OFFERED, offer.epoch):
        if state != OfferState.CANCELLED:
            # Which of the two it was, as `explain` calls it too.
            item.not_to[str(agent.pk)] = policy.Refusal(int(now.timestamp()), state.value)
        item.state, item.units, item.epoch = ItemState.WAITING, 0, item.epoch + 1
        item.save(update_fields=["state", "units", "epoch", "not_to"])
    agents.give_back(agent, units=offer.units, now=now)
    return True


def _locked(offer_id: int, *, user: User) -> tuple[Offer, Agent]:
    agent_id = Offer.objects.filter(id=offer_id, agent__user=user).values_list("agent_id", flat=True).first()
    if agent_id is None:
        raise errors.OfferNotFound
    agent = agents.lock(agent_id)
    return Offer.objects.select_related("item__queue", "item__conversation").get(pk=offer_id), agent


def too_late(offer: Offer) -> EMLError:
    """Why it cannot be answered, looked up again: an expired one may not have been swept yet."""
    state = Offer.objects.values_list("state", flat=True).get(pk=offer.pk)
    if state in (OfferState.ACCEPTED, OfferState.DECLINED):
        return errors.OfferAlreadyTaken()
    is_expired = (
        state == OfferState.LAPSED or Offer.objects.filter(pk=offer.pk, expires_at__lte=Now()).exists()
    )
    return (
        errors.OfferExpired()
        if is_expired and state != OfferState.CANCELLED
        else errors.OfferCancelledError()
    )


def _record(fact: type[Fact], offer: Offer, *, agent: Agent, by: Actor, **extra: str) -> None:
    events.record_many([entry(fact, offer, agent=agent, by=by, **extra)])


def entry(fact: type[Fact], offer: Offer, *, agent: Agent, by: Actor, **extra: str) -> events.Entry:
    conversation_id = offer.item.conversation_id
    ids = {"conversation": conversation_id, "offer": offer.pk, "agent": agent.pk, "user": agent.user_id}
    return events.Entry(fact(**ids, **extra), stream(conversation_id), by.actor_ref, subject=offer.item)
