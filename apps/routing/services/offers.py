"""The life of an offer: made, then accepted, declined, lapsed or cancelled. Late answers lose.

Lock order: agent, then offer, then item. The state of the offer row is the commit point; its units are reserved from
the moment it is made, so accepting adds nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.core import events
from apps.core.events import SYSTEM, Actor, Fact
from apps.messaging.models import stream
from apps.messaging.services import conversations
from apps.users.models import User

from .. import errors
from ..choices import ItemState, OfferState
from ..events import OfferAccepted, OfferCancelled, OfferDeclined, OfferLapsed, OfferMade
from ..models import Agent, Decision, Item, Offer
from . import agents


def make(
    item: Item, *, agent: Agent, now: datetime, decision: Decision | None = None, by: Actor = SYSTEM
) -> Offer | None:
    """Ring an agent for a waiting item and reserve his units; None when either is not to be had any more.

    The caller holds the agent's lock. `item.epoch` is the number the caller saw: if it changed, he is too late.
    """
    units = item.queue.units
    if not agents.reserve(agent.pk, units=units, now=now):
        return None
    with transaction.atomic():
        taken = Item.objects.filter(id=item.pk, state=ItemState.WAITING, epoch=item.epoch).update(
            state=ItemState.OFFERED, epoch=F("epoch") + 1, units=units
        )
        if not taken:
            agents.give_back(agent, units=units, now=agent.free_since)
            return None
        if decision is not None:
            decision.save()
        offer = Offer.objects.create(
            item=item,
            agent=agent,
            decision=decision,
            epoch=item.epoch + 1,
            units=units,
            offered_at=now,
            expires_at=now + timedelta(seconds=item.queue.offer_seconds),
        )
        _record(OfferMade, offer, by=by)
        agents.restate(agent, now=now, by=by)
        return offer


def accept(offer_id: int, *, by: User, now: datetime, epoch: int | None = None) -> Offer:
    """The agent takes it: the conversation is his.

    Raises OfferNotFound (not his), OfferExpired, OfferAlreadyTaken or OfferCancelledError; then nothing has changed.
    """
    with transaction.atomic():
        offer, agent = _locked(offer_id, user=by)
        live = Offer.objects.filter(
            id=offer_id, state=OfferState.OFFERED, expires_at__gt=Now(), epoch=offer.epoch
        )
        if (epoch is not None and epoch != offer.epoch) or not live.update(
            state=OfferState.ACCEPTED, ended_at=now
        ):
            raise _too_late(offer)
        took = Item.objects.filter(id=offer.item_id, state=ItemState.OFFERED, epoch=offer.epoch).update(
            state=ItemState.ACTIVE, agent=agent, epoch=F("epoch") + 1, answered_at=now, last_agent=agent
        )
        if not took:
            raise errors.OfferCancelledError
        conversations.assign(offer.item.conversation_id, agent=by, by=by, now=now)
        _record(OfferAccepted, offer, by=by)
        agents.restate(agent, now=now, by=by)
        offer.refresh_from_db()
        return offer


def decline(offer_id: int, *, by: User, now: datetime) -> Offer:
    """The agent does not want it: it goes back to its place in line, and not to him again for now."""
    with transaction.atomic():
        offer, agent = _locked(offer_id, user=by)
        if not _end(offer, agent=agent, state=OfferState.DECLINED, now=now, is_refusal=True):
            raise _too_late(offer)
        _record(OfferDeclined, offer, by=by)
        agents.restate(agent, now=now, by=by)
        offer.refresh_from_db()
        return offer


def lapse_expired(*, now: datetime) -> int:
    """End every offer whose lease is over; those agents are set not responding until they come back (RONA)."""
    expired = list(Offer.objects.live().filter(expires_at__lte=now).values_list("id", "agent_id")[:200])
    return sum(_lapse(offer_id, agent_id, now=now) for offer_id, agent_id in expired)


def _lapse(offer_id: int, agent_id: int, *, now: datetime) -> bool:
    with transaction.atomic():
        agent = agents.lock(agent_id)
        offer = Offer.objects.select_related("item", "item__conversation").get(pk=offer_id)
        if not _end(offer, agent=agent, state=OfferState.LAPSED, now=now, is_refusal=True):
            return False
        agent.is_not_responding = True
        agent.save(update_fields=["is_not_responding"])
        _record(OfferLapsed, offer, by=SYSTEM)
        agents.restate(agent, now=now, by=SYSTEM)
        return True


def cancel(offer: Offer, *, agent: Agent, reason: str, by: Actor, now: datetime) -> bool:
    """Withdraw a live offer without blame; False when it had ended already. The caller holds the agent's lock."""
    with transaction.atomic():
        if not _end(offer, agent=agent, state=OfferState.CANCELLED, now=now, is_refusal=False):
            return False
        _record(OfferCancelled, offer, by=by, reason=reason)
        agents.restate(agent, now=now, by=by)
        return True


def cancel_all_of(agent: Agent, *, reason: str, by: Actor, now: datetime) -> None:
    for offer in Offer.objects.live().filter(agent=agent).select_related("item", "item__conversation"):
        cancel(offer, agent=agent, reason=reason, by=by, now=now)


def _end(offer: Offer, *, agent: Agent, state: OfferState, now: datetime, is_refusal: bool) -> bool:
    ended = Offer.objects.filter(id=offer.pk, state=OfferState.OFFERED).update(state=state, ended_at=now)
    if not ended:
        return False
    item = Item.objects.select_for_update(no_key=True).get(pk=offer.item_id)
    if item.state == ItemState.OFFERED and item.epoch == offer.epoch:
        if is_refusal:
            item.not_to[str(agent.pk)] = int(now.timestamp())
        item.state, item.units, item.epoch = ItemState.WAITING, 0, item.epoch + 1
        item.save(update_fields=["state", "units", "epoch", "not_to"])
    agents.give_back(agent, units=offer.units, now=now)
    return True


def _locked(offer_id: int, *, user: User) -> tuple[Offer, Agent]:
    offer = (
        Offer.objects.select_related("item", "item__conversation")
        .filter(id=offer_id, agent__user_id=user.pk)
        .first()
    )
    if offer is None:
        raise errors.OfferNotFound
    return offer, agents.lock(offer.agent_id)


def _too_late(offer: Offer) -> Exception:
    state = Offer.objects.values_list("state", flat=True).get(pk=offer.pk)
    if state in (OfferState.ACCEPTED, OfferState.DECLINED):
        return errors.OfferAlreadyTaken()
    return errors.OfferCancelledError() if state == OfferState.CANCELLED else errors.OfferExpired()


def _record(fact: type[Fact], offer: Offer, *, by: Actor, **extra: str) -> None:
    conversation_id = offer.item.conversation_id
    ids = {
        "conversation": conversation_id,
        "offer": offer.pk,
        "agent": offer.agent_id,
        "user": offer.agent.user_id,
    }
    events.record(fact(**ids, **extra), stream=stream(conversation_id), actor=by)
