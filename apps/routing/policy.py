"""Who answers what: the whole routing policy, pure.

Steps decide who *may* take an item; they only ever add agents while it waits. One score, in seconds of
waiting, decides who *does*:

    score = rate * waited + credit + w_fit * fit + w_idle * idle + w_last * (same agent as last time)

Nothing else decides, so the terms of the score are the explanation. Times are whole seconds on any common
clock, ids are integers, and ``now`` is always given: the same world yields the same decisions anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

Rank = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """After ``after`` seconds of waiting, agents with these minimum levels may take the item too."""

    after: int
    needs: tuple[tuple[str, int], ...]
    if_nobody: bool = False  # open at once while no signed-in agent satisfies an earlier step

    def accepts(self, agent: Agent) -> bool:
        for skill, minimum in self.needs:  # noqa: SIM110  asked for everybody, hundreds of times per second
            if agent.skills.get(skill, 0) < minimum:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Queue:
    """A policy. Weights are seconds of waiting: per skill level, per idle second, for the same agent."""

    id: int
    steps: tuple[Step, ...]
    rate: int = 1
    w_fit: int = 0
    w_idle: int = 1
    w_last: int = 0
    units: int = 4  # of an agent's capacity, taken by each item
    version: int = 1
    name: str = ""

    def __post_init__(self) -> None:
        if any(earlier.after > later.after for earlier, later in pairwise(self.steps)):
            raise ValueError("The steps of a queue must be in ascending order of `after`.")


@dataclass(frozen=True, slots=True)
class Agent:
    """``free`` units of ``capacity`` are left; ``free_since`` is the end of the last work or offer."""

    id: int
    skills: Mapping[str, int]
    free: int
    free_since: int
    capacity: int = 12
    unavailable: str = ""  # why this agent takes nothing now, in words: "paused: lunch"
    signed_in: bool = True

    def __post_init__(self) -> None:
        own = implicit_skills(self.id)
        if not own.items() <= self.skills.items():
            object.__setattr__(self, "skills", {**self.skills, **own})

    @property
    def is_available(self) -> bool:
        return self.signed_in and not self.unavailable

    def level(self, skill: str) -> int:
        return self.skills.get(skill, 0)


class Refusal(NamedTuple):
    """Why an agent is not asked again for now: since when, and how he and the item parted."""

    at: int
    how: str  # one of `explain.PARTINGS`


@dataclass(frozen=True, slots=True)
class Item:
    """What waits. ``at`` never changes, so a re-offer or a transfer back keeps the place in line."""

    id: int
    queue: int
    at: int
    credit: int = 0
    last_agent: int | None = None
    not_to: Mapping[int, Refusal] = field(default_factory=dict)  # by agent


class Term(NamedTuple):
    """One reason, in seconds of waiting."""

    name: str
    raw: int
    weight: int

    @property
    def value(self) -> int:
        return self.raw * self.weight


@dataclass(frozen=True, slots=True)
class Decision:
    item: int
    agent: int
    score: int
    step: int  # index of the first open step that accepts the agent
    terms: tuple[Term, ...]


def implicit_skills(agent_id: int) -> dict[str, int]:
    """Every agent is skilled at being himself: a step can name one person."""
    return {f"agent:{agent_id}": 1}


def effective_queue(queue: Queue, agents: Collection[Agent]) -> Queue:
    """The queue for the people signed in now: ``if_nobody`` steps are open from the start where they apply.

    The steps before such a step accept nobody who is here, so they open with it: that changes nothing for
    anyone, and the steps stay in order with their numbers.
    """
    here = [agent for agent in agents if agent.signed_in]
    open_until = 0
    for number, step in enumerate(queue.steps):
        if step.if_nobody:
            open_until = number + 1
        if any(step.accepts(agent) for agent in here):
            break
    at_once = tuple(replace(step, after=0) for step in queue.steps[:open_until])
    return replace(queue, steps=at_once + queue.steps[open_until:]) if at_once else queue


def open_step(queue: Queue, agent: Agent, age: int) -> int | None:
    """The first open step that accepts the agent. Once there is one, it is the answer at every later age."""
    for number, step in enumerate(queue.steps):
        if step.after > age:
            return None
        if step.accepts(agent):
            return number
    return None


def next_opening(queue: Queue, item: Item, now: int) -> int | None:
    """When the item's next step opens: the time to decide again, or None when all are open."""
    openings = (item.at + step.after for step in queue.steps)
    return next((opening for opening in openings if opening > now), None)


