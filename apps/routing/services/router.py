"""The router: loads the world, lets the pure policy decide, and commits offers with their explanation."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from .. import explain, policy
from ..choices import ItemState
from ..models import Decision, Item, RouterTurn
from . import agents, offers, world


def run(*, now: datetime) -> int:
    """Offer what waits to whoever is best; returns how many offers were made. One at a time per installation."""
    with transaction.atomic():
        # Waiting for the turn (not skipping it) makes sure that somebody sees what was just enqueued.
        RouterTurn.objects.select_for_update().get_or_create(pk=1)
        seen = world.load(now=now)
        if not seen.items:
            return 0
        decisions = policy.decide(seen.now, seen.queues, seen.items, seen.agents)
        made = _commit(seen, decisions, now=now)
        _clear_refusals(seen, {decision.item for decision in decisions}, now=now)
        return made


def _commit(seen: world.World, decisions: list[policy.Decision], *, now: datetime) -> int:
    locked = {agent.pk: agent for agent in agents.lock_many({decision.agent for decision in decisions})}
    made = 0
    for number, decision in enumerate(decisions):
        why = explain.explain(
            seen.now, seen.queues, seen.items, seen.agents, decision, earlier=decisions[:number]
        ).as_json()
        item = seen.rows[decision.item]
        row = Decision(
            item=item,
            agent_id=decision.agent,
            queue=item.queue,
            policy=why["policy"],
            at=now,
            score=decision.score,
            step=decision.step,
            terms=why["terms"],
            others=why["others"],
        )
        made += offers.make(item, agent=locked[decision.agent], now=now, decision=row) is not None
    return made


def _clear_refusals(seen: world.World, decided: set[int], *, now: datetime) -> None:
    """When everybody who could take an item refused it a while ago, it may be offered to them again."""
    for item in seen.items:
        if item.not_to and item.id not in decided:
            queue = seen.queues[item.queue]
            if policy.everyone_declined(queue, item, seen.agents, seen.now, rest=world.REFUSAL_REST_SECONDS):
                Item.objects.filter(id=item.id, state=ItemState.WAITING).update(not_to={})
