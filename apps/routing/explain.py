"""Why this agent, and why not the others: a decision in words, pure.

A ``Reason`` keeps its code and its figures, so that a page can say it in another language; ``sentence`` says
it in English.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from operator import itemgetter
from typing import Any, NamedTuple

from apps.routing.policy import Agent, Decision, Item, Queue, Step, decide, effective_queue, personal_terms

Clock = Callable[[int], int | str]  # how a time is written; `int` leaves it the number it is
Params = Mapping[str, Any]

SHOWN = 5

# In the order in which the other agents are shown: from nearly chosen to far from it.
CODES = (
    AHEAD := "ahead",  # never after `decide`; it happens when a person chose, not the policy
    LEVEL := "level",
    BEHIND := "behind",
    TOO_EARLY := "too_early",
    BUSY := "busy",
    REFUSED := "refused",
    UNAVAILABLE := "unavailable",
    UNSKILLED := "unskilled",
    SIGNED_OUT := "signed_out",
)
# How an agent and an item that waits again parted. What he was given and it left him again need not be his doing.
PARTINGS = (DECLINED := "declined", LAPSED := "lapsed", HAD_IT := "had_it")
_FARNESS = {code: number for number, code in enumerate(CODES)}


class Reason(NamedTuple):
    """Why this agent did not get the item. Only one who could have had it has a score."""

    agent: int
    score: int | None
    code: str
    params: Params

    def sentence(self, clock: Clock = int) -> str:
        return _SENTENCES[self.code](self.params, clock)


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    policy: int  # version of the queue
    at: int
    others: tuple[Reason, ...]

    def as_json(self, clock: Clock = int) -> dict[str, Any]:
        chosen = self.decision
        return {
            "item": chosen.item,
            "agent": chosen.agent,
            "score": chosen.score,
            "step": chosen.step,
            "policy": self.policy,
            "at": clock(self.at),
            "terms": self.terms_as_json(),
            "others": self.others_as_json(clock),
        }

    def terms_as_json(self) -> list[list[Any]]:
        return [[term.name, term.raw, term.weight, term.value] for term in self.decision.terms]

    def others_as_json(self, clock: Clock = int) -> list[list[Any]]:
        return [[other.agent, other.score, other.sentence(clock)] for other in self.others]


class Explainer:
    """Explains the decisions of one call of `decide`, one after the other, by the world that call saw.

    What they have in common (who is where, which steps are open for whom) is looked up once.
    """

    def __init__(
        self, now: int, queues: Mapping[int, Queue], items: Iterable[Item], agents: Collection[Agent]
    ) -> None:
        self._now = now
        self._agents = {agent.id: agent for agent in agents}
        self._waiting = {item.id: item for item in items}
        used = {item.queue for item in self._waiting.values()}
        self._queues = {number: effective_queue(queues[number], agents) for number in used}
        self._room = {agent.id: agent.free for agent in agents}

    def explain(self, decision: Decision) -> Explanation:
        """Why this agent, at this point; then its units count as given away."""
        item = self._waiting[decision.item]
        queue = self._queues[item.queue]
        chosen = self._agents[decision.agent]
        others = [(agent, self._room[agent.id]) for agent in self._agents.values() if agent is not chosen]
        reasons = nearest(self._now, queue, item, others, chosen, decision)
        self.give_away(decision)
        return Explanation(decision, queue.version, self._now, reasons)

    def give_away(self, decision: Decision) -> None:
        """Its units are gone for all later decisions."""
        self._room[decision.agent] -= self._queues[self._waiting[decision.item].queue].units


def nearest(
    now: int,
    queue: Queue,
    item: Item,
    others: Iterable[tuple[Agent, int]],
    chosen: Agent,
    decision: Decision,
    most: int = SHOWN,
) -> tuple[Reason, ...]:
    """Why not these, each with the units he has free: from nearly chosen to far from it."""
    reasons = (_reason(now, queue, item, agent, room, chosen, decision) for agent, room in others)
    return tuple(nsmallest(most, reasons, key=_nearness))


def explain(
    now: int,
    queues: Mapping[int, Queue],
    items: Iterable[Item],
    agents: Collection[Agent],
    decision: Decision,
    *,
    earlier: Iterable[Decision] = (),
) -> Explanation:
    """Explain a decision by the world ``decide`` saw and what it had decided ``earlier`` in the same call."""
    explainer = Explainer(now, queues, items, agents)
    for done in earlier:
        explainer.give_away(done)
    return explainer.explain(decision)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Whom one item would go to (None: nobody may take it now), and the reason of everybody else."""

    decision: Decision | None
    others: tuple[Reason, ...]


