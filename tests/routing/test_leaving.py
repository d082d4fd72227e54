from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core import dispatch
from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.messaging.services import conversations
from apps.routing.choices import Chosen, ItemState, OfferState, State
from apps.routing.models import Agent
from apps.routing.services import agents, leaving, work
from apps.users.choices import Role
from apps.users.services import people, roles
from tests.factories import hand_to, make_agent, make_queue, make_user, put_in_line, ring
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    return make_queue(wrap_up_seconds=30)


@pytest.fixture
def agent(queue):
    return make_agent(queue.team)


def fresh(*rows):
    for row in rows:
        row.refresh_from_db()
    return rows


def lose(agent, *, since):
    """His heartbeat stopped: the lease was over `since` ago."""
    Agent.objects.filter(pk=agent.pk).update(present_until=timezone.now() - since)


def test_lost_agent_is_rung_no_more_but_keeps_his_work_for_a_while(queue, agent):
    ringing, active = ring(put_in_line(queue), agent), hand_to(put_in_line(queue, waited=60), agent)
    lose(agent, since=timedelta(seconds=1))
    assert leaving.release_lost(now=timezone.now()) == 1
    fresh(ringing, ringing.item, active, agent)
    assert (ringing.state, ringing.item.state, ringing.item.not_to) == (
        OfferState.CANCELLED,
        ItemState.WAITING,
        {},
    )
    assert (active.state, active.agent, agent.chosen) == (ItemState.ACTIVE, agent, Chosen.AVAILABLE)
    assert agent.intervals.get(ended_at=None).state == State.DISCONNECTED


def test_lost_agent_in_his_grace_is_looked_at_once(queue, agent):
    lose(agent, since=timedelta(seconds=1))
    assert [leaving.release_lost(now=timezone.now()) for _ in range(3)] == [1, 0, 0]


def test_after_the_grace_his_work_waits_at_its_old_place(queue, agent):
    active, wrapping = hand_to(put_in_line(queue, waited=60), agent), hand_to(put_in_line(queue), agent)
    conversations.close(wrapping.conversation_id, by=SYSTEM, now=timezone.now())
    work.conversation_closed(wrapping.conversation_id, now=timezone.now())
    at = active.at
    lose(agent, since=agents.GRACE)
    leaving.release_lost(now=timezone.now())
    fresh(active, wrapping, agent)
    assert (active.state, active.at, active.agent) == (ItemState.WAITING, at, None)
    assert (wrapping.state, agent.load, agent.chosen) == (ItemState.DONE, 0, Chosen.SIGNED_OUT)
    assert agent.intervals.get(ended_at=None).state == State.SIGNED_OUT
    assert_in_order()


def test_customer_is_told_that_his_agent_is_gone(queue, agent):
    active = hand_to(put_in_line(queue), agent)
    lose(agent, since=agents.GRACE)
    leaving.release_lost(now=timezone.now())
    assert "Your agent is gone" in active.conversation.messages.latest("seq").body


def test_who_is_back_in_time_loses_nothing(queue, agent):
    active = hand_to(put_in_line(queue), agent)
    lose(agent, since=timedelta(seconds=20))
    leaving.release_lost(now=timezone.now())
    agents.renew_leases([agent.user_id], now=timezone.now())
    assert leaving.release_lost(now=timezone.now()) == 0
    fresh(active)
    assert active.agent == agent
    assert agent.intervals.get(ended_at=None).state == State.ON_CONTACT


def test_lost_agent_whose_conversation_was_closed_meanwhile_holds_nothing(queue, agent):
    active = hand_to(put_in_line(queue), agent)
    conversations.close(active.conversation_id, by=SYSTEM, now=timezone.now())
    lose(agent, since=agents.GRACE)
    leaving.release_lost(now=timezone.now())
    fresh(active, agent)
    assert (active.state, agent.load) == (ItemState.DONE, 0)
    assert_in_order()


def test_switched_off_user_leaves_everything_at_once(queue, agent):
    ringing, active = ring(put_in_line(queue), agent), hand_to(put_in_line(queue), agent)
    people.deactivate(agent.user, by=SYSTEM)
    dispatch.drain()
    fresh(ringing, active, agent)
    assert (ringing.state, active.state, agent.load, agent.chosen) == (
        OfferState.CANCELLED,
        ItemState.WAITING,
        0,
        Chosen.SIGNED_OUT,
    )
    assert_in_order()


def test_user_without_a_role_leaves_everything(queue, agent):
    active = hand_to(put_in_line(queue), agent)
    roles.assign(agent.user, None, by=SYSTEM)
    dispatch.drain()
    fresh(active, agent)
    assert (active.state, agent.chosen) == (ItemState.WAITING, Chosen.SIGNED_OUT)


def test_promoted_agent_keeps_his_work(queue, agent):
    active = hand_to(put_in_line(queue), agent)
    roles.assign(agent.user, Role.SUPERVISOR, by=SYSTEM)
    dispatch.drain()
    fresh(active, agent)
    assert (active.agent, agent.chosen) == (agent, Chosen.AVAILABLE)


def test_who_leaves_a_team_leaves_its_work_and_keeps_the_rest(queue):
    other = make_queue()
    agent = make_agent(user=make_user(teams=[queue.team, other.team]))
    ringing, active = ring(put_in_line(queue), agent), hand_to(put_in_line(queue), agent)
    kept = hand_to(put_in_line(other), agent)
    people.set_teams(agent.user, teams=[other.team], by=SYSTEM)
    dispatch.drain()
    fresh(ringing, active, kept, agent)
    assert (ringing.state, active.state, kept.state) == (
        OfferState.CANCELLED,
        ItemState.WAITING,
        ItemState.ACTIVE,
    )
    assert (agent.load, agent.chosen) == (kept.units, Chosen.AVAILABLE)
    assert_in_order()


def test_who_is_back_in_the_team_before_it_was_noticed_keeps_his_work(queue, agent):
    active = hand_to(put_in_line(queue), agent)
    leaving.follow_teams(agent.user_id, removed=[queue.team_id], now=timezone.now())
    fresh(active)
    assert active.agent == agent


def test_people_who_are_no_agents_leave_nothing(queue):
    user = make_user(Role.SUPERVISOR)
    leaving.follow_teams(user.pk, removed=[queue.team_id], now=timezone.now())
    leaving.follow_user(user.pk, now=timezone.now())
    assert not Agent.objects.exists()


def test_forced_sign_out_is_told_once(queue, agent):
    active = hand_to(put_in_line(queue), agent)
    for _ in range(2):
        leaving.sign_out(agent.pk, reason="signed_out", by=SYSTEM, now=timezone.now())
    fresh(active)
    assert active.state == ItemState.WAITING
    told = Event.objects.filter(
        type="routing.presence.changed", stream=agent.stream, payload__state="signed_out"
    )
    assert told.count() == 1


def test_work_of_who_is_signed_out_is_found_however_it_got_there(queue, agent):
    active = hand_to(put_in_line(queue), agent)
    Agent.objects.filter(pk=agent.pk).update(chosen=Chosen.SIGNED_OUT, present_until=None)
    assert leaving.release_strays(now=timezone.now()) == 1
    fresh(active)
    assert active.state == ItemState.WAITING
    assert leaving.release_strays(now=timezone.now()) == 0
