"""Who would get it now: a contact that does not exist, decided like one that does. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Prefetch, QuerySet

from apps.users.models import Customer

from .. import errors, explain, openings, policy
from ..models import Agent, AgentSkill, Item, Queue, Skill
from ..policy_drafts import Needs
from . import agents, queueing, router, world


@dataclass(frozen=True, slots=True)
class Wish:
    """What to try. `needs` are asked of everybody besides what the queue's steps ask."""

    queue: Queue
    priority: str = ""
    customer: Customer | None = None
    waited_seconds: int = 0
    needs: Needs = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """One candidate; a score if he could have it."""

    agent: Agent
    score: int | None
    reason: str
    terms: tuple[policy.Term, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """The live ranking: who would be rung first (None: nobody), then everybody else from near to far."""

    winner: Standing | None
    others: list[Standing]
    step: int | None
    version: int
    # In line in this queue now: they are served by their own scores, before or after.
    waiting: int
    # Nobody is rung while it is closed; the ranking is that of the moment when it opens, should nothing change.
    is_closed: bool


def run(wish: Wish, *, now: datetime) -> Trial:
    """Try it in the world as it is. NoSuchLevel when the queue has no such priority level."""
    queue = _with_needs(world.load_queues([wish.queue.pk])[wish.queue.pk], wish.needs)
    rows = {row.pk: row for row in _members(wish.queue.team_id)}
    people = [_plain(row, now=now) for row in rows.values()]
    found = explain.ranking(int(now.timestamp()), queue, _item(wish, now=now), people)
    best = found.decision
    return Trial(
        winner=Standing(rows[best.agent], best.score, "", best.terms) if best else None,
        others=[
            Standing(rows[other.agent], other.score, other.sentence(router.time_of_day))
            for other in found.others
        ],
        step=best.step if best else None,
        version=queue.version,
        waiting=Item.objects.in_line().filter(queue=wish.queue).count(),
        is_closed=wish.queue.pk in openings.closed_queues(now=now),
    )


def _members(team_id: int) -> QuerySet[Agent]:
    """Everybody who may see what waits there, signed in or not, ready for `world.plain_agent`."""
    rows = Agent.objects.filter(user__teams=team_id, user__is_active=True).order_by("id")
    skills = Prefetch("levels", AgentSkill.objects.select_related("skill"))
    return rows.select_related("reason", "user").prefetch_related(skills, "user__teams")


def _with_needs(queue: policy.Queue, needs: Needs) -> policy.Queue:
    known = set(Skill.objects.filter(name__in=[name for name, _ in needs]).values_list("name", flat=True))
    if missing := [name for name, _ in needs if name not in known]:
        raise errors.NoSuchSkill(name=missing[0])
    return replace(queue, steps=tuple(replace(step, needs=(*step.needs, *needs)) for step in queue.steps))


def _plain(row: Agent, *, now: datetime) -> policy.Agent:
    return replace(world.plain_agent(row), signed_in=agents.is_connected(row, now=now))


def _item(wish: Wish, *, now: datetime) -> policy.Item:
    known = queueing.agent_known_to(wish.customer) if wish.customer else None
    return policy.Item(
        id=0,
        queue=wish.queue.pk,
        at=int(now.timestamp()) - wish.waited_seconds,
        credit=_credit(wish),
        last_agent=known.pk if known else None,
    )


def _credit(wish: Wish) -> int:
    """By name if one is given, else the customer's own."""
    if not wish.priority:
        level = queueing.level_of(wish.customer, wish.queue) if wish.customer else None
        return level.credit if level else 0
    level = wish.queue.levels.filter(name=wish.priority).first()
    if level is None:
        raise errors.NoSuchLevel(name=wish.priority)
    return level.credit
