from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.routing.choices import Chosen, ItemState
from apps.routing.models import Agent, CalendarDay, Decision, Item, Offer
from apps.routing.models.hours import WEEKDAYS
from apps.routing.services import agents, clock, lease, offers, policies, router, work, world
from apps.routing.services.engine import Engine
from tests.factories import make_agent, make_calendar, make_queue, make_reason, make_team, put_in_line
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["without a memory", "with a memory"])
def run(request, monkeypatch):
    """Run either router, so many seconds from now; both must tell the same stories."""
    engines = []

    def with_memory(seconds=0):
        moment = timezone.now() + timedelta(seconds=seconds)
        monkeypatch.setattr(clock, "now", lambda: moment)
        held = lease.take("test")
        engines.append(engines[-1] if engines else Engine(held))
        engines[-1]._lease = held
        engines[-1].sweep()
        return engines[-1].work()[0]

    return with_memory if request.param == "with a memory" else run_once


def run_once(seconds=0):
    return router.run(now=timezone.now() + timedelta(seconds=seconds))


def rung():
    """Who is rung for what now: item id → agent id."""
    return dict(Offer.objects.live().values_list("item_id", "agent_id"))


def test_longest_waiting_goes_to_the_longest_idle(run):
    queue = make_queue(units=12)
    make_agent(queue.team, idle=5)
    idle = make_agent(queue.team, idle=50)
    put_in_line(queue, waited=5)
    oldest = put_in_line(queue, waited=50)
    assert run() == 2
    assert rung()[oldest.pk] == idle.pk
    assert_in_order()


def test_running_again_changes_nothing(run):
    queue = make_queue()
    make_agent(queue.team)
    put_in_line(queue)
    assert [run(), run()] == [1, 0]


def test_nothing_waits_costs_next_to_nothing(django_assert_max_num_queries):
    make_agent(make_queue().team)
    run_once()
    with django_assert_max_num_queries(5):
        assert run_once() == 0


def test_decision_is_stored_with_its_reasons_and_the_policy_it_used(run):
    queue = make_queue([(0, {"cards": 2})], w_fit=10)
    since = timezone.now() - timedelta(seconds=40)
    chosen = make_agent(queue.team, skills={"cards": 3}, free_since=since)
    behind = make_agent(queue.team, skills={"cards": 2}, free_since=since)
    stranger, novice = make_agent(make_team()), make_agent(queue.team)
    paused = make_agent(
        queue.team, skills={"cards": 2}, chosen=Chosen.NOT_READY, reason=make_reason("Lunch"), idle=1
    )
    item = put_in_line(queue, waited=43)
    run()
    decision = Decision.objects.get()
    assert (decision.item, decision.agent, decision.policy, decision.step) == (item, chosen, queue.version, 0)
    assert decision.score == sum(term[3] for term in decision.terms)
    assert [term[:1] + term[2:] for term in decision.terms if term[0] in ("credit", "fit", "last agent")] == [
        ["credit", 1, 0],
        ["fit", 10, 10],
        ["last agent", 0, 0],
    ]
    assert {agent: text for agent, _score, text in decision.others} == {
        behind.pk: "10 s behind: fit -10",
        paused.pk: "paused: Lunch",
        novice.pk: "cards 0 < 2",
        stranger.pk: "cards 0 < 2, not in the team",
    }
    assert decision.offer.agent == chosen


def test_time_of_a_refusal_is_told_as_a_time_of_day(run):
    queue = make_queue()
    first, second = make_agent(queue.team, idle=60), make_agent(queue.team, idle=5)
    item = put_in_line(queue)
    run()
    moment = timezone.now()
    offers.decline(rung_offer(item).pk, by=first.user, now=moment)
    run()
    decision = Decision.objects.latest("id")
    told = {agent: text for agent, _score, text in decision.others}
    assert decision.agent == second
    assert told == {first.pk: f"declined {timezone.localtime(moment):%H:%M:%S}"}


def rung_offer(item):
    return Offer.objects.live().get(item=item)


