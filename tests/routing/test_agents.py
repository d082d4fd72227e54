from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.routing import errors
from apps.routing.choices import Chosen, ItemState, OfferState, State
from apps.routing.models import Agent, PresenceInterval
from apps.routing.services import agents, offers
from tests.factories import hand_to, make_agent, make_queue, make_reason, make_user, put_in_line, ring
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


def states(agent):
    return list(agent.intervals.order_by("id").values_list("state", flat=True))


def presence_events(agent):
    rows = Event.objects.filter(type="routing.presence.changed", stream=agent.stream).order_by("id")
    return [(row.payload["state"], row.payload["chosen"]) for row in rows]


def test_agent_row_is_made_on_first_use_and_only_once():
    user = make_user()
    assert agents.of(user) == agents.of(user)
    assert Agent.objects.get().chosen == Chosen.SIGNED_OUT


def test_signing_in_starts_a_lease_and_an_interval():
    user, now = make_user(), timezone.now()
    agent = agents.choose(user, chosen=Chosen.AVAILABLE, now=now, by=user)
    assert agent.present_until == now + agents.LEASE
    assert presence_events(agent) == [(State.AVAILABLE, Chosen.AVAILABLE)]
    assert agents.state_of(agent, now=now) == State.AVAILABLE
    assert agents.state_of(agent, now=now + agents.LEASE) == State.DISCONNECTED


def test_being_not_ready_needs_a_reason_and_keeps_it():
    user, now = make_user(), timezone.now()
    with pytest.raises(errors.ReasonRequired):
        agents.choose(user, chosen=Chosen.NOT_READY, now=now, by=user)
    agent = agents.choose(user, chosen=Chosen.NOT_READY, reason=make_reason("Lunch"), now=now, by=user)
    interval = agent.intervals.get()
    assert (interval.state, interval.reason) == (State.NOT_READY, "Lunch")
    assert agents.choose(user, chosen=Chosen.AVAILABLE, now=now, by=user).reason is None


def test_another_reason_is_another_interval():
    user, now = make_user(), timezone.now()
    for second, name in enumerate(("Lunch", "Training", "Training")):
        moment = now + timedelta(seconds=second)
        agents.choose(user, chosen=Chosen.NOT_READY, reason=make_reason(name), now=moment, by=user)
    intervals = PresenceInterval.objects.order_by("id").values_list("reason", "started_at", "ended_at")
    second = timedelta(seconds=1)
    assert list(intervals) == [("Lunch", now, now + second), ("Training", now + second, None)]


def test_idle_time_begins_when_he_becomes_available():
    user, night = make_user(), timezone.now()
    agent = make_agent(user=user, chosen=Chosen.SIGNED_OUT, idle=40_000)
    assert agents.choose(user, chosen=Chosen.AVAILABLE, now=night, by=user).free_since == night
    again = agents.choose(user, chosen=Chosen.AVAILABLE, now=night + timedelta(seconds=9), by=user)
    assert again.free_since == night, "saying it twice makes him no less idle"
    assert agent.pk == again.pk


def test_state_follows_the_work_and_leaves_no_empty_intervals():
    queue = make_queue(wrap_up_seconds=30)
    agent = make_agent(queue.team)
    item = hand_to(put_in_line(queue), agent)
    assert states(agent) == [State.AVAILABLE, State.OFFERED, State.ON_CONTACT]
    assert item.state == ItemState.ACTIVE
    for before, after in zip(
        agent.intervals.order_by("id"), agent.intervals.order_by("id")[1:], strict=False
    ):
        assert before.started_at < before.ended_at == after.started_at


def test_interval_that_lasted_no_time_is_forgotten():
    queue, now = make_queue(), timezone.now()
    agent = make_agent(queue.team)
    offer = ring(put_in_line(queue), agent)
    started = agent.intervals.get(ended_at=None).started_at
    with transaction.atomic():
        locked = agents.lock(agent.pk)
        offers.cancel(offer, agent=locked, reason="test", by=SYSTEM, now=started)
        agents.restate(locked, now=started, by=SYSTEM)
    assert states(agent) == [State.AVAILABLE], "as if it had never rung"
    assert agent.intervals.get().ended_at is None
    assert now < started


def test_clock_that_runs_behind_makes_no_negative_interval():
    agent = make_agent(make_queue().team)
    early = agent.intervals.get().started_at - timedelta(seconds=5)
    agents.choose(agent.user, chosen=Chosen.NOT_READY, reason=make_reason(), now=early, by=agent.user)
    intervals = agent.intervals.all()
    assert all(row.ended_at is None or row.ended_at > row.started_at for row in intervals)
    assert intervals.get(ended_at=None).state == State.NOT_READY


def test_choice_during_a_contact_is_told_although_the_state_stays():
    queue = make_queue()
    agent = make_agent(queue.team)
    hand_to(put_in_line(queue), agent)
    agents.choose(
        agent.user, chosen=Chosen.NOT_READY, reason=make_reason(), now=timezone.now(), by=agent.user
    )
    assert presence_events(agent)[-1] == (State.ON_CONTACT, Chosen.NOT_READY)
    assert states(agent)[-1] == State.ON_CONTACT


