"""Accepting an offer: the conversation is the agent's. Who accept at the same moment share a commit.

Agents, offers, items and conversations are locked in this order, each in the order of their ids. Then each acceptance
is judged on its own, and what is granted is written in a number of statements that does not grow with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from apps.core import bulk, events
from apps.core.batching import SharedCommit
from apps.core.errors import EMLError
from apps.messaging.services import conversations
from apps.users.models import User

from .. import errors
from ..choices import ItemState, OfferState
from ..events import OfferAccepted
from ..models import Agent, Item, Offer
from . import agents, offers

# What is asked about an item, or changes.
_READ = ("conversation", "queue", "state", "agent", "last_agent", "epoch", "answered_at")


class Take(NamedTuple):
    """Who accepts which offer. With `epoch`, only if that is still its number."""

    offer_id: int
    user: User
    now: datetime
    epoch: int | None = None


class Grant(NamedTuple):
    """What may be given: the three rows are locked."""

    offer: Offer
    item: Item
    agent: Agent
    user: User


def accept(offer_id: int, *, by: User, now: datetime, epoch: int | None = None) -> Offer:
    """The agent takes it: the conversation is his.

    Raises OfferNotFound (not his), OfferExpired, OfferAlreadyTaken, OfferCancelledError, or what the conversation says
    (it was closed, it went to another team); then nothing has changed.
    """
    (result,) = accept_many([Take(offer_id, by, now, epoch)])
    if isinstance(result, EMLError):
        raise result
    return result


def accept_in_batch(offer_id: int, *, by: User, now: datetime, epoch: int | None = None) -> Offer:
    """`accept` for doors: shares its commit with whoever accepts at the same moment in this process."""
    return _shared.submit(Take(offer_id, by, now, epoch))


def accept_many(takes: Sequence[Take]) -> list[Offer | EMLError]:
    """Of each, the accepted offer or what is wrong with it, in one transaction."""
    with transaction.atomic(), events.written_together():
        return _Accepting(takes).run()


_shared: SharedCommit[Take, Offer] = SharedCommit(accept_many)


class _Accepting:
    """One batch inside its transaction: lock, judge each, write everything."""

    def __init__(self, takes: Sequence[Take]) -> None:
        self.takes = takes
        self.now = max(take.now for take in takes)
        users = {take.user.pk for take in takes}
        self.agents = _lock_agents(users)
        self.offers = _lock_offers({take.offer_id for take in takes}, self.agents)
        self.items = _lock_items(offer.item_id for offer in self.offers.values())
        self.active = set(User.objects.filter(id__in=users, is_active=True).values_list("id", flat=True))

    def run(self) -> list[Offer | EMLError]:
        judged = [self._judge(take) for take in self.takes]
        wanted = [grant for grant in judged if isinstance(grant, Grant)]
        refusals = conversations.assign_many(
            [conversations.Assignment(one.item.conversation_id, one.user, one.user) for one in wanted],
            now=self.now,
        )
        refused = {one.offer.pk: why for one, why in zip(wanted, refusals, strict=True) if why}
        granted = [one for one in wanted if one.offer.pk not in refused]
        if granted:
            self._write(granted)
        return [refused.get(one.offer.pk, one.offer) if isinstance(one, Grant) else one for one in judged]

    def _judge(self, take: Take) -> Grant | EMLError:
        offer = self.offers.get(take.offer_id)
        if offer is None or self.agents[offer.agent_id].user_id != take.user.pk:
            return errors.OfferNotFound()
        is_his = offer.state == OfferState.OFFERED and not offer.is_overdue and take.user.pk in self.active
        if take.epoch not in (None, offer.epoch) or not is_his:
            return offers.too_late(offer)
        item = self.items.pop(offer.item_id, None)
        if item is None:  # twice in one batch
            return errors.OfferAlreadyTaken()
        if (item.state, item.epoch) != (ItemState.OFFERED, offer.epoch):
            return errors.OfferCancelledError()
        return Grant(offer, item, self.agents[offer.agent_id], take.user)

    def _write(self, granted: Sequence[Grant]) -> None:
        for offer, item, agent, _ in granted:
            offer.state, offer.ended_at, offer.item = OfferState.ACCEPTED, self.now, item
            item.state, item.agent, item.last_agent = ItemState.ACTIVE, agent, agent
            item.epoch, item.answered_at = item.epoch + 1, item.answered_at or self.now
        Offer.objects.filter(id__in=[one.offer.pk for one in granted]).update(
            state=OfferState.ACCEPTED, ended_at=self.now
        )
        bulk.update([one.item for one in granted], ["state", "agent", "last_agent", "epoch", "answered_at"])
        people = {one.agent.pk: one.agent for one in granted}
        offers.answered(people.values())
        events.record_many(
            offers.entry(OfferAccepted, one.offer, agent=one.agent, by=one.user) for one in granted
        )
        users = {one.agent.pk: one.user for one in granted}
        agents.restate_all(people.values(), now=self.now, by=users, are_on_contact=True)


def _lock_agents(user_ids: Collection[int]) -> dict[int, Agent]:
    rows = Agent.objects.filter(user__in=user_ids).order_by("id").select_for_update(no_key=True)
    return {agent.pk: agent for agent in rows}


def _lock_offers(ids: Collection[int], agent_ids: Collection[int]) -> dict[int, Any]:
    """Of these agents. `is_overdue`: by the database's clock, asked when nobody else can end them any more (whoever
    does so has locked the agent)."""
    rows = Offer.objects.filter(id__in=ids, agent__in=agent_ids).annotate(is_overdue=Q(expires_at__lte=Now()))
    return {offer.pk: offer for offer in rows.order_by("id").select_for_update(no_key=True)}


def _lock_items(ids: Iterable[int]) -> dict[int, Item]:
    rows = Item.objects.filter(id__in=list(ids)).only(*_READ)
    return {item.pk: item for item in rows.order_by("id").select_for_update(no_key=True)}
