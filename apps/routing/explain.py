"""Why this agent, and why not the others: a decision in words, pure.

A ``Reason`` keeps its code and its figures, so that a page can say it in another language; ``sentence`` says
it in English.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from apps.routing.policy import Agent, Decision, Item, Queue, Step, consider, decide, effective_queue

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
    DECLINED := "declined",
    UNAVAILABLE := "unavailable",
    UNSKILLED := "unskilled",
    SIGNED_OUT := "signed_out",
)


@dataclass(frozen=True, slots=True)
class Reason:
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
            "terms": [[term.name, term.raw, term.weight, term.value] for term in chosen.terms],
            "others": [[other.agent, other.score, other.sentence(clock)] for other in self.others],
        }


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
        reasons = (
            _obstacle(self._now, queue, item, agent, self._room[agent.id])
            or _comparison(self._now, queue, item, agent, chosen, decision)
            for agent in self._agents.values()
            if agent is not chosen
        )
        nearest = tuple(nsmallest(SHOWN, reasons, key=_nearness))
        self.give_away(decision)
        return Explanation(decision, queue.version, self._now, nearest)

    def give_away(self, decision: Decision) -> None:
        """Its units are gone for all later decisions."""
        self._room[decision.agent] -= self._queues[self._waiting[decision.item].queue].units


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
        obstacle = _obstacle(now, queue, item, agent, agent.free)
        if obstacle is None:
            assert chosen is not None, "whoever has no obstacle would have been chosen"
            assert decision is not None
            obstacle = _comparison(now, queue, item, agent, chosen, decision)
        reasons.append(obstacle)
    return Ranking(decision, tuple(sorted(reasons, key=_nearness)))


def _nearness(reason: Reason) -> tuple[int, int, int]:
    return CODES.index(reason.code), -(reason.score or 0), reason.agent


def _obstacle(now: int, queue: Queue, item: Item, agent: Agent, room: int) -> Reason | None:
    """What keeps the agent from the item, the most lasting obstacle first; None when nothing does."""
    age = now - item.at
    his_step = next((step for step in queue.steps if step.accepts(agent)), None)

    def because(code: str, **params: Any) -> Reason:
        return Reason(agent.id, None, code, params)

    if not agent.signed_in:
        return because(SIGNED_OUT)
    if his_step is None:
        return because(UNSKILLED, missing=_missing(queue.steps, agent))
    if agent.unavailable:
        return because(UNAVAILABLE, why=agent.unavailable)
    if agent.id in item.not_to:
        return because(DECLINED, at=item.not_to[agent.id])
    if his_step.after > age:
        open_steps = tuple(step for step in queue.steps if step.after <= age)
        return because(TOO_EARLY, missing=_missing(open_steps, agent), seconds=his_step.after - age)
    if room < queue.units:
        return because(BUSY, used=agent.capacity - room, capacity=agent.capacity)
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
    now: int, queue: Queue, item: Item, agent: Agent, chosen: Agent, decision: Decision
) -> Reason:
    """How an agent who could have had the item compares with the one who got it."""
    other = consider(queue, item, agent, now)
    assert other is not None, "an agent without an obstacle may take the item"
    gap = decision.score - other.score
    if gap == 0 and (chosen.free_since, chosen.id) < (agent.free_since, agent.id):
        less_idle = chosen.free_since < agent.free_since
        return Reason(agent.id, other.score, LEVEL, {"less_idle": less_idle})
    pairs = zip(other.terms, decision.terms, strict=True)
    differences = ((his.name, his.value - best.value) for his, best in pairs if his.value != best.value)
    by = tuple(sorted(differences, key=lambda difference: difference[1] * (1 if gap > 0 else -1)))
    return Reason(agent.id, other.score, BEHIND if gap > 0 else AHEAD, {"seconds": abs(gap), "by": by})


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


_SENTENCES: dict[str, Callable[[Params, Clock], str]] = {
    AHEAD: lambda params, _: _say_gap(params, "ahead"),
    LEVEL: lambda params, _: (
        "level, but " + ("idle for less time" if params["less_idle"] else "a later number")
    ),
    BEHIND: lambda params, _: _say_gap(params, "behind"),
    TOO_EARLY: lambda params, _: ", ".join([*_say_missing(params), f"opens in {params['seconds']} s"]),
    BUSY: lambda params, _: f"busy: {params['used']} of {params['capacity']} units",
    DECLINED: lambda params, clock: f"declined {clock(params['at'])}",
    UNAVAILABLE: lambda params, _: params["why"],
    UNSKILLED: lambda params, _: ", ".join(_say_missing(params)) or "no step is set up",
    SIGNED_OUT: lambda params, _: "signed out",
}