def ranking(now: int, queue: Queue, item: Item, agents: Collection[Agent]) -> Ranking:
    """Decide about one item alone, and say the reason of every candidate, from nearly chosen to far from it."""
    decided = decide(now, {queue.id: queue}, [item], agents)
    decision = decided[0] if decided else None
    queue = effective_queue(queue, agents)
    chosen = next((agent for agent in agents if decision and agent.id == decision.agent), None)
    reasons = []
    for agent in agents:
        if agent is chosen:
            continue
        reasons.append(_reason(now, queue, item, agent, agent.free, chosen, decision))
    return Ranking(decision, tuple(sorted(reasons, key=_nearness)))


def _nearness(reason: Reason) -> tuple[int, int, int]:
    return _FARNESS[reason.code], -(reason.score or 0), reason.agent


def _reason(
    now: int,
    queue: Queue,
    item: Item,
    agent: Agent,
    room: int,
    chosen: Agent | None,
    decision: Decision | None,
) -> Reason:
    """What keeps the agent from the item, the most lasting obstacle first; where nothing does, who was better."""
    age, number = now - item.at, _first_step(queue, agent)

    def because(code: str, **params: Any) -> Reason:
        return Reason(agent.id, None, code, params)

    if not agent.signed_in:
        return because(SIGNED_OUT)
    if number is None:
        return because(UNSKILLED, missing=_missing(queue.steps, agent))
    if agent.unavailable:
        return because(UNAVAILABLE, why=agent.unavailable)
    if agent.id in item.not_to:
        return because(REFUSED, **item.not_to[agent.id]._asdict())
    after = queue.steps[number].after
    if after > age:
        open_steps = tuple(step for step in queue.steps if step.after <= age)
        return because(TOO_EARLY, missing=_missing(open_steps, agent), seconds=after - age)
    if room < queue.units:
        return because(BUSY, used=agent.capacity - room, capacity=agent.capacity)
    assert chosen is not None, "whoever has no obstacle would have been chosen"
    assert decision is not None
    return _comparison(now, queue, item, agent, number, chosen, decision)


def _first_step(queue: Queue, agent: Agent) -> int | None:
    for number, step in enumerate(queue.steps):
        if step.accepts(agent):
            return number
    return None


def _missing(steps: tuple[Step, ...], agent: Agent) -> tuple[tuple[str, int, int], ...]:
    """(skill, level he has, level needed) for what the last of these steps asks and he has not."""
    return tuple(
        (skill, agent.level(skill), minimum)
        for step in steps[-1:]
        for skill, minimum in step.needs
        if agent.level(skill) < minimum
    )


def _comparison(
    now: int, queue: Queue, item: Item, agent: Agent, step: int, chosen: Agent, decision: Decision
) -> Reason:
    """How an agent who could have had the item by this step compares with the one who got it."""
    differences = []
    personal = personal_terms(queue, item, agent, step, now)
    for his, best in zip(personal, decision.terms[-len(personal) :], strict=True):
        if difference := his.raw * his.weight - best.raw * best.weight:
            differences.append((his.name, difference))
    gap = -sum(difference for _, difference in differences)
    score = decision.score - gap
    if gap == 0 and (chosen.free_since, chosen.id) < (agent.free_since, agent.id):
        return Reason(agent.id, score, LEVEL, {"less_idle": chosen.free_since < agent.free_since})
    differences.sort(key=itemgetter(1), reverse=gap <= 0)
    by = tuple(differences)
    return Reason(agent.id, score, BEHIND if gap > 0 else AHEAD, {"seconds": abs(gap), "by": by})


def _say_gap(params: Params, where: str) -> str:
    by = ", ".join(f"{name} {value:+d}" for name, value in params["by"])
    return f"{params['seconds']} s {where}" + (f": {by}" if by else "")


def _say_missing(params: Params) -> list[str]:
    return [_say_need(*need) for need in params["missing"]]


def _say_need(skill: str, level: int, minimum: int) -> str:
    """Implicit skills are no words for people: they stand for one agent, or for the members of a team."""
    if skill.startswith("agent:"):
        return "kept for another agent"
    return "not in the team" if skill.startswith("team:") else f"{skill} {level} < {minimum}"


_PARTED = {DECLINED: "declined", LAPSED: "did not answer", HAD_IT: "had it until"}

_SENTENCES: dict[str, Callable[[Params, Clock], str]] = {
    AHEAD: lambda params, _: _say_gap(params, "ahead"),
    LEVEL: lambda params, _: (
        "level, but " + ("idle for less time" if params["less_idle"] else "a later number")
    ),
    BEHIND: lambda params, _: _say_gap(params, "behind"),
    TOO_EARLY: lambda params, _: ", ".join([*_say_missing(params), f"opens in {params['seconds']} s"]),
    BUSY: lambda params, _: f"busy: {params['used']} of {params['capacity']} units",
    REFUSED: lambda params, clock: f"{_PARTED[params['how']]} {clock(params['at'])}",
    UNAVAILABLE: lambda params, _: params["why"],
    UNSKILLED: lambda params, _: ", ".join(_say_missing(params)) or "no step is set up",
    SIGNED_OUT: lambda params, _: "signed out",
}
