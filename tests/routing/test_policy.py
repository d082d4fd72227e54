from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from apps.routing.policy import (
    Term,
    decide,
    effective_queue,
    everyone_declined,
    implicit_skills,
    next_opening,
    open_step,
    terms,
)
from tests.routing.worlds import NOW, agent, item, queue, step

pytestmark = pytest.mark.embedded

FIFO = queue(step(0, {"support": 1}))
BULLSEYE = queue(
    step(0, {"de": 4, "cards": 3}), step(20, {"de": 2, "cards": 2}), step(60, {"de": 1}), w_fit=10
)
PREFERRED = queue(step(0, {"agent:42": 1}), step(30, {"care": 1}, if_nobody=True))
BACKUP = queue(step(0, {"sales": 3}), step(30, {"sales": 1}))
GOLD = queue(step(0, {"care": 1}), rate=2)
SPARE = queue(step(0, {"care": 1}), w_fit=-15)
STICKY = queue(step(0, {"care": 1}), w_last=120)
STRICT = queue(step(0, {"care": 1}))
CARE = queue(step(0, {"care": 1}))


def pairs(items, agents, *queues, now=NOW):
    return [(d.item, d.agent) for d in decide(now, {q.id: q for q in queues}, items, agents)]


def test_fifo_gives_the_oldest_item_to_the_longest_idle_agent():
    agents = [agent(n, idle=idle, free=4, skills={"support": 1}) for n, idle in [(1, 5), (2, 50), (3, 20)]]
    items = [item(1, waited=10), item(2, waited=90), item(3, waited=40)]
    assert pairs(items, agents, FIFO) == [(2, 2), (3, 3), (1, 1)]


def test_fifo_leaves_out_agents_without_the_skill():
    assert pairs([item(1)], [agent(1, idle=900), agent(2, skills={"support": 1})], FIFO) == [(1, 2)]


@pytest.mark.parametrize(
    ("skills", "opened_at"),
    [({"de": 4, "cards": 3}, 0), ({"de": 4, "cards": 2}, 20), ({"de": 1}, 60), ({"cards": 5}, None)],
)
def test_bullseye_widens_ring_by_ring(skills, opened_at):
    agents = [agent(1, skills=skills)]
    waits = [w for w in (0, 19, 20, 59, 60, 9_000) if pairs([item(1, waited=w)], agents, BULLSEYE)]
    assert waits == [w for w in (0, 19, 20, 59, 60, 9_000) if opened_at is not None and w >= opened_at]


def test_bullseye_prefers_ten_seconds_of_idleness_per_level_of_fit():
    better = agent(1, skills={"de": 5, "cards": 3})
    assert pairs([item(1)], [better, agent(2, skills={"de": 4, "cards": 3}, idle=9)], BULLSEYE) == [(1, 1)]
    assert pairs([item(1)], [better, agent(2, skills={"de": 4, "cards": 3}, idle=11)], BULLSEYE) == [(1, 2)]


def test_preferred_waits_thirty_seconds_for_the_agent_it_names():
    busy, other = agent(42, free=0), agent(7)
    assert pairs([item(1, waited=29)], [busy, other], PREFERRED) == []
    assert pairs([item(1, waited=30)], [busy, other], PREFERRED) == [(1, 7)]
    assert pairs([item(1)], [agent(42), agent(7, idle=99)], PREFERRED) == [(1, 42)]


def test_preferred_waits_for_an_agent_who_is_only_paused():
    assert pairs([item(1)], [agent(42, unavailable="paused: lunch"), agent(7)], PREFERRED) == []


def test_preferred_does_not_wait_for_an_agent_who_is_not_there():
    assert pairs([item(1)], [agent(42, signed_in=False), agent(7)], PREFERRED) == [(1, 7)]
    assert pairs([item(1)], [agent(7)], PREFERRED) == [(1, 7)]


def test_backup_opens_after_thirty_seconds_even_if_the_experts_are_away():
    helper = agent(1, skills={"sales": 1})
    assert pairs([item(1, waited=29)], [helper], BACKUP) == []
    assert pairs([item(1, waited=30)], [helper], BACKUP) == [(1, 1)]


