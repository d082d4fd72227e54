from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from apps.routing.explain import AHEAD, BEHIND, CODES, LEVEL, Explainer, explain
from apps.routing.policy import consider, decide
from tests.routing.worlds import NOW, agent, item, queue, step, worlds

pytestmark = pytest.mark.embedded

CARDS = queue(
    step(0, {"de": 4, "cards": 3}),
    step(20, {"de": 2, "cards": 2}),
    step(60, {"de": 1}),
    w_fit=10,
    version=17,
)
CARE = queue(step(0, {"care": 1}))
ANA, BEN, EVA, LEO, MIA = 1, 2, 3, 4, 5


def clock(second):
    return f"10:{41 + (second - NOW + 53) // 60}:{(second - NOW + 53) % 60:02}"


def sentences(policy, waiting, agents):
    (decision, *_) = decide(NOW, {policy.id: policy}, [waiting], agents)
    why = explain(NOW, {policy.id: policy}, [waiting], agents, decision)
    return {reason.agent: reason.sentence() for reason in why.others}


def test_explanation_as_it_is_stored():
    skills = {"de": 3, "cards": 3}
    agents = [
        agent(ANA, idle=34, skills=skills),
        agent(BEN, idle=10, skills={"de": 3, "cards": 2}),
        agent(EVA, skills={"de": 4, "cards": 1}),
        agent(LEO, free=0, skills=skills),
        agent(MIA, skills=skills),
    ]
    waiting = item(8123, waited=43, credit=90, not_to={MIA: NOW - 3})
    (decision,) = decide(NOW, {1: CARDS}, [waiting], agents)
    stored = explain(NOW, {1: CARDS}, [waiting], agents, decision).as_json(clock)
    assert stored == {
        "item": 8123,
        "agent": ANA,
        "score": 187,
        "step": 1,
        "policy": 17,
        "at": "10:41:53",
        "terms": [
            ["waited", 43, 1, 43],
            ["credit", 90, 1, 90],
            ["fit", 2, 10, 20],
            ["idle", 34, 1, 34],
            ["last agent", 0, 0, 0],
        ],
        "others": [
            [BEN, 153, "34 s behind: idle -24, fit -10"],
            [EVA, None, "cards 1 < 2, opens in 17 s"],
            [LEO, None, "busy: 12 of 12 units"],
            [MIA, None, "declined 10:41:50"],
        ],
    }
    assert json.loads(json.dumps(stored)) == stored


def test_times_stay_numbers_without_a_clock():
    agents = [agent(ANA), agent(MIA)]
    waiting = item(1, not_to={MIA: NOW - 3})
    (decision,) = decide(NOW, {1: CARE}, [waiting], agents)
    stored = explain(NOW, {1: CARE}, [waiting], agents, decision).as_json()
    assert (stored["at"], stored["others"]) == (NOW, [[MIA, None, f"declined {NOW - 3}"]])


def test_agents_who_can_take_nothing_are_named_with_their_reason():
    agents = [agent(1), agent(2, unavailable="paused: lunch"), agent(3, signed_in=False), agent(4, skills={})]
    assert sentences(CARE, item(1), agents) == {2: "paused: lunch", 3: "signed out", 4: "care 0 < 1"}


def test_lasting_obstacle_is_named_before_a_passing_one():
    agents = [agent(1), agent(2, skills={}, unavailable="paused: lunch"), agent(3, free=0)]
    assert sentences(CARE, item(1, not_to={3: 7}), agents) == {2: "care 0 < 1", 3: "declined 7"}


@pytest.mark.parametrize(
    ("how", "words"),
    [("declined", "declined 7"), ("lapsed", "did not answer 7"), ("had_it", "had it until 7")],
)
def test_nobody_is_said_to_have_declined_who_did_not(how, words):
    assert sentences(CARE, item(1, not_to={3: 7}, how=how), [agent(1), agent(3)]) == {3: words}


def test_every_missing_skill_of_the_widest_open_step_is_named():
    agents = [agent(1, skills={"de": 5, "cards": 5}), agent(2, skills={"de": 1, "cards": 0})]
    assert sentences(CARDS, item(1, waited=20), agents) == {2: "de 1 < 2, cards 0 < 2, opens in 40 s"}