def test_steps_open_with_waiting(run):
    queue = make_queue([(0, {"cards": 3}), (20, {"cards": 1})])
    novice = make_agent(queue.team, skills={"cards": 1})
    item = put_in_line(queue, waited=10)
    assert run() == 0
    assert run(seconds=11) == 1
    assert rung() == {item.pk: novice.pk}


def test_step_for_nobody_opens_at_once_when_no_expert_is_signed_in(run):
    queue = make_queue([(0, {"cards": 3}), (60, {"cards": 1}, True)])
    novice = make_agent(queue.team, skills={"cards": 1})
    item = put_in_line(queue)
    assert run() == 1
    assert rung() == {item.pk: novice.pk}


def test_queue_without_steps_takes_its_team_and_nobody_else(run):
    queue = make_queue()
    make_agent(make_team())
    put_in_line(queue)
    assert run() == 0
    make_agent(queue.team)
    assert run() == 1


def test_capacity_is_filled_and_never_exceeded(run):
    queue = make_queue(units=5)
    agent = make_agent(queue.team, capacity=12)
    for _ in range(4):
        put_in_line(queue)
    assert run() == 2
    agent.refresh_from_db()
    assert agent.load == 10
    assert_in_order()


def test_who_declined_is_not_rung_again_while_somebody_else_may_take_it(run):
    queue = make_queue()
    first, second = make_agent(queue.team, idle=60), make_agent(queue.team, idle=5)
    item = put_in_line(queue)
    run()
    offers.decline(rung_offer(item).pk, by=first.user, now=timezone.now())
    run()
    assert rung() == {item.pk: second.pk}


def test_lone_agent_who_declined_has_his_rest_and_is_rung_again(run):
    queue = make_queue()
    agent = make_agent(queue.team)
    item = put_in_line(queue)
    run()
    offers.decline(rung_offer(item).pk, by=agent.user, now=timezone.now())
    assert [run(seconds) for seconds in (0, 5, 10)] == [0, 0, 0]
    rest = world.REFUSAL_REST_SECONDS
    # The first run after the rest forgets the refusal; it, or the next one, rings.
    assert run(rest + 1) + run(rest + 2) == 1


def test_everyone_declined_starts_a_new_round(run):
    queue = make_queue()
    people = {agent.pk: agent for agent in (make_agent(queue.team), make_agent(queue.team))}
    item = put_in_line(queue)
    for _ in people:
        run()
        offer = rung_offer(item)
        offers.decline(offer.pk, by=people[offer.agent_id].user, now=timezone.now())
    assert run() == 0
    assert run(world.REFUSAL_REST_SECONDS + 1) + run(world.REFUSAL_REST_SECONDS + 2) == 1
    assert Item.objects.get(pk=item.pk).not_to == {}


def test_refusal_during_the_run_is_not_forgotten(monkeypatch):
    queue = make_queue()
    agent = make_agent(queue.team)
    item = put_in_line(queue)
    old = int(timezone.now().timestamp()) - 100
    Item.objects.filter(pk=item.pk).update(not_to={str(agent.pk): [old, "declined"]})
    decide = router.policy.decide

    def decide_while_somebody_refuses(*seen):
        Item.objects.filter(pk=item.pk).update(epoch=7, not_to={"99": [old, "declined"]})
        return decide(*seen)

    monkeypatch.setattr(router.policy, "decide", decide_while_somebody_refuses)
    run_once()
    assert Item.objects.get(pk=item.pk).not_to == {"99": [old, "declined"]}


def test_refused_heads_do_not_hide_the_rest_of_the_line(run):
    queue = make_queue()
    agent, busy = make_agent(queue.team, idle=60), make_agent(queue.team, load=12)
    for _ in range(3):
        refused = put_in_line(queue, waited=90)
        just_now = [int(timezone.now().timestamp()), "declined"]
        Item.objects.filter(pk=refused.pk).update(not_to={str(agent.pk): just_now})
    fresh = put_in_line(queue)
    assert run() == 1
    assert rung() == {fresh.pk: agent.pk}
    assert busy.pk not in rung().values()


