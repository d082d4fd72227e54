"""What holds in every world. Worlds are small and crowded, so that ties and shortages are common."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from apps.routing.policy import consider, decide, effective_queue, open_step
from tests.routing.worlds import NOW, agents_of, queues_of, reference_decide, reference_step, worlds

pytestmark = pytest.mark.embedded

moderate = settings(max_examples=50, deadline=None)


def room_after(world, decisions):
    room = {a.id: a.free for a in world.agents}
    units = {i.id: world.queues[i.queue].units for i in world.items}
    for decision in decisions:
        room[decision.agent] -= units[decision.item]
    return room


@moderate
@given(worlds())
def test_decide_equals_the_literal_reference(world):
    assert decide(*world) == reference_decide(*world)


@moderate
@given(worlds())
def test_every_decision_is_eligible_and_fits(world):
    items, agents = {i.id: i for i in world.items}, {a.id: a for a in world.agents}
    decisions = decide(*world)
    for d in decisions:
        item, agent = items[d.item], agents[d.agent]
        queue = world.queues[item.queue]
        assert d.step == reference_step(queue, world.agents, agent, NOW - item.at)
        assert d.step is not None
        assert agent.id not in item.not_to
        assert agent.is_available
    assert len({d.item for d in decisions}) == len(decisions)
    assert all(units >= 0 for units in room_after(world, decisions).values())


@moderate
@given(worlds())
def test_scores_are_the_sums_of_their_terms_and_never_increase(world):
    decisions = decide(*world)
    assert all(d.score == sum(t.raw * t.weight for t in d.terms) for d in decisions)
    assert all(earlier.score >= later.score for earlier, later in pairwise(decisions))


@moderate
@given(worlds())
def test_no_item_is_left_waiting_beside_an_eligible_agent_with_room(world):
    decisions = decide(*world)
    room, matched = room_after(world, decisions), {d.item for d in decisions}
    for item in (i for i in world.items if i.id not in matched):
        queue = effective_queue(world.queues[item.queue], world.agents)
        able = [a for a in world.agents if consider(queue, item, a, NOW)]
        assert all(room[a.id] < queue.units for a in able)


@moderate
@given(queues_of(1), agents_of(1), st.integers(-5, 90), st.integers(0, 90))
def test_step_once_open_stays_open_and_stays_the_one_quoted(queue, agent, age, later):
    step = open_step(queue, agent, age)
    assume(step is not None)
    assert open_step(queue, agent, age + later) == step


@moderate
@given(queues_of(1), st.lists(agents_of(1), max_size=4), agents_of(2), st.integers(0, 90))
def test_effective_queue_only_opens_earlier_and_settles_at_once(queue, agents, agent, age):
    effective = effective_queue(queue, [*agents, agent])
    assert all(e.after <= s.after for e, s in zip(effective.steps, queue.steps, strict=True))
    assert effective_queue(effective, [*agents, agent]) == effective
    if agent.signed_in:
        assert open_step(effective, agent, age) == reference_step(queue, [*agents, agent], agent, age)


@moderate
@given(worlds(), st.randoms(use_true_random=False))
def test_order_of_the_input_does_not_matter(world, shuffler: random.Random):
    shuffled = [shuffler.sample(part, len(part)) for part in (world.items, world.agents)]
    queues = dict(reversed(world.queues.items()))
    assert decide(NOW, queues, *shuffled) == decide(*world)


@moderate
@given(worlds(queues=1, refusals=st.just({})))
def test_overtaking_in_a_queue_is_bounded(world):
    """For one agent, idleness and fit are the same for both items: only credit and last agent differ."""
    queue, matched = world.queues[1], [d.item for d in decide(*world)]
    place = {number: index for index, number in enumerate(matched)}
    passed = [
        (i, j)
        for j in world.items
        for i in world.items
        if i.at < j.at and j.id in place and place[j.id] < place.get(i.id, len(matched))
    ]
    for i, j in passed:
        reach = j.credit - i.credit + abs(queue.w_last)
        assert queue.rate * (j.at - i.at) < reach


@moderate
@given(worlds(if_nobody=False, units=st.just(1), free=st.just(1)), agents_of(99, free=st.just(1)))
def test_adding_an_agent_never_unmatches_an_item(world, newcomer):
    """One unit each, and no `if_nobody` step: somebody's arrival may rightly close one of those."""
    before = {d.item for d in decide(*world)}
    after = {d.item for d in decide(*world._replace(agents=[*world.agents, newcomer]))}
    assert before <= after


@moderate
@given(worlds(), st.integers(1, 100))
def test_raising_a_credit_never_unmatches_the_item_nor_moves_it_down(world, extra):
    before = [d.item for d in decide(*world)]
    for place, raised in enumerate(before):
        items = [replace(i, credit=i.credit + extra) if i.id == raised else i for i in world.items]
        after = [d.item for d in decide(*world._replace(items=items))]
        assert raised in after
        assert after.index(raised) <= place


@moderate
@given(worlds(), st.integers(-20_000, 2_000_000_000))
def test_shifting_every_time_by_a_constant_changes_nothing(world, shift):
    items = [
        replace(i, at=i.at + shift, not_to={a: r._replace(at=r.at + shift) for a, r in i.not_to.items()})
        for i in world.items
    ]
    agents = [replace(a, free_since=a.free_since + shift) for a in world.agents]
    assert decide(NOW + shift, world.queues, items, agents) == decide(*world)
