"""How long the matcher takes for one decision, in memory: `.venv/bin/python -m tests.bench.bench_matcher`.

Half of the queues are overloaded (long lanes, nobody free); in the other half people wait for work. So both events are
measured in one world: an agent frees beside a backlog, and an item arrives beside idle agents. Each figure is for the
change and the decision it leads to, in processor time of this process, so that other programs do not count.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from statistics import median, quantiles

from apps.routing.matcher import Matcher
from apps.routing.policy import Agent, Decision, Item, Queue, Step, consider, decide

NOW = 1_000_000
CREDITS = (0, 0, 0, 30, 90)
clock = time.thread_time


class Town:
    """Even skills, queues and agents are overloaded, odd ones are idle."""

    def __init__(self, *, queues: int, profiles: int, agents: int, waiting: int) -> None:
        self.random = random.Random(1999)
        self.now = NOW
        self.queues = {number: self._queue(number) for number in range(queues)}
        skills = [self._skills(number % 2) for number in range(profiles)]
        self.agents = [self._agent(number, skills[number % profiles]) for number in range(agents)]
        self.busy = [agent for agent in self.agents if not agent.free]
        self.numbers = iter(range(10**9))
        self.matcher = matcher_of(
            self.queues.values(), self.agents, [self._item(overloaded=True) for _ in range(waiting)]
        )
        list(self.matcher.decide(NOW))

    def _queue(self, number: int) -> Queue:
        """Two of the ten skills of its half; the second is asked for less and less."""
        first, second = (f"s{skill}" for skill in self.random.sample(range(number % 2, 20, 2), 2))
        steps = (
            Step(0, ((first, 2), (second, 2))),
            Step(20, ((first, 2), (second, 1))),
            Step(60, ((first, 1),)),
        )
        return Queue(number, steps, w_fit=self.random.choice([0, 10, -15]), units=12)

    def _skills(self, half: int) -> dict[str, int]:
        return {f"s{skill}": self.random.randint(1, 5) for skill in self.random.sample(range(half, 20, 2), 3)}

    def _agent(self, number: int, skills: dict[str, int]) -> Agent:
        is_idle = any(int(skill[1:]) % 2 for skill in skills)
        return Agent(number, skills, free=12 * is_idle, free_since=NOW - self.random.randrange(600))

    def _item(self, *, overloaded: bool) -> Item:
        queue = self.random.choice(range(1 - overloaded, len(self.queues), 2))
        waited = self.random.randrange(3600) if overloaded else 0
        return Item(next(self.numbers), queue, self.now - waited, credit=self.random.choice(CREDITS))

    def agent_frees(self) -> Callable[[], object]:
        freed = replace(self.random.choice(self.busy), free=12, free_since=self.now)
        return lambda: self.matcher.put_agent(freed)

    def item_arrives(self) -> Callable[[], object]:
        item = self._item(overloaded=False)
        return lambda: self.matcher.put_item(item)

    def restore(self, decisions: Collection[Decision]) -> None:
        """As many waiting and as many idle as before."""
        for decision in decisions:
            self.matcher.put_agent(self.agents[decision.agent])
            if not self.agents[decision.agent].free:
                self.matcher.put_item(self._item(overloaded=True))
        list(self.matcher.decide(self.now))


def matcher_of(queues: Iterable[Queue], agents: Iterable[Agent], items: Iterable[Item]) -> Matcher:
    matcher = Matcher(queues)
    for agent in agents:
        matcher.put_agent(agent)
    for item in items:
        matcher.put_item(item)
    return matcher


def measure(town: Town, event: Callable[[], Callable[[], object]], events: int = 2_000) -> dict[str, list]:
    """Seconds to decide, and to explain. Time passes, too, so steps open in between."""
    times: dict[str, list] = {"decided": [], "explained": []}
    for number in range(events):
        town.now += number % 20 == 0
        list(town.matcher.decide(town.now))
        happens, begun = event(), clock()
        happens()
        decisions = list(town.matcher.decide(town.now))
        decided = clock()
        if decisions:
            town.matcher.others(decisions[-1])
            times["decided"].append(decided - begun)
            times["explained"].append(clock() - decided)
        town.restore(decisions)
    return times


def figures(seconds: list[float]) -> str:
    cuts = quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1e6:5.0f}   p99 {cuts[98] * 1e6:5.0f}   most {max(seconds) * 1e6:5.0f} µs"


def scan(town: Town) -> float:
    """What looking at every item costs when one agent frees."""
    agent, begun = replace(town.busy[0], free=12), clock()
    max(
        (pair.score, -item.at)
        for item in town.matcher.items.values()
        if (pair := consider(town.queues[item.queue], item, agent, town.now))
    )
    return clock() - begun


def many_at_once(*, waiting: int, agents: int) -> float:
    """Everybody frees in the same moment, each with 3 of 20 skills. All decisions are compared with the policy's."""
    dice = random.Random(27)
    queues = {n: Queue(n, (Step(0, ((f"s{n}", 1),)),), units=12) for n in range(20)}
    people = [
        Agent(n, {f"s{s}": dice.randint(1, 5) for s in dice.sample(range(20), 3)}, 12, dice.randrange(600))
        for n in range(agents)
    ]
    items = [Item(n, dice.randrange(20), dice.randrange(600), dice.choice(CREDITS)) for n in range(waiting)]
    matcher = matcher_of(queues.values(), [replace(one, free=0) for one in people], items)
    list(matcher.decide(600))
    begun = clock()
    for one in people:
        matcher.put_agent(one)
    decisions = list(matcher.decide(600))
    seconds = clock() - begun
    assert decisions == decide(600, queues, items, people)
    return seconds


def growth(event: str, *sizes: tuple[int, int], rounds: int = 5) -> list[float]:
    """Microseconds of a decision for each (agents, waiting): the best median, the towns taking turns."""
    towns = [Town(queues=100, profiles=199, agents=agents, waiting=waiting) for agents, waiting in sizes]
    gc.collect()
    gc.freeze()
    medians = [
        [median(measure(town, getattr(town, event), events=300)["decided"]) * 1e6 for town in towns]
        for _ in range(rounds)
    ]
    gc.unfreeze()
    return [min(column) for column in zip(*medians, strict=True)]


def report() -> None:
    begun = clock()
    town = Town(queues=100, profiles=199, agents=10_000, waiting=100_000)
    gc.collect()
    gc.freeze()
    print(
        f"100 queues x 3 steps, 199 profiles, 10,000 agents, 100,000 waiting: built in {clock() - begun:.1f} s"
    )
    for name, event in (("an agent frees", town.agent_frees), ("an item arrives", town.item_arrives)):
        times = measure(town, event)
        print(f"{name:16} decision    {figures(times['decided'])}")
        print(f"{'':16} explanation {figures(times['explained'])}")
    print(f"a scan of the items instead: {scan(town) * 1e3:.0f} ms")
    gc.unfreeze()
    del town
    print(f"1,000 waiting, 200 agents free at once: {many_at_once(waiting=1_000, agents=200) * 1e3:.0f} ms")
    for event in ("agent_frees", "item_arrives"):
        base, crowd, line = growth(event, (200, 1_000), (2_000, 1_000), (200, 100_000))
        print(
            f"{event.replace('_', ' '):16} 2,000 / 200 agents {crowd / base:.2f}   "
            f"100,000 / 1,000 waiting {line / base:.2f}   (base {base:.0f} µs)"
        )


if __name__ == "__main__":
    report()
