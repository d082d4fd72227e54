from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from apps.routing.explain import explain
from apps.routing.matcher import Matcher
from apps.routing.policy import Agent, Step, decide
from tests.routing.worlds import NOW, agent, item, queue, step

pytestmark = pytest.mark.embedded

CARE = queue(step(0, {"care": 1}))
STEPS = queue(step(0, {"care": 3}), step(20, {"care": 2}), step(60, {"care": 1}))
PREFERRED = queue(step(0, {"agent:42": 1}), step(30, {"care": 1}, if_nobody=True))
STICKY = queue(step(0, {"care": 1}), w_last=120)


def matcher_of(*things, queues=(CARE,)):
    matcher = Matcher(queues)
    for thing in things:
        matcher.put_agent(thing) if isinstance(thing, Agent) else matcher.put_item(thing)
    return matcher


def pairs(matcher, now=NOW):
    return [(decision.item, decision.agent) for decision in matcher.decide(now)]


def test_it_starts_empty_and_has_nothing_to_wait_for():
    matcher = Matcher()
    assert (pairs(matcher), matcher.next_event(NOW)) == ([], None)


def test_decided_items_leave_and_units_are_taken_off():
    matcher = matcher_of(agent(1, free=10), item(1), item(2, waited=5), item(3))
    assert pairs(matcher) == [(2, 1), (1, 1)]
    assert (set(matcher.items), matcher.agents[1].free) == ({3}, 2)


def test_agent_who_frees_gets_the_oldest_item():
    busy = agent(1, free=0)
    matcher = matcher_of(busy, item(1, waited=5), item(2, waited=50))
    assert pairs(matcher) == []
    matcher.put_agent(replace(busy, free=4))
    assert pairs(matcher) == [(2, 1)]


def test_item_that_arrives_goes_to_the_longest_idle():
    matcher = matcher_of(agent(1, idle=5), agent(2, idle=50), agent(3, skills={}, idle=500))
    assert pairs(matcher) == []
    matcher.put_item(item(1))
    assert pairs(matcher) == [(1, 2)]


def test_steps_open_by_themselves_and_their_moment_is_known():
    matcher = matcher_of(agent(1), item(1), queues=[STEPS])
    assert (pairs(matcher), matcher.next_event(NOW)) == ([], NOW + 20)
    assert (pairs(matcher, NOW + 59), matcher.next_event(NOW + 59)) == ([], NOW + 60)
    assert pairs(matcher, NOW + 60) == [(1, 1)]
    assert matcher.next_event(NOW + 60) is None


def test_opening_is_forgotten_with_the_item_it_was_for():
    matcher = matcher_of(item(1, waited=15), item(2), queues=[STEPS])
    assert (pairs(matcher), matcher.next_event(NOW)) == ([], NOW + 5)
    matcher.drop_item(1)
    assert matcher.next_event(NOW) == NOW + 20


def test_older_item_that_comes_back_opens_before_the_one_already_there():
    matcher = matcher_of(agent(1, free=4, skills={"care": 2}), item(2), queues=[STEPS])
    assert pairs(matcher) == []
    matcher.put_item(item(1, waited=15))
    assert (pairs(matcher), pairs(matcher, NOW + 5)) == ([], [(1, 1)])


def test_whatever_changed_is_due_now():
    matcher = matcher_of(agent(1))
    assert matcher.next_event(NOW) == NOW
    assert (pairs(matcher), matcher.next_event(NOW)) == ([], None)
    matcher.put_agent(replace(matcher.agents[1], free=4, free_since=NOW))
    assert matcher.next_event(NOW) is None, "less room makes no pair"


def test_item_is_kept_for_the_agent_it_names_until_he_signs_out():
    matcher = matcher_of(agent(42, free=0), agent(7), item(1), queues=[PREFERRED])
    assert (pairs(matcher), matcher.next_event(NOW)) == ([], NOW + 30)
    matcher.put_agent(agent(42, free=0, signed_in=False))
    assert pairs(matcher) == [(1, 7)]


def test_item_no_longer_open_to_all_waits_for_the_agent_who_came():
    matcher = matcher_of(item(1), agent(7), agent(42, free=0), queues=[PREFERRED])
    assert (pairs(matcher), matcher.next_event(NOW)) == ([], NOW + 30)
    matcher.put_agent(agent(42))
    assert pairs(matcher) == [(1, 42)]


def test_steps_closed_by_an_arrival_open_when_their_time_comes():
    matcher = matcher_of(item(1), agent(7, free=0), queues=[PREFERRED])
    assert (pairs(matcher), matcher.next_event(NOW)) == ([], None)
    matcher.put_agent(agent(42, free=0))
    matcher.put_agent(agent(7))
    assert (pairs(matcher), pairs(matcher, NOW + 30)) == ([], [(1, 7)])


