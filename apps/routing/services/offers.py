"""The life of an offer: made, then accepted, declined, lapsed or cancelled. Late answers lose.

Lock order: agent, then offer, then item. The state of the offer row is the commit point; its units are reserved from
the moment it is made, so accepting adds nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.core import events
from apps.core.errors import EMLError
from apps.core.events import SYSTEM, Actor, Fact
from apps.messaging.models import stream
from apps.messaging.services import conversations
from apps.users.models import User

from .. import errors
from ..choices import ItemState, OfferState
from ..events import OfferAccepted, OfferCancelled, OfferDeclined, OfferLapsed, OfferMade
from ..models import Agent, Decision, Item, Offer
from . import agents

logger = logging.getLogger(__name__)

# One sweep ends so many; the next one comes in a second.
BATCH = 200


def make(
    item: Item, *, agent: Agent, now: datetime, decision: Decision | None = None, by: Actor = SYSTEM
) -> Offer | None:
    """Ring an agent for a waiting item and reserve his units; None when either is not to be had any more.

    The caller holds the agent's lock. `item.epoch` is the number the caller saw: if it changed, he is too late.
    """
    units, idle_since = item.queue.units, agent.free_since
    with transaction.atomic():
        if not agents.reserve(agent, units=units, now=now):
            return None
        taken = Item.objects.filter(id=item.pk, state=ItemState.WAITING, epoch=item.epoch).update(
            state=ItemState.OFFERED, epoch=F("epoch") + 1, units=units
        )
        if not taken:
            # As if nothing had been tried: he stays idle since when he was.
            Agent.objects.filter(id=agent.pk).update(load=F("load") - units, free_since=idle_since)
            agent.refresh_from_db(fields=["load", "free_since"])
            return None
        offer = _store(item, agent=agent, units=units, decision=decision, now=now)
        _record(OfferMade, offer, agent=agent, by=by)
        agents.restate(agent, now=now, by=by)
        return offer


def _store(item: Item, *, agent: Agent, units: int, decision: Decision | None, now: datetime) -> Offer:
    if decision is not None:
        decision.save()
    return Offer.objects.create(
        item=item,
        agent=agent,
        decision=decision,
        epoch=item.epoch + 1,
        units=units,
        offered_at=now,
        expires_at=now + timedelta(seconds=item.queue.offer_seconds),
    )


def accept(offer_id: int, *, by: User, now: datetime, epoch: int | None = None) -> Offer:
    """The agent takes it: the conversation is his.

    Raises OfferNotFound (not his), OfferExpired, OfferAlreadyTaken, OfferCancelledError, or what the conversation says
    (it was closed, it went to another team); then nothing has changed.
    """
    with transaction.atomic():
        offer, agent = _locked(offer_id, user=by)
        if epoch not in (None, offer.epoch) or not _take(offer, now=now):
            raise _too_late(offer)
        item = Item.objects.select_for_update(no_key=True).get(pk=offer.item_id)
        if (item.state, item.epoch) != (ItemState.OFFERED, offer.epoch):
            raise errors.OfferCancelledError
        item.state, item.agent, item.last_agent = ItemState.ACTIVE, agent, agent
        item.epoch, item.answered_at = item.epoch + 1, item.answered_at or now
        item.save(update_fields=["state", "agent", "last_agent", "epoch", "answered_at"])
        conversations.assign(item.conversation_id, agent=by, by=by, now=now)
        _answered(agent)
        _record(OfferAccepted, offer, agent=agent, by=by)
        agents.restate(agent, now=now, by=by)
        return offer


def _take(offer: Offer, *, now: datetime) -> bool:
    """The compare-and-set by the database's clock. Whoever was switched off a moment ago takes nothing any more."""
    live = Offer.objects.live().filter(id=offer.pk, expires_at__gt=Now(), agent__user__is_active=True)
    taken = live.update(state=OfferState.ACCEPTED, ended_at=now)
    if taken:
        offer.state, offer.ended_at = OfferState.ACCEPTED, now
    return bool(taken)


def decline(offer_id: int, *, by: User, now: datetime) -> Offer:
    """The agent does not want it: it goes back to its place in line, and not to him again for now."""
    with transaction.atomic():
        offer, agent = _locked(offer_id, user=by)
        if not end(offer, agent=agent, state=OfferState.DECLINED, now=now):
            raise _too_late(offer)
        _answered(agent)
        _record(OfferDeclined, offer, agent=agent, by=by)
        agents.restate(agent, now=now, by=by)
        return offer


def _answered(agent: Agent) -> None:
    """Whoever answers one offer responds, whatever he missed before."""
    if agent.is_not_responding:
        agent.is_not_responding = False
        agent.save(update_fields=["is_not_responding"])


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
            item.not_to[str(agent.pk)] = int(now.timestamp())
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


def _too_late(offer: Offer) -> EMLError:
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
    conversation_id = offer.item.conversation_id
    ids = {"conversation": conversation_id, "offer": offer.pk, "agent": agent.pk, "user": agent.user_id}
    events.record(fact(**ids, **extra), stream=stream(conversation_id), actor=by)