def test_item_kept_for_one_agent_says_so():
    preferred = queue(step(0, {"agent:42": 1}), step(30, {"care": 1}, if_nobody=True))
    assert sentences(preferred, item(1), [agent(42), agent(7)]) == {
        7: "kept for another agent, opens in 30 s",
    }


def test_who_is_not_in_the_team_of_the_queue_is_told_so():
    members = queue(step(0, {"care": 1, "team:5": 1}))
    agents = [agent(1, skills={"care": 1, "team:5": 1}), agent(2), agent(3, skills={})]
    assert sentences(members, item(1), agents) == {2: "not in the team", 3: "care 0 < 1, not in the team"}


def test_step_opened_because_nobody_is_there_is_not_announced_as_closed():
    preferred = queue(step(0, {"agent:42": 1}), step(30, {"care": 1}, if_nobody=True))
    assert sentences(preferred, item(1), [agent(7, idle=9), agent(8)]) == {8: "9 s behind: idle -9"}


def test_what_speaks_for_the_other_agent_is_shown_too():
    sticky = queue(step(0, {"care": 1}), w_last=120)
    agents = [agent(1), agent(2, idle=20)]
    assert sentences(sticky, item(1, last_agent=1), agents) == {2: "100 s behind: last agent -120, idle +20"}


def test_tie_is_explained_by_what_broke_it():
    blind = queue(step(0, {"care": 1}), w_idle=0)
    agents = [agent(1, idle=5), agent(2, idle=5), agent(3, idle=4)]
    assert sentences(blind, item(1), agents) == {
        2: "level, but a later number",
        3: "level, but idle for less time",
    }


def test_units_given_away_earlier_in_the_same_call_count_as_busy():
    agents, items = [agent(1, free=4, idle=9), agent(2)], [item(1, waited=9), item(2)]
    first, second = decide(NOW, {1: CARE}, items, agents)
    why = explain(NOW, {1: CARE}, items, agents, second, earlier=[first])
    assert [reason.sentence() for reason in why.others] == ["busy: 12 of 12 units"]


def test_choice_made_by_a_person_is_compared_honestly():
    agents, waiting = [agent(1, idle=5), agent(2), agent(3, skills={"care": 2}, idle=2)], item(1)
    fitting = queue(step(0, {"care": 1}), w_fit=1)
    by_hand = consider(fitting, waiting, agents[1], NOW)
    why = explain(NOW, {1: fitting}, [waiting], agents, by_hand)
    assert [(r.code, r.sentence()) for r in why.others] == [
        (AHEAD, "5 s ahead: idle +5"),
        (AHEAD, "3 s ahead: idle +2, fit +1"),
    ]


def test_choice_made_by_a_person_against_the_tie_rule_is_not_called_a_tie():
    agents, waiting = [agent(1), agent(2)], item(1)
    why = explain(NOW, {1: CARE}, [waiting], agents, consider(CARE, waiting, agents[1], NOW))
    assert [reason.sentence() for reason in why.others] == ["0 s ahead"]


def test_agent_with_just_enough_room_is_not_busy():
    agents = [agent(1, idle=9), agent(2, free=4), agent(3, free=3)]
    assert sentences(CARE, item(1), agents) == {2: "9 s behind: idle -9", 3: "busy: 9 of 12 units"}


def test_only_the_five_nearest_are_kept_scored_ones_first():
    scored = [agent(n, idle=n) for n in (1, 2, 3)]
    others = [agent(4, free=3), agent(5, signed_in=False), agent(6, skills={}), agent(7, free=1)]
    assert list(sentences(CARE, item(1), [*others, *scored])) == [2, 1, 4, 7, 6]


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_every_decision_is_explained_and_nobody_was_ahead(world):
    decisions = decide(*world)
    for number, decision in enumerate(decisions):
        why = explain(*world, decision, earlier=decisions[:number])
        assert len(why.others) == min(5, len(world.agents) - 1)
        for reason in why.others:
            assert reason.code in set(CODES) - {AHEAD}
            assert (reason.score is not None) == (reason.code in (LEVEL, BEHIND))
            assert reason.score is None or reason.score <= decision.score
            assert reason.sentence()


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_explaining_one_after_the_other_is_explaining_each_with_the_earlier_ones(world):
    decisions, explainer = decide(*world), Explainer(*world)
    for number, decision in enumerate(decisions):
        assert explainer.explain(decision) == explain(*world, decision, earlier=decisions[:number])