def test_gold_ages_twice_as_fast_and_vip_starts_ninety_seconds_ahead():
    plain = queue(step(0, {"care": 1}), id=2)
    one = [agent(1, free=4)]
    assert pairs([item(1, waited=31), item(2, waited=60, queue=2)], one, GOLD, plain) == [(1, 1)]
    assert pairs([item(1, waited=29), item(2, waited=60, queue=2)], one, GOLD, plain) == [(2, 1)]
    assert pairs([item(1, waited=0, credit=90), item(2, waited=44)], one, GOLD) == [(1, 1)]
    assert pairs([item(1, waited=0, credit=90), item(2, waited=46)], one, GOLD) == [(2, 1)]


def test_spare_keeps_the_experts_free():
    expert, novice = agent(1, skills={"care": 5}, idle=59), agent(2, skills={"care": 1})
    assert pairs([item(1)], [expert, novice], SPARE) == [(1, 2)]
    assert pairs([item(1)], [expert], SPARE) == [(1, 1)]


def test_sticky_returns_to_the_last_agent_unless_he_lags_by_two_minutes():
    last = agent(2)
    assert pairs([item(1, last_agent=2)], [agent(1, idle=119), last], STICKY) == [(1, 2)]
    assert pairs([item(1, last_agent=2)], [agent(1, idle=121), last], STICKY) == [(1, 1)]


def test_strict_goes_before_any_wait():
    items = [item(1, waited=900_000), item(2, credit=1_000_000)]
    assert pairs(items, [agent(1, free=4)], STRICT) == [(2, 1)]


def test_tie_goes_to_the_older_item_then_the_lower_item_id():
    one = [agent(1, free=4)]
    assert pairs([item(1, waited=5, credit=5), item(2, waited=10)], one, CARE) == [(2, 1)]
    assert pairs([item(2), item(1)], one, CARE) == [(1, 1)]


def test_tie_goes_to_the_longer_idle_agent_then_the_lower_agent_id():
    blind_to_idleness = queue(step(0, {"care": 1}), w_idle=0)
    assert pairs([item(1)], [agent(1, idle=5), agent(2, idle=6)], blind_to_idleness) == [(1, 2)]
    assert pairs([item(1)], [agent(2), agent(1)], CARE) == [(1, 1)]


def test_agent_takes_items_until_his_units_are_used():
    items = [item(1, waited=3), item(2, waited=2), item(3, waited=1), item(4)]
    assert pairs(items, [agent(1)], CARE) == [(1, 1), (2, 1), (3, 1)]


def test_small_item_passes_a_big_one_that_no_agent_has_room_for():
    call, mail = queue(step(0, {}), units=12), queue(step(0, {}), id=2, units=2)
    items = [item(1, waited=99), item(2, queue=2)]
    assert pairs(items, [agent(1, free=10)], call, mail) == [(2, 1)]


@pytest.mark.parametrize("why", [{"unavailable": "not responding"}, {"signed_in": False}, {"free": 3}])
def test_agent_who_can_take_nothing_gets_nothing(why):
    assert pairs([item(1)], [agent(1, **why)], CARE) == []


def test_agent_who_declined_is_passed_over():
    assert pairs([item(1, not_to={1: NOW - 5})], [agent(1, idle=99), agent(2)], CARE) == [(1, 2)]


def test_item_that_starts_waiting_later_is_not_decided_yet():
    assert pairs([item(1, waited=-1)], [agent(1)], CARE) == []
    assert pairs([item(1, waited=-1)], [agent(1)], PREFERRED) == []


def test_terms_add_up_to_the_score_and_name_the_step():
    ana = agent(1, skills={"de": 3, "cards": 3}, idle=34)
    vip = item(1, waited=43, credit=90)
    (decision,) = decide(NOW, {1: BULLSEYE}, [vip], [ana])
    assert (decision.score, decision.step) == (187, 1)
    assert decision.terms == terms(BULLSEYE, vip, ana, 1, NOW)
    assert decision.terms == (
        Term("waited", 43, 1),
        Term("credit", 90, 1),
        Term("fit", 2, 10),
        Term("idle", 34, 1),
        Term("last agent", 0, 0),
    )