def terms(queue: Queue, item: Item, agent: Agent, step: int, now: int) -> tuple[Term, ...]:
    """First what the item is worth to everybody, then what makes a difference between agents."""
    return (
        Term("waited", now - item.at, queue.rate),
        Term("credit", item.credit, 1),
        *personal_terms(queue, item, agent, step, now),
    )


def personal_terms(queue: Queue, item: Item, agent: Agent, step: int, now: int) -> tuple[Term, Term, Term]:
    fit = 0
    for skill, minimum in queue.steps[step].needs:
        fit += agent.skills.get(skill, 0) - minimum
    return (
        Term("fit", fit, queue.w_fit),
        Term("idle", now - agent.free_since, queue.w_idle),
        Term("last agent", int(item.last_agent == agent.id), queue.w_last),
    )


def consider(queue: Queue, item: Item, agent: Agent, now: int) -> Decision | None:
    """The decision to give this agent this item, or None when he may not have it. Room is not looked at."""
    if not agent.is_available or agent.id in item.not_to:
        return None
    step = open_step(queue, agent, now - item.at)
    if step is None:
        return None
    reasons = terms(queue, item, agent, step, now)
    return Decision(item.id, agent.id, sum(term.value for term in reasons), step, reasons)


def decide(
    now: int, queues: Mapping[int, Queue], items: Collection[Item], agents: Collection[Agent]
) -> list[Decision]:
    """Best pair first, until no waiting item has an eligible agent with room.

    Scores do not change while deciding and room only shrinks, so one walk down the ranking finds the same
    pairs as looking for the best one again after each decision.
    """
    queues = {number: effective_queue(queues[number], agents) for number in {item.queue for item in items}}
    units = {item.id: queues[item.queue].units for item in items}
    room = {agent.id: agent.free for agent in agents}
    decisions: dict[int, Decision] = {}
    for _, pair in sorted(_ranked_pairs(now, queues, items, agents), key=itemgetter(0)):
        if pair.item not in decisions and room[pair.agent] >= units[pair.item]:
            decisions[pair.item] = pair
            room[pair.agent] -= units[pair.item]
    return list(decisions.values())


def _ranked_pairs(
    now: int, queues: Mapping[int, Queue], items: Collection[Item], agents: Collection[Agent]
) -> Iterator[tuple[Rank, Decision]]:
    """Lowest rank first: higher score, then older item, lower item id, longer-idle agent, lower agent id."""
    for item in items:
        queue = queues[item.queue]
        for agent in agents:
            if agent.free >= queue.units and (pair := consider(queue, item, agent, now)):
                yield (-pair.score, item.at, item.id, agent.free_since, agent.id), pair


def everyone_declined(
    queue: Queue, item: Item, agents: Collection[Agent], now: int, *, rest: int = 0
) -> bool:
    """Whether ``not_to`` should be cleared, because nobody is left who may take the item now.

    Agents who are merely busy are waited for. With ``rest``, each refusal is respected for that many
    seconds, so a lone agent is not rung again the moment he declined.
    """
    queue = effective_queue(queue, agents)
    able = [a.id for a in agents if a.is_available and open_step(queue, a, now - item.at) is not None]
    return bool(able) and all(a in item.not_to and item.not_to[a].at + rest <= now for a in able)
