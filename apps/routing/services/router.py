"""The router without a memory: loads what matters, lets the pure policy decide, commits offers with their explanation.

It works wherever nobody holds the lease (`lease`), so that nobody waits for a router that is not running. The one with
a memory is `engine`, led by `leader`; both write by `commit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from .. import explain, policy
from ..choices import ItemState
from ..models import Agent, Item
from . import agents, lease, offers, world


class Pick(NamedTuple):
    """A decision to be written: its explanation, and the item as it was seen."""

    why: explain.Explanation
    queue_id: int
    epoch: int
    conversation_id: int
    units: int
    offer_seconds: int


def run(*, now: datetime) -> int:
    """Offer what waits to whoever is best; returns how many offers were made: none while somebody holds the lease."""
    with lease.turn() as is_mine:
        if not is_mine:
            return 0
        seen = world.load(now=now)
        if not seen.items:
            return 0
        decisions = policy.decide(seen.now, seen.queues, seen.items, seen.agents)
        made, _ = commit(_picks(seen, decisions), now=now)
        _clear_refusals(seen, {decision.item for decision in decisions})
        return len(made)


def _picks(seen: world.World, decisions: Sequence[policy.Decision]) -> list[Pick]:
    explainer = explain.Explainer(seen.now, seen.queues, seen.items, seen.agents)
    rows = [(seen.rows[decision.item], explainer.explain(decision)) for decision in decisions]
    return [
        Pick(why, row.queue_id, row.epoch, row.conversation_id, row.queue.units, row.queue.offer_seconds)
        for row, why in rows
    ]


def commit(picks: Sequence[Pick], *, now: datetime) -> tuple[set[int], dict[int, Agent]]:
    """Store decisions and offers. Returns the items that were offered, and all agents named as they are now.

    What has changed meanwhile is left out. Called inside the transaction that holds the turn. Agents are locked after
    all thinking is done: somebody may be waiting to accept.
    """
    locked = agents.lock_many({pick.why.decision.agent for pick in picks})
    wishes = [
        offers.Wish(
            pick.why.decision.item,
            pick.epoch,
            pick.conversation_id,
            pick.units,
            pick.offer_seconds,
            locked[pick.why.decision.agent],
            _reasons(pick),
        )
        for pick in picks
        if pick.why.decision.agent in locked
    ]
    return set(offers.make_many(wishes, now=now)), locked


def _reasons(pick: Pick) -> offers.Reasons:
    why = pick.why
    return offers.Reasons(
        pick.queue_id,
        why.policy,
        why.decision.score,
        why.decision.step,
        why.terms_as_json(),
        why.others_as_json(time_of_day),
    )


def time_of_day(seconds: int) -> str:
    """In the time zone of the installation, since nobody knows yet who will read it."""
    return datetime.fromtimestamp(seconds, tz=timezone.get_default_timezone()).strftime("%H:%M:%S")


def _clear_refusals(seen: world.World, decided: set[int]) -> None:
    """When everybody who could take an item refused it a while ago, it may be offered to them again."""
    for item in seen.items:
        if item.not_to and item.id not in decided:
            queue = seen.queues[item.queue]
            if policy.everyone_declined(queue, item, seen.agents, seen.now, rest=world.REFUSAL_REST_SECONDS):
                forget_refusals(item.id, epoch=seen.rows[item.id].epoch)


def forget_refusals(item_id: int, *, epoch: int) -> bool:
    """Unless something happened to it meanwhile: that raised its epoch, and may have been one more refusal."""
    unchanged = Item.objects.filter(id=item_id, state=ItemState.WAITING, epoch=epoch)
    return bool(unchanged.update(not_to={}, epoch=epoch + 1))
