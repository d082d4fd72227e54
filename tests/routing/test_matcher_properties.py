"""The matcher is the policy, whatever happens: every comparison is with `policy.decide` over the whole world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from apps.routing import matcher
from apps.routing.explain import explain
from apps.routing.matcher import Matcher
from apps.routing.policy import Decision, Refusal, decide, effective_queue, next_opening
from tests.routing.worlds import NOW, World, agents_of, items_of, queues_of, worlds

pytestmark = pytest.mark.embedded

# Lanes and crews have to be long, so agents are alike and credits few.
SKILLS = st.sampled_from(
    [{"care": 3, "de": 1, "cards": 1}, {"care": 3, "de": 1, "cards": 1}, {"care": 2}, {}]
)
CREDITS = st.sampled_from([0, 10])
WAYS_OF_IDLENESS = st.sampled_from([1, 0, 2, -1])


@st.composite
def crowds(draw):
    """Worlds of few kinds of agents and items, also with queues that prefer whoever has been idle the shortest."""
    world = draw(worlds(queues=2))
    return World(
        world.now,
        {n: replace(queue, w_idle=draw(WAYS_OF_IDLENESS)) for n, queue in world.queues.items()},
        [replace(item, credit=draw(CREDITS)) for item in world.items],
        [replace(agent, skills=draw(SKILLS)) for agent in world.agents],
    )


def matcher_in(world: World) -> Matcher:
    matcher = Matcher(world.queues.values())
    for item in world.items:
        matcher.put_item(item)
    for agent in world.agents:
        matcher.put_agent(agent)
    return matcher


# Few or many who changed are looked at by their lanes, or by themselves.
MANY = st.sampled_from([1, 3, 100])


@settings(max_examples=60, deadline=None)
@given(crowds(), MANY)
def test_it_decides_as_the_policy_and_leaves_nothing(world, many):
    with patch.object(matcher, "MANY", many):
        fast = matcher_in(world)
        assert list(fast.decide(NOW)) == decide(*world)
        assert list(fast.decide(NOW)) == []


@settings(max_examples=40, deadline=None)
@given(crowds())
def test_in_a_small_world_the_others_are_those_of_the_full_explanation(world):
    fast, earlier = matcher_in(world), []
    for decision in fast.decide(NOW):
        assert fast.others(decision) == explain(*world, decision, earlier=earlier).others
        earlier.append(decision)


class Day(RuleBasedStateMachine):
    """Whatever happens in any order, to the matcher and to a plain world beside it."""

    @initialize(world=crowds(), many=MANY)
    def begin(self, world: World, many: int) -> None:
        self.patch = patch.object(matcher, "MANY", many)
        self.patch.start()
        self.now, self.queues = NOW, dict(world.queues)
        self.items = {item.id: item for item in world.items}
        self.agents = {agent.id: agent for agent in world.agents}
        self.taken: list[tuple] = []
        self.matcher = matcher_in(world)

    @rule(seconds=st.sampled_from([1, 5, 20, 60]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(data=st.data(), number=st.integers(1, 5), skills=SKILLS)
    def agent_comes_or_changes(self, data: st.DataObject, number: int, skills: dict) -> None:
        self._put_agent(replace(data.draw(agents_of(number)), skills=skills))

    @precondition(lambda self: self.agents)
    @rule(data=st.data(), free=st.sampled_from([8, 4, 1, 0]))
    def agent_frees_or_fills(self, data: st.DataObject, free: int) -> None:
        self._put_agent(replace(self._some(data, self.agents), free=free, free_since=self.now))

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def agent_signs_in_or_out(self, data: st.DataObject) -> None:
        agent = self._some(data, self.agents)
        self._put_agent(replace(agent, signed_in=not agent.signed_in))

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def agent_is_gone(self, data: st.DataObject) -> None:
        agent = self._some(data, self.agents)
        del self.agents[agent.id]
        self.matcher.drop_agent(agent.id)

    @rule(data=st.data(), number=st.integers(1, 12), credit=CREDITS)
    def item_arrives_or_moves(self, data: st.DataObject, number: int, credit: int) -> None:
        item = data.draw(items_of(number, queues=len(self.queues)))
        self._put_item(replace(item, at=item.at + self.now - NOW, credit=credit))

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def customer_leaves(self, data: st.DataObject) -> None:
        item = self._some(data, self.items)
        del self.items[item.id]
        self.matcher.drop_item(item.id)

    @precondition(lambda self: self.taken)
    @rule()
    def agent_declines(self) -> None:
        item, agent_id = self.taken.pop()
        if item.id not in self.items:
            self._put_item(replace(item, not_to={**item.not_to, agent_id: Refusal(self.now, "lapsed")}))

    @rule(data=st.data(), w_idle=WAYS_OF_IDLENESS)
    def queue_changes(self, data: st.DataObject, w_idle: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.queues)))
        self.queues[number] = replace(data.draw(queues_of(number)), w_idle=w_idle, version=self.now)
        self.matcher.put_queue(self.queues[number])

    @rule()
    def all_is_decided(self) -> None:
        expected = self._expected()
        assert list(self.matcher.decide(self.now)) == expected
        self._apply(expected)
        self._next_event_is_the_next_opening()

    @rule(number=st.integers(0, 2))
    def some_is_decided(self, number: int) -> None:
        expected = self._expected()[:number]
        assert list(islice(self.matcher.decide(self.now), number)) == expected
        self._apply(expected)

    @rule(data=st.data())
    def something_happens_while_deciding(self, data: st.DataObject) -> None:
        deciding = self.matcher.decide(self.now)
        while expected := self._expected()[:1]:
            assert next(deciding) == expected[0]
            self._apply(expected)
            happens = data.draw(
                st.sampled_from([None, self.agent_frees_or_fills, self.item_arrives_or_moves])
            )
            if happens == self.agent_frees_or_fills:
                self._put_agent(replace(self._some(data, self.agents), free=data.draw(st.integers(0, 8))))
            elif happens:
                self._put_item(replace(data.draw(items_of(20, queues=len(self.queues))), not_to={}))
        assert list(deciding) == []

    def teardown(self) -> None:
        if hasattr(self, "matcher"):
            try:
                self.all_is_decided()
            finally:
                self.patch.stop()

    def _expected(self) -> list[Decision]:
        return decide(self.now, self.queues, self.items.values(), self.agents.values())

    def _apply(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            item, agent = self.items.pop(decision.item), self.agents[decision.agent]
            self.agents[agent.id] = replace(agent, free=agent.free - self.queues[item.queue].units)
            self.taken.append((item, agent.id))
        assert self.matcher.items == self.items
        assert self.matcher.agents == self.agents

    def _next_event_is_the_next_opening(self) -> None:
        queues = {n: effective_queue(queue, self.agents.values()) for n, queue in self.queues.items()}
        openings = (next_opening(queues[item.queue], item, self.now) for item in self.items.values())
        soonest = min((opening for opening in openings if opening is not None), default=None)
        assert self.matcher.next_event(self.now) == soonest

    def _put_agent(self, agent) -> None:
        self.agents[agent.id] = agent
        self.matcher.put_agent(agent)

    def _put_item(self, item) -> None:
        self.items[item.id] = item
        self.matcher.put_item(item)

    @staticmethod
    def _some(data: st.DataObject, things: dict):
        return things[data.draw(st.sampled_from(sorted(things)))]


TestDay = Day.TestCase
TestDay.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