@pytest.mark.parametrize("chosen", [Chosen.NOT_READY, Chosen.SIGNED_OUT])
def test_leaving_withdraws_what_rings_without_blame(chosen):
    queue = make_queue()
    agent = make_agent(queue.team)
    item = put_in_line(queue)
    offer = ring(item, agent)
    agents.choose(agent.user, chosen=chosen, reason=make_reason(), now=timezone.now(), by=agent.user)
    offer.refresh_from_db()
    item.refresh_from_db()
    agent.refresh_from_db()
    assert (offer.state, item.state, item.not_to, agent.load) == (
        OfferState.CANCELLED,
        ItemState.WAITING,
        {},
        0,
    )
    assert_in_order()


def test_signing_out_puts_his_work_back_in_line_at_its_old_place():
    queue = make_queue(wrap_up_seconds=30)
    agent = make_agent(queue.team)
    item = hand_to(put_in_line(queue, waited=60), agent)
    at = item.at
    agents.choose(agent.user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=agent.user)
    item.refresh_from_db()
    agent.refresh_from_db()
    assert (item.state, item.at, item.agent, item.last_agent, agent.load) == (
        ItemState.WAITING,
        at,
        None,
        agent,
        0,
    )
    assert states(agent)[-1] == State.SIGNED_OUT
    assert_in_order()


def test_going_on_break_keeps_the_work():
    queue = make_queue()
    agent = make_agent(queue.team)
    item = hand_to(put_in_line(queue), agent)
    agents.choose(
        agent.user, chosen=Chosen.NOT_READY, reason=make_reason(), now=timezone.now(), by=agent.user
    )
    item.refresh_from_db()
    assert (item.state, item.agent) == (ItemState.ACTIVE, agent)


def test_supervisor_pauses_an_agent_without_renewing_his_lease():
    queue = make_queue()
    agent = make_agent(queue.team)
    offer = ring(put_in_line(queue), agent)
    supervisor = make_user()
    paused = agents.set_not_ready(agent.pk, reason=make_reason("Meeting"), now=timezone.now(), by=supervisor)
    offer.refresh_from_db()
    assert (paused.chosen, paused.reason.name, offer.state) == (
        Chosen.NOT_READY,
        "Meeting",
        OfferState.CANCELLED,
    )
    assert paused.present_until == agent.present_until
    last = Event.objects.filter(type="routing.presence.changed").latest("id")
    assert last.actor == supervisor.actor_ref


def test_who_is_signed_out_cannot_be_paused():
    agent = make_agent(chosen=Chosen.SIGNED_OUT)
    with pytest.raises(errors.AgentNotThere):
        agents.set_not_ready(agent.pk, reason=make_reason(), now=timezone.now(), by=SYSTEM)


def test_heartbeats_renew_leases_of_those_signed_in_only():
    here, gone = make_agent(), make_agent(chosen=Chosen.SIGNED_OUT)
    later = timezone.now() + timedelta(seconds=10)
    assert agents.renew_leases([here.user_id, gone.user_id, 10**9], now=later) == 1
    here.refresh_from_db()
    gone.refresh_from_db()
    assert (here.present_until, gone.present_until) == (later + agents.LEASE, None)


def test_heartbeats_of_many_cost_a_constant_number_of_queries(django_assert_num_queries):
    users = [make_agent().user_id for _ in range(5)]
    with django_assert_num_queries(4):  # savepoint, lock, update, release
        agents.renew_leases(users, now=timezone.now())


def test_heartbeat_after_a_lost_connection_restates():
    agent = make_agent()
    later = timezone.now() + timedelta(minutes=1)
    with transaction.atomic():
        agents.restate(agents.lock(agent.pk), now=later, by=SYSTEM)
    agents.renew_leases([agent.user_id], now=later + timedelta(seconds=5))
    assert states(agent) == [State.AVAILABLE, State.DISCONNECTED, State.AVAILABLE]


def test_capacity_may_not_fall_below_what_he_holds():
    queue = make_queue(units=4)
    agent = make_agent(queue.team)
    hand_to(put_in_line(queue), agent)
    assert agents.set_capacity(agent.pk, capacity=4, by=SYSTEM).capacity == 4
    with pytest.raises(errors.CapacityTooLow) as caught:
        agents.set_capacity(agent.pk, capacity=3, by=SYSTEM)
    assert "4 units" in str(caught.value)


def test_database_itself_refuses_load_beyond_capacity():
    agent = make_agent()
    with pytest.raises(IntegrityError), transaction.atomic():
        Agent.objects.filter(pk=agent.pk).update(load=13)


def test_reserving_begins_idle_time_anew_so_that_the_next_one_goes_elsewhere():
    queue = make_queue()
    agent = make_agent(queue.team, idle=100)
    before = agent.free_since
    ring(put_in_line(queue), agent)
    agent.refresh_from_db()
    assert agent.free_since > before
    assert agent.load == queue.units
