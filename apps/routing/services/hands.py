"""Whose hands a conversation is in, with everybody involved locked: agents in id order, then the offer, then the item.

Whoever is involved is known only after looking, and may be somebody else once the locks are held. Then the locks are
given back and it starts again, so the order never breaks and two movers cannot deadlock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from apps.core.events import Actor
from apps.messaging import errors as messaging_errors
from apps.users.models import User

from .. import errors
from ..choices import HELD, ItemState
from ..models import Agent, Item, Offer
from . import agents

# Each try finds the state that won the previous race; losing this often means that something storms.
TRIES = 5


@dataclasses.dataclass(slots=True)
class Held:
    """A locked item with its live offer and the locked agents. Inside the transaction that locked them only."""

    item: Item
    offer: Offer | None
    agents: dict[int, Agent]

    @property
    def holder(self) -> Agent | None:
        """Who works on it or wraps it up."""
        return self.agents[self.item.agent_id] if self.item.agent_id and self.item.state in HELD else None

    def restate(self, *, now: datetime, by: Actor) -> None:
        agents.restate_all(list(self.agents.values()), now=now, by=by)


class _Moved(Exception):
    """It went into other hands between looking and locking."""


def hold(conversation_id: int, *, also: Collection[int] = ()) -> Held:
    """Lock a conversation's item and whoever has it or is rung for it, and the agents `also` needed.

    Call it first in a transaction. Raises NotInLine (routing has no such item), InOtherHands (lost every race).
    """
    for _ in range(TRIES):
        try:
            with transaction.atomic():  # leaving it by an exception gives the locks back
                return _hold(conversation_id, also)
        except _Moved:
            continue
    raise errors.InOtherHands


def _hold(conversation_id: int, also: Collection[int]) -> Held:
    seen = Item.objects.filter(conversation_id=conversation_id).first()
    if seen is None:
        raise errors.NotInLine
    locked = agents.lock_many({*also, *_involved(seen)})
    offer = Offer.objects.live().filter(item_id=seen.pk).select_for_update(no_key=True).first()
    item = Item.objects.select_for_update(no_key=True).get(pk=seen.pk)
    if not _involved(item) <= locked.keys():
        raise _Moved
    return Held(item, offer, locked)


def _involved(item: Item) -> set[int]:
    rung = set(Offer.objects.live().filter(item_id=item.pk).values_list("agent_id", flat=True))
    return rung | ({item.agent_id} if item.agent_id and item.state in HELD else set())


def hold_active(conversation_id: int, *, holder: User | None = None) -> Held:
    """`hold` what an agent works on now. NotYourConversation when it is not so, or not with `holder`, if given."""
    held = hold(conversation_id)
    is_his = holder is None or (held.holder is not None and held.holder.user_id == holder.pk)
    if held.item.state != ItemState.ACTIVE or not is_his:
        raise messaging_errors.NotYourConversation
    return held


def is_settled(item: Item) -> bool:
    """Nothing can happen to it any more but the end of its wrap-up."""
    return item.state in (ItemState.DONE, ItemState.WRAP_UP)
