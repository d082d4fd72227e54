"""What the router's memory is filled from: rows as plain data, a few, some or all, in a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, F, Q, Sum
from django.db.models.fields import BigIntegerField

from apps.users.models import User

from .. import policy
from ..choices import ItemState
from ..models import Agent, AgentSkill, Item, Queue, Skill
from . import world

# Items are compared with the memory in buckets of so many neighbouring ids.
BUCKET = 1024
_PRIME = 1_000_003


class Waiting(NamedTuple):
    """A waiting item as it was read."""

    item: policy.Item
    epoch: int
    conversation_id: int

    @property
    def bucket(self) -> int:
        return self.item.id // BUCKET

    @property
    def trace(self) -> int:
        """Its part of the sum by which a bucket is compared. Whatever changes for the router raises the epoch."""
        return self.item.id * _PRIME + self.epoch


class Line(NamedTuple):
    """A queue: its policy, and how long it rings."""

    policy: policy.Queue
    offer_seconds: int


_ITEM = ("id", "queue_id", "at", "credit", "last_agent_id", "not_to", "epoch", "conversation_id")


def all_waiting() -> Iterator[Waiting]:
    rows = Item.objects.waiting().order_by().values_list(*_ITEM)
    return (_waiting(*row) for row in rows.iterator(5_000))


def bucket(number: int) -> list[Waiting]:
    """Who waits among these neighbours."""
    neighbours = Item.objects.waiting().filter(id__range=(number * BUCKET, (number + 1) * BUCKET - 1))
    return [_waiting(*row) for row in neighbours.values_list(*_ITEM)]


def items(which: Q) -> tuple[list[Waiting], list[int]]:
    """Of these, who waits, and the ids of those that do not."""
    rows = list(Item.objects.filter(which).values_list("state", *_ITEM))
    found = [_waiting(*row) for state, *row in rows if state == ItemState.WAITING]
    return found, [row[0] for state, *row in rows if state != ItemState.WAITING]


def _waiting(
    pk: int, queue: int, at: datetime, credit: int, last: int | None, not_to: dict, epoch: int, talk: int
) -> Waiting:
    refused = world.refusals(not_to) if not_to else {}
    return Waiting(policy.Item(pk, queue, int(at.timestamp()), credit, last, refused), epoch, talk)


def traces() -> dict[int, tuple[int, int]]:
    """Of every bucket, how many wait and the sum of their traces: what a complete comparison costs little by."""
    rows = Item.objects.waiting().order_by().values(bucket=F("id") / BUCKET)
    sums = rows.annotate(
        n=Count("id"), trace=Sum(F("id") * _PRIME + F("epoch"), output_field=BigIntegerField())
    )
    return {bucket: (n, int(trace)) for bucket, n, trace in sums.values_list("bucket", "n", "trace")}


def agents(*, now: datetime, only: Collection[int] | None = None) -> Iterator[policy.Agent]:
    """Everybody connected, or those of them; the same as `world.load_agents`."""
    people = Agent.objects.connected(now).filter(user__is_active=True).order_by("id")
    levels = AgentSkill.objects.order_by()
    teams = User.teams.through.objects.order_by()
    if only is not None:
        people, levels = people.filter(id__in=only), levels.filter(agent__in=only)
        teams = teams.filter(user__agent__in=only)
    skills: dict[int, dict[str, int]] = defaultdict(dict)
    for agent_id, name, level in levels.values_list("agent_id", "skill__name", "level"):
        skills[agent_id][name] = level
    for agent_id, team_id in teams.filter(user__agent__isnull=False).values_list("user__agent", "team_id"):
        skills[agent_id][world.team_skill(team_id)] = 1
    names = ("id", "capacity", "load", "free_since", "chosen", "is_not_responding", "reason__name")
    for pk, capacity, load, since, chosen, is_deaf, reason in people.values_list(*names):
        unavailable = world.unavailable(chosen, reason, is_not_responding=is_deaf)
        room = max(capacity - load, 0)
        yield policy.Agent(pk, skills.get(pk, {}), room, int(since.timestamp()), capacity, unavailable)


def lines(only: Iterable[int] | None = None, *, closed: Collection[int] = frozenset()) -> dict[int, Line]:
    """Queues as they are while these are closed: nobody takes what waits there."""
    ids = Queue.objects.values_list("id", flat=True) if only is None else only
    seconds = dict(Queue.objects.filter(id__in=list(ids)).values_list("id", "offer_seconds"))
    return {
        pk: Line(replace(one, steps=()) if pk in closed else one, seconds[pk])
        for pk, one in world.load_queues(seconds).items()
    }


def policies_in_force() -> tuple:
    """Changes whenever a policy or the name of a skill does."""
    versions = Queue.objects.order_by("id").values_list("id", "version")
    return tuple(versions), tuple(Skill.objects.order_by("id").values_list("id", "name"))