@pytest.mark.parametrize("refused", [{}, {2: NOW}])
def test_named_agent_is_measured_by_the_step_that_names_him(refused):
    named = queue(step(0, {"agent:1": 1}), step(30, {"care": 1}), w_fit=10)
    agents = [agent(n, free=4, skills={"care": 5 - n}, idle=9 - n) for n in (1, 2, 3)]
    items = [item(1, waited=60, not_to=refused), item(2, waited=50, not_to=refused)]
    expected = [(d.item, d.agent) for d in decide(NOW, {1: named}, items, agents)]
    assert pairs(matcher_of(*agents, *items, queues=[named])) == expected
    assert expected[0] == (1, 3 if refused else 2)


def test_last_agent_can_be_the_one_to_avoid():
    avoiding = queue(step(0, {"care": 1}), w_last=-50)
    agents, items = [agent(1, idle=10), agent(2, free=4)], [item(1, last_agent=1), item(2, waited=9)]
    assert pairs(matcher_of(*agents, *items, queues=[avoiding])) == [(2, 1), (1, 2)]


def test_step_that_asks_for_a_skill_twice_means_the_higher_level():
    twice = Step(0, (("care", 2), ("care", 1)))
    matcher = matcher_of(
        agent(1, free=0, skills={"care": 2}), agent(2), item(1), queues=[queue(twice, step(30, {}, True))]
    )
    assert (pairs(matcher), pairs(matcher, NOW + 30)) == ([], [(1, 2)])


def test_agent_who_was_dropped_is_nobody():
    matcher = matcher_of(agent(42), agent(7), queues=[PREFERRED])
    matcher.drop_agent(42)
    matcher.put_item(item(1))
    assert pairs(matcher) == [(1, 7)]


def test_refused_item_does_not_hide_the_one_behind_it():
    matcher = matcher_of(item(1, waited=50, not_to={1: NOW}), item(2, waited=5), agent(1))
    assert pairs(matcher) == [(2, 1)]
    matcher.put_item(item(1, waited=50))
    assert pairs(matcher) == [(1, 1)]


def test_item_behind_a_refused_one_waits_for_its_own_step():
    refused = item(1, waited=25, not_to={1: NOW})
    matcher = matcher_of(refused, item(2, waited=10), agent(1, skills={"care": 2}), queues=[STEPS])
    assert (pairs(matcher), pairs(matcher, NOW + 10)) == ([], [(2, 1)])


def test_last_agent_is_found_behind_the_head_of_the_lane():
    matcher = matcher_of(item(1, waited=50), item(2, waited=5, last_agent=1), agent(1), queues=[STICKY])
    assert pairs(matcher) == [(2, 1), (1, 1)]


def test_changed_queue_counts_at_once():
    matcher = matcher_of(agent(1, skills={"care": 2}), item(1, waited=9), queues=[STEPS])
    assert pairs(matcher) == []
    matcher.put_queue(replace(STEPS, steps=(step(0, {"care": 2}),), units=6, version=2))
    assert (pairs(matcher), matcher.agents[1].free) == ([(1, 1)], 6)


def test_agent_who_learns_a_skill_gets_what_waited_for_it():
    matcher = matcher_of(agent(1, skills={}), item(1))
    assert pairs(matcher) == []
    matcher.put_agent(agent(1))
    assert pairs(matcher) == [(1, 1)]


def test_claim_that_failed_can_be_put_back_while_deciding():
    matcher = matcher_of(agent(1, free=4, idle=9), agent(2, free=4), item(1), item(2))
    deciding = matcher.decide(NOW)
    failed = next(deciding)
    matcher.drop_agent(failed.agent)
    matcher.put_item(item(failed.item))
    assert [(d.item, d.agent) for d in deciding] == [(1, 2)]
    assert set(matcher.items) == {2}


def test_queue_may_change_while_deciding():
    agents = [agent(n, free=0, idle=n, skills={"care": n}) for n in (1, 2)]
    matcher = matcher_of(*agents, item(1, credit=10), item(2))
    assert pairs(matcher) == []
    for one in agents:
        matcher.put_agent(replace(one, free=4))
    deciding = matcher.decide(NOW)
    assert next(deciding).agent == 2
    matcher.put_queue(replace(CARE, steps=(step(0, {"care": 2}),), version=2))
    assert list(deciding) == []
    matcher.put_queue(CARE)
    assert pairs(matcher) == [(2, 1)]


