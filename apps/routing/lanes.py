"""What waits, so that nobody has to look through it: the head of a lane stands for all behind it. Pure.

Items of one queue with the same credit age alike. The oldest of them scores at least as much with every agent as any
other, and a step that is not open for it is open for none. Time changes neither order.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from heapq import nsmallest
from itertools import chain, count, islice
from operator import itemgetter
from typing import NamedTuple

from sortedcontainers import SortedDict, SortedList

from .crews import NOBODY, Crew, Crews, Demand, Place, Profile
from .policy import Agent, Item, Queue, effective_queue, next_opening, open_step

EVERYBODY = None
_serials = count()


class Grade(NamedTuple):
    """How agents may take what waits in a queue: from which age on, and what their fit is worth in seconds."""

    after: int
    fit: int


class Lane:
    """The items of a backlog with the same credit, oldest first; only an abandoned lane is empty.

    A *personal* lane lists once more those whose last agent was ``whose``: to him they are worth ``w_last`` more.
    """

    __slots__ = ("_items", "backlog", "credit", "oldest", "opening", "serial", "whose", "worth")

    def __init__(self, backlog: Backlog, credit: int, whose: int | None) -> None:
        self.backlog, self.credit, self.whose = backlog, credit, whose
        self.worth = credit if whose is EVERYBODY else credit + backlog.queue.w_last
        self.oldest: Item | None = None
        self.opening: int | None = None  # kept by `Openings`
        self.serial = next(_serials)
        self._items: SortedList[tuple[int, int, Item]] = SortedList()

    def __iter__(self) -> Iterator[Item]:
        return (item for _, _, item in self._items)

    def add(self, item: Item) -> None:
        self._items.add((item.at, item.id, item))
        self.oldest = self._items[0][2]

    def remove(self, item: Item) -> None:
        self._items.remove((item.at, item.id, item))
        self.oldest = self._items[0][2] if self._items else None

    def apart(self, item: Item) -> Collection[int]:
        """The agents to whom the item is not worth what its place says: those it must not go to and, where that
        costs seconds, the last one."""
        if self.whose is EVERYBODY and self.backlog.queue.w_last < 0 and item.last_agent is not None:
            return {*item.not_to, item.last_agent}
        return item.not_to

    def oldest_for(self, agent_id: int, *, arrived_by: int) -> Item | None:
        """The first item that is worth to this agent what its place says."""
        arrived = self._items.irange(maximum=(arrived_by, math.inf))
        return next((item for _, _, item in arrived if agent_id not in self.apart(item)), None)

    def next_opening(self, now: int) -> int | None:
        """When a step opens for one of the items."""
        openings = []
        for after in {step.after for step in self.backlog.queue.steps}:
            waiting_for_it = self._items.bisect_right((now - after, math.inf))
            if waiting_for_it < len(self._items):
                openings.append(self._items[waiting_for_it][0] + after)
        return min(openings, default=None)


class Openings:
    """The lanes by their next step opening. It may be announced too early, when the item it was for has gone."""

    def __init__(self) -> None:
        self._lanes: SortedDict[tuple[int, int], Lane] = SortedDict()

    def set(self, lane: Lane, moment: int | None) -> None:
        if lane.opening is not None:
            del self._lanes[lane.opening, lane.serial]
        lane.opening = moment
        if moment is not None:
            self._lanes[moment, lane.serial] = lane

    def arrived(self, lane: Lane, item: Item, *, now: int) -> None:
        opening = next_opening(lane.backlog.queue, item, now)
        if opening is not None and (lane.opening is None or opening < lane.opening):
            self.set(lane, opening)

    def pass_until(self, now: int) -> Iterator[Lane]:
        """The lanes in which something may have opened by now."""
        while self._lanes and self._lanes.peekitem(0)[0][0] <= now:
            lane = self._lanes.peekitem(0)[1]
            self.set(lane, lane.next_opening(now))
            yield lane

    def first(self, *, after: int) -> int | None:
        while self._lanes:
            (moment, _), lane = self._lanes.peekitem(0)
            if moment == (actual := lane.next_opening(after)):
                return moment
            self.set(lane, actual)
        return None


class Backlog:
    """A queue's policy, whom its steps accept, and its items in lanes.

    ``queue`` is the policy for the people signed in now. It is replaced whenever it changes, so its identity tells
    whether a comparison made earlier still holds.
    """

    def __init__(self, policy: Queue, crews: Crews) -> None:
        if policy.rate < 0:
            raise ValueError("Items must not lose by waiting: the rate of a queue cannot be negative.")
        self._policy = policy
        self._signed_in = [0] * len(policy.steps)  # how many people each step accepts
        self.lanes: dict[int | None, dict[int, Lane]] = {EVERYBODY: {}}  # by whose they are, by credit
        self.named = frozenset(_agents_named_by(policy))
        # Whether a pair can be worth less than the heads of lane and crew say, even where nobody refused.
        self.is_special = bool(self.named) or policy.w_last < 0
        self.crews: dict[Profile, Crew] = {}  # who has room, kept up to date by `Crews`
        for agent in crews.agents.values():
            self.recount(None, agent)
        self._settle(_for_those_here(policy, self._signed_in), crews.profiles.values())

    @property
    def demand(self) -> Demand:
        return self._policy.units, -1 if self._policy.w_idle < 0 else 1

    def recount(self, before: Agent | None, after: Agent | None) -> bool:
        """Somebody came, went or changed. Whether that may open or close an `if_nobody` step."""
        if not any(step.if_nobody for step in self._policy.steps):
            return False
        somebody = [number > 0 for number in self._signed_in]
        for agent, change in ((before, -1), (after, 1)):
            for number, step in enumerate(self._policy.steps):
                if agent and agent.signed_in and step.accepts(agent):
                    self._signed_in[number] += change
        return somebody != [number > 0 for number in self._signed_in]

    def reopen(self, profiles: Iterable[Profile]) -> bool:
        """Apply the policy to those signed in now, as they were counted. Whether that changed anything."""
        queue = _for_those_here(self._policy, self._signed_in)
        if queue == self.queue:
            return False
        self._settle(queue, profiles)
        return True

    def _settle(self, queue: Queue, profiles: Iterable[Profile]) -> None:
        self.queue = queue
        self.open_to: dict[Profile, Grade] = {}
        for profile in profiles:
            self.learn(profile)

    def learn(self, profile: Profile) -> None:
        if grade := self.grade(profile.typical):
            self.open_to[profile] = grade

    def grade(self, agent: Agent) -> Grade | None:
        step = open_step(self.queue, agent, self.queue.steps[-1].after) if self.queue.steps else None
        if step is None:
            return None
        after, needs = self.queue.steps[step].after, self.queue.steps[step].needs
        return Grade(after, self.queue.w_fit * sum(agent.level(skill) - minimum for skill, minimum in needs))

    def profiles_with_room(self) -> set[Profile]:
        """Of those whom a step accepts, sooner or later."""
        return self.open_to.keys() & self.crews.keys()  # costs as much as the smaller of the two

    def runners_up(self, most: int, *, age: int, apart: Collection[int]) -> list[int]:
        """Who could have an item of this age but for those set apart, best first: they are among the first few of the
        profiles with the best heads."""
        weight = self.queue.w_idle * self.demand[1]
        # For the same item: the fewer seconds, the better.
        heads: list[tuple[int, Place, Profile]] = []
        for profile in self.profiles_with_room():
            after, fit = self.open_to[profile]
            if after <= age:
                for position in self.crews[profile]:
                    if position[1] not in apart:
                        heads.append((weight * position[0] - fit, position, profile))
                        break
        best = list[tuple[int, Place]]()
        for _, _, profile in nsmallest(most, heads):
            able = (position for position in self.crews[profile] if position[1] not in apart)
            fit = self.open_to[profile].fit
            best += ((weight * position[0] - fit, position) for position in islice(able, most))
        return [agent_id for _, (_, agent_id) in nsmallest(most, best)]

    def examples(self, profiles: Iterable[Profile], *, apart: Collection[int]) -> Iterator[int]:
        """Of these, some who might have what waits here at another time, then some who never might."""
        skilled = (agent_id for profile in self.open_to for agent_id in profile.members)
        others = (profile for profile in profiles if profile not in self.open_to)
        unskilled = (agent_id for profile in others for agent_id in profile.members)
        return (agent_id for agent_id in chain(skilled, unskilled) if agent_id not in apart)

    def lanes_of(self, *whose: int | None) -> Iterator[Lane]:
        return (lane for one in whose for lane in self.lanes.get(one, {}).values())

    def add(self, item: Item) -> list[Lane]:
        """The lanes the item is in now."""
        lanes = [self._lane(whose, item.credit) for whose in self._listed_for(item)]
        for lane in lanes:
            lane.add(item)
        return lanes

    def remove(self, item: Item) -> list[Lane]:
        """The lanes abandoned with it."""
        lanes = [self._lane(whose, item.credit) for whose in self._listed_for(item)]
        for lane in lanes:
            lane.remove(item)
        abandoned = [lane for lane in lanes if lane.oldest is None]
        for lane in abandoned:
            del self.lanes[lane.whose][lane.credit]
            if lane.whose is not EVERYBODY and not self.lanes[lane.whose]:
                del self.lanes[lane.whose]
        return abandoned

    def _listed_for(self, item: Item) -> tuple[int | None, ...]:
        is_sticky = self._policy.w_last and item.last_agent is not None
        return (EVERYBODY, item.last_agent) if is_sticky else (EVERYBODY,)

    def _lane(self, whose: int | None, credit: int) -> Lane:
        lanes = self.lanes.setdefault(whose, {})
        return lanes.get(credit) or lanes.setdefault(credit, Lane(self, credit, whose))


def _for_those_here(policy: Queue, signed_in: list[int]) -> Queue:
    """The policy's own rule, asked with one stand-in for all whom a step accepts."""
    stand_ins = [
        Agent(NOBODY, dict(sorted(step.needs, key=itemgetter(1))), free=0, free_since=0)
        for step, number in zip(policy.steps, signed_in, strict=True)
        if number
    ]
    return effective_queue(policy, stand_ins)


def _agents_named_by(queue: Queue) -> Iterator[int]:
    for step in queue.steps:
        for skill, _ in step.needs:
            kind, _, number = skill.partition(":")
            if kind == "agent" and number.isdecimal():
                yield int(number)