def test_open_step_quotes_the_first_step_that_accepts():
    assert open_step(BULLSEYE, agent(1, skills={"de": 5, "cards": 5}), 100) == 0
    assert open_step(BULLSEYE, agent(1, skills={"de": 2, "cards": 2}), 100) == 1
    assert open_step(BULLSEYE, agent(1, skills={"de": 2, "cards": 2}), 19) is None


def test_every_agent_has_the_skill_of_being_himself():
    assert agent(42, skills={"agent:42": 0}).skills == implicit_skills(42) == {"agent:42": 1}


def test_effective_queue_opens_a_chain_of_steps_until_somebody_is_found():
    chain = queue(
        step(0, {"agent:42": 1}), step(30, {"vip": 1}, True), step(60, {"care": 1}, True), step(90, {}, True)
    )
    assert [s.after for s in effective_queue(chain, [agent(7)]).steps] == [0, 0, 0, 90]
    assert [s.after for s in effective_queue(chain, []).steps] == [0, 0, 0, 0]
    assert effective_queue(chain, [agent(42)]) == chain


def test_effective_queue_skips_a_plain_step_that_nobody_satisfies():
    skipping = queue(step(0, {"agent:42": 1}), step(30, {"vip": 1}), step(60, {"care": 1}, if_nobody=True))
    assert pairs([item(1)], [agent(7)], skipping) == [(1, 7)]
    assert pairs([item(1)], [agent(7), agent(8, skills={"vip": 1}, free=0)], skipping) == []


def test_next_opening_is_the_next_moment_worth_a_decision():
    waiting = item(1)
    moments = [next_opening(BULLSEYE, waiting, NOW + age) for age in (-1, 0, 19, 20, 59, 60)]
    assert moments == [NOW, NOW + 20, NOW + 20, NOW + 60, NOW + 60, None]


def test_everyone_declined_only_when_nobody_else_may_take_it():
    declined = item(1, not_to={1: NOW - 5})
    assert everyone_declined(CARE, declined, [agent(1)], NOW)
    assert everyone_declined(CARE, declined, [agent(1), agent(2, unavailable="paused: lunch")], NOW)
    assert everyone_declined(CARE, declined, [agent(1), agent(2, skills={})], NOW)
    assert not everyone_declined(CARE, declined, [agent(1), agent(2, free=0)], NOW)
    assert not everyone_declined(CARE, item(1), [agent(1)], NOW)
    assert not everyone_declined(CARE, declined, [], NOW)


def test_everyone_declined_respects_a_refusal_while_it_rests():
    declined = item(1, waited=60, not_to={1: NOW - 5, 2: NOW - 20})
    both = [agent(1), agent(2)]
    assert not everyone_declined(CARE, declined, both, NOW + 4, rest=10)
    assert everyone_declined(CARE, declined, both, NOW + 5, rest=10)


def test_everyone_declined_counts_agents_of_steps_opened_because_nobody_is_there():
    declined = item(1, not_to={7: NOW - 5})
    assert everyone_declined(PREFERRED, declined, [agent(7)], NOW)
    assert not everyone_declined(PREFERRED, declined, [agent(42), agent(7)], NOW)


def test_queue_refuses_steps_out_of_order():
    with pytest.raises(ValueError, match="ascending"):
        queue(step(30, {}), step(0, {}))


def test_policy_needs_neither_django_nor_a_clock():
    code = "import apps.routing.explain, sys; print({'django', 'random', 'datetime'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("free", "taken"),
    [(12, {"calls": 1}), (12, {"chats": 3}), (12, {"chats": 2, "mails": 2}), (8, {"chats": 2})],
)
def test_capacity_of_channels_is_told_in_units(free, taken):
    """One call, or three chats, or six e-mails, or what fits beside each other; whoever has less room takes less."""
    kinds = {"calls": 12, "chats": 4, "mails": 2}
    queues = {n: queue(step(0, {"care": 1}), id=n, units=kinds[kind]) for n, kind in enumerate(taken, 1)}
    waiting = [item(n * 10 + i, queue=n) for n, kind in enumerate(taken, 1) for i in range(taken[kind])]
    overflowing = [item(100 + n, queue=n) for n in queues]
    decided = decide(NOW, queues, [*waiting, *overflowing], [agent(1, free=free)])
    assert len([one for one in decided if one.item < 100]) == sum(taken.values())
    assert not [one for one in decided if one.item >= 100]