def test_time_does_not_run_backwards():
    matcher = matcher_of(item(1))
    assert pairs(matcher) == []
    with pytest.raises(ValueError, match="Time"):
        pairs(matcher, NOW - 1)


def test_queue_in_which_waiting_costs_is_refused():
    with pytest.raises(ValueError, match="rate"):
        Matcher([replace(CARE, rate=-1)])


def test_only_the_latest_decision_can_be_explained():
    matcher = matcher_of(agent(1), item(1), item(2))
    first, second = matcher.decide(NOW)
    assert matcher.others(second) == ()
    with pytest.raises(ValueError, match="latest"):
        matcher.others(first)


@pytest.mark.parametrize("w_idle", [-1, 0, 1])
def test_runners_up_are_the_best_of_many(w_idle):
    fitting = queue(step(0, {"care": 1}), w_fit=7, w_idle=w_idle)
    agents = [agent(n, idle=n * 13 % 101, skills={"care": n % 5}) for n in range(1, 200)]
    waiting = item(1, not_to=dict.fromkeys(range(1, 200, 3), NOW - 5), last_agent=10)
    matcher = matcher_of(*agents, waiting, queues=[fitting])
    decision = next(matcher.decide(NOW))
    exact = explain(NOW, {1: fitting}, [waiting], agents, decision).others
    assert [(o.code, o.score) for o in matcher.others(decision)] == [(o.code, o.score) for o in exact]
    assert len(matcher.others(decision, most=3)) == 3


def test_who_declined_is_named_before_those_who_are_away():
    away = [agent(n, unavailable="paused: lunch") for n in range(2, 40)]
    matcher = matcher_of(*away, agent(1), agent(50), item(1, not_to={50: NOW - 3}))
    (decision,) = matcher.decide(NOW)
    assert [reason.code for reason in matcher.others(decision)] == ["refused", *["unavailable"] * 4]


def looked_at(*, waiting, people, monkeypatch):
    """How many pairs are compared in a crowd, when one agent frees and when one item arrives."""
    backlog, idle = queue(step(0, {"care": 1})), queue(step(0, {"sales": 1}), id=2)
    carers = (agent(n, free=0, skills={"care": 1 + n % 3}) for n in range(people))
    sellers = (agent(people + n, idle=n % 7, skills={"sales": 1 + n % 3}) for n in range(people))
    matcher = matcher_of(*carers, *sellers, queues=[backlog, idle])
    for n in range(waiting):
        matcher.put_item(item(n, waited=n % 97, credit=n % 4, not_to={1: NOW} if n % 10 == 5 else {}))
    assert pairs(matcher) == []
    compared, pair = [], Matcher._pair
    monkeypatch.setattr(Matcher, "_pair", lambda *args: compared.append(args) or pair(*args))
    matcher.put_agent(agent(1, free=4))
    assert len(pairs(matcher)) == 1
    matcher.put_item(item(waiting + 1, queue=2))
    assert len(pairs(matcher)) == 1
    monkeypatch.undo()
    return len(compared)


def test_crowd_is_not_looked_through(monkeypatch):
    small = looked_at(waiting=100, people=20, monkeypatch=monkeypatch)
    large = looked_at(waiting=2_000, people=500, monkeypatch=monkeypatch)
    assert 0 < large <= small + 2


def test_nothing_is_kept_of_what_is_gone():
    matcher = matcher_of(
        *(agent(n, skills={"care": n}) for n in range(1, 6)),
        *(item(n, credit=n, last_agent=n % 3) for n in range(20)),
        queues=[STICKY, replace(STEPS, id=2)],
    )
    for _ in islice(matcher.decide(NOW), 7):
        pass
    for number in list(matcher.items):
        matcher.drop_item(number)
    for number in list(matcher.agents):
        matcher.drop_agent(number)
    assert (pairs(matcher), matcher.next_event(NOW)) == ([], None)
    assert not matcher._crews.profiles
    assert not any(map(matcher._crews.with_room, {(4, 1)}))
    assert all(b.lanes == {None: {}} and not b.open_to for b in matcher._backlogs.values())


def test_it_decides_as_the_policy_in_a_larger_town():
    queues = {n: queue(step(0, {"care": n}), step(30, {"care": 1}), id=n, w_fit=n - 2) for n in (1, 2, 3)}
    agents = [agent(n, free=n % 9, idle=n * 7 % 60, skills={"care": 1 + n % 4}) for n in range(60)]
    items = [item(n, waited=n * 11 % 90, queue=1 + n % 3, credit=n % 2 * 30) for n in range(150)]
    matcher = matcher_of(*agents, *items, queues=queues.values())
    assert list(matcher.decide(NOW)) == decide(NOW, queues, items, agents)