def test_young_with_a_head_start_do_not_hide_old_ones_whose_step_is_open(run):
    queue = make_queue([(0, {"cards": 5}), (60, {"cards": 1})])
    make_agent(queue.team, skills={"cards": 5}, load=12)
    novice = make_agent(queue.team, skills={"cards": 1}, capacity=4)
    for _ in range(3):
        put_in_line(queue, waited=1, credit=900)
    old = put_in_line(queue, waited=90)
    assert run() == 1
    assert rung() == {old.pk: novice.pk}


def test_customer_far_behind_gets_the_agent_he_knows(run):
    queue = make_queue(w_last=10_000, units=12)
    knows = make_agent(queue.team)
    for _ in range(3):
        put_in_line(queue, waited=60)
    behind = put_in_line(queue)
    Item.objects.filter(pk=behind.pk).update(last_agent=knows)
    run()
    assert rung() == {behind.pk: knows.pk}


def test_item_moved_between_deciding_and_offering_is_offered_to_nobody(monkeypatch):
    queue, other = make_queue(), make_queue()
    agent = make_agent(queue.team)
    item = put_in_line(queue)
    decide = router.policy.decide

    def decide_while_it_moves(*seen):
        decisions = decide(*seen)
        work.transfer_to_queue(item.conversation_id, to=other, by=SYSTEM, now=timezone.now())
        return decisions

    monkeypatch.setattr(router.policy, "decide", decide_while_it_moves)
    assert run_once() == 0
    agent.refresh_from_db()
    assert (agent.load, Decision.objects.count()) == (0, 0)
    assert_in_order()


def test_agent_who_returns_after_not_responding_is_rung_again(run):
    queue = make_queue()
    agent = make_agent(queue.team)
    put_in_line(queue)
    Agent.objects.filter(pk=agent.pk).update(is_not_responding=True)
    assert run() == 0
    agents.choose(agent.user, chosen=Chosen.AVAILABLE, now=timezone.now(), by=agent.user)
    assert run() == 1


def test_many_offers_cost_as_many_queries_as_few(django_assert_max_num_queries):
    """One queue, one statement of each kind: the agents are locked for a moment, however many offers are made."""
    queue = make_queue()
    for _ in range(10):
        make_agent(queue.team)
    for _ in range(30):
        put_in_line(queue)
    # On PostgreSQL, two for each kind of row: its ids, then COPY.
    with django_assert_max_num_queries(45):
        assert run_once() == 30
    assert_in_order()


def test_new_policy_counts_for_what_waits(run):
    queue = make_queue([(0, {"cards": 5})])
    novice = make_agent(queue.team, skills={"cards": 1})
    item = put_in_line(queue)
    assert run() == 0
    draft = policies.draft_of(queue)
    wider = policies.PolicyDraft(steps=(policies.StepDraft(0, (("cards", 1),)),), levels=draft.levels)
    policies.save(queue, draft=wider, by=SYSTEM)
    assert run() == 1
    assert rung() == {item.pk: novice.pk}
    assert Decision.objects.get().policy == queue.version + 1
    assert Item.objects.get(pk=item.pk).state == ItemState.OFFERED


def test_nobody_is_rung_while_the_queue_is_closed_and_the_first_in_line_when_it_opens(run):
    """F38: the sweeps of the router find that it is open, and so does its timer."""
    now = timezone.now()
    opens = (now + timedelta(minutes=3)).replace(second=0, microsecond=0)
    calendar = make_calendar()
    CalendarDay.objects.create(calendar=calendar, date=opens, name="Today", ranges=f"{opens:%H:%M}-24:00")
    queue = make_queue(calendar=calendar)
    make_agent(queue.team, capacity=4, present_until=now + timedelta(hours=1))
    first, _second = put_in_line(queue, waited=90), put_in_line(queue, waited=30)
    assert run() == 0
    assert run((opens - now).total_seconds() + 1) == 1
    assert rung().keys() == {first.pk}


def test_closing_leaves_in_line_what_was_not_offered(run):
    calendar = make_calendar(every="00:00-24:00")
    queue = make_queue(calendar=calendar)
    assert run() == 0
    type(calendar).objects.update(**dict.fromkeys(WEEKDAYS, ""))
    make_agent(queue.team)
    put_in_line(queue)
    assert run() == 0
    type(calendar).objects.update(**dict.fromkeys(WEEKDAYS, "00:00-24:00"))
    assert run() == 1
