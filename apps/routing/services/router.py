"""The router: loads the world, lets the pure policy decide, and commits offers with their explanation."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from .. import explain, policy
from ..choices import ItemState
from ..models import Decision, Item, RouterTurn
from . import agents, offers, world


def run(*, now: datetime) -> int:
    """Offer what waits to whoever is best; returns how many offers were made. One at a time per installation."""
    with transaction.atomic():
        take_turn()
        seen = world.load(now=now)
        if not seen.items:
            return 0
        decisions = policy.decide(seen.now, seen.queues, seen.items, seen.agents)
        made = _commit(seen, decisions, now=now)
        _clear_refusals(seen, {decision.item for decision in decisions})
        return made


def take_turn() -> None:
    """Be the one matcher until the transaction ends. Taken before any other lock.

    Waiting for the turn (not skipping it) makes sure that somebody sees what was just enqueued.
    """
    RouterTurn.objects.select_for_update().get_or_create(pk=1)


def _commit(seen: world.World, decisions: list[policy.Decision], *, now: datetime) -> int:
    explainer = explain.Explainer(seen.now, seen.queues, seen.items, seen.agents)
    rows = [_as_row(seen.rows[decision.item], explainer.explain(decision), now=now) for decision in decisions]
    # Locked after all thinking is done: somebody may be waiting to accept.
    locked = agents.lock_many({decision.agent for decision in decisions})
    wishes = [offers.Wish(row.item, locked[row.agent_id], row) for row in rows]
    return len(offers.make_many(wishes, now=now))


def _as_row(item: Item, why: explain.Explanation, *, now: datetime) -> Decision:
    told = why.as_json(_time_of_day)
    return Decision(
        item=item,
        agent_id=told["agent"],
        queue=item.queue,
        policy=told["policy"],
        at=now,
        score=told["score"],
        step=told["step"],
        terms=told["terms"],
        others=told["others"],
    )


def _time_of_day(seconds: int) -> str:
    """In the time zone of the installation, since nobody knows yet who will read it."""
    return datetime.fromtimestamp(seconds, tz=timezone.get_default_timezone()).strftime("%H:%M:%S")


def _clear_refusals(seen: world.World, decided: set[int]) -> None:
    """When everybody who could take an item refused it a while ago, it may be offered to them again."""
    for item in seen.items:
        if not item.not_to or item.id in decided:
            continue
        queue = seen.queues[item.queue]
        if policy.everyone_declined(queue, item, seen.agents, seen.now, rest=world.REFUSAL_REST_SECONDS):
            # Whatever happened to it meanwhile raised its epoch, and may have been one more refusal.
            unchanged = Item.objects.filter(
                id=item.id, state=ItemState.WAITING, epoch=seen.rows[item.id].epoch
            )
            unchanged.update(not_to={})
