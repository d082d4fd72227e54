"""F39: the last one who may take something leaves. Nobody waits silently: on to where that leads, or told at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core import dispatch
from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.routing import listeners, lobby, staffing
from apps.routing.choices import Chosen, Otherwise
from apps.routing.models import Agent, AgentSkill, Item, Need, Offer, Queue, Step
from apps.routing.services import agents, leaving, overflow, world
from apps.users.services import people
from tests.factories import make_agent, make_calendar, make_conversation, make_inbox, make_queue, put_in_line
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


def sign_out(agent):
    agents.choose(agent.user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=agent.user)


def lose(agent):
    Agent.objects.filter(pk=agent.pk).update(present_until=timezone.now() - timedelta(seconds=1))
    leaving.release_lost(now=timezone.now())


def switch_off(agent):
    people.deactivate(agent.user, by=SYSTEM)


def leave_the_team(agent):
    people.set_teams(agent.user, teams=[], by=SYSTEM)


def lose_the_skill(agent):
    AgentSkill.objects.filter(agent=agent).delete()
    agents.skills_changed(agent, by=SYSTEM)


WAYS = [sign_out, lose, switch_off, leave_the_team, lose_the_skill]


@pytest.fixture
def other():
    """Where somebody is, and busy."""
    queue = make_queue()
    make_agent(queue.team, capacity=0)
    return queue


@pytest.fixture
def queue(other):
    """It sends on when nobody is left."""
    return make_queue([(0, {"cards": 2})], when_unstaffed=Otherwise.OVERFLOW, overflow_to=other)


@pytest.fixture
def last(queue):
    """The last one who may take something; a colleague without the skill stays."""
    make_agent(queue.team, skills={"cards": 1})
    return make_agent(queue.team, skills={"cards": 2}, capacity=0)


@pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
def test_f39_last_eligible_agent_leaves_and_the_line_goes_on(leave, queue, last, other):
    items = [put_in_line(queue, waited=waited) for waited in (30, 20)]
    dispatch.drain()
    assert {item.queue_id for item in Item.objects.all()} == {queue.pk}
    leave(last)
    dispatch.drain()
    moved = list(Item.objects.order_by("line_key"))
    assert [(item.pk, item.queue) for item in moved] == [(item.pk, other) for item in items]
    assert [item.at for item in moved] == [item.at for item in items], "at their old place"
    assert_in_order()


def test_f39_what_rang_at_him_goes_on_too(queue, other):
    agent = make_agent(queue.team, skills={"cards": 2})
    item = put_in_line(queue)
    dispatch.drain()
    assert Offer.objects.live().get().agent == agent
    sign_out(agent)
    dispatch.drain()
    assert Item.objects.get(pk=item.pk).queue == other


def test_f39_who_has_to_stay_is_told_at_once(monkeypatch):
    queue = make_queue()
    agent = make_agent(queue.team, capacity=0)
    item = put_in_line(queue)
    dispatch.drain()
    told = []
    monkeypatch.setattr(listeners, "publish_encoded", told.extend)
    sign_out(agent)
    dispatch.drain()
    event = Event.objects.get(type="routing.queue.left_alone")
    assert event.payload == {"queue": queue.pk, "waiting": 1}
    listeners.tell_who_waits_for_nobody(event)
    assert (f"conversation.{item.conversation_id}", '{"type":"queue.changed"}') in told
    assert lobby.wait_of(item.conversation_id, now=timezone.now())["is_staffed"] is False


def test_f39_a_callback_is_offered_where_nobody_is_left():
    queue = make_queue(when_unstaffed=Otherwise.CALLBACK)
    agent, item = make_agent(queue.team), put_in_line(queue)
    assert not lobby.wait_of(item.conversation_id, now=timezone.now())["offers_callback"]
    sign_out(agent)
    assert lobby.wait_of(item.conversation_id, now=timezone.now())["offers_callback"]


def test_f39_if_nobody_opens_at_once_when_the_last_one_leaves():
    queue = make_queue([(0, {"cards": 2}), (600, {}, True)])
    expert, beginner = make_agent(queue.team, skills={"cards": 2}, capacity=0), make_agent(queue.team)
    put_in_line(queue)
    dispatch.drain()
    assert not Offer.objects.exists()
    sign_out(expert)
    dispatch.drain()
    assert Offer.objects.get().agent == beginner


def test_while_a_colleague_is_left_nothing_happens(queue, last):
    make_agent(queue.team, skills={"cards": 3}, chosen=Chosen.NOT_READY)
    item = put_in_line(queue)
    sign_out(last)
    dispatch.drain()
    assert Item.objects.get(pk=item.pk).queue == queue
    assert not Event.objects.filter(type="routing.queue.left_alone").exists()


def test_an_empty_line_is_nobodys_trouble(queue, last):
    sign_out(last)
    dispatch.drain()
    assert not Event.objects.filter(type="routing.queue.left_alone").exists()


def test_the_sweep_finds_what_no_event_told(queue, last, other):
    item = put_in_line(queue)
    Agent.objects.filter(pk=last.pk).update(chosen=Chosen.SIGNED_OUT, present_until=None)
    overflow.sweep(now=timezone.now())
    assert Item.objects.get(pk=item.pk).queue == other


def test_new_contacts_go_straight_on(queue, other):
    assert put_in_line(queue).queue == other


def test_nothing_is_sent_where_nobody_is_either(queue, last, other):
    sign_out(Agent.objects.get(user__teams=other.team))
    item = put_in_line(queue)
    sign_out(last)
    dispatch.drain()
    assert Item.objects.get(pk=item.pk).queue == queue
    assert Event.objects.filter(type="routing.queue.left_alone", payload__queue=queue.pk).count() == 1


def test_a_queue_is_staffed_when_the_policy_would_ever_choose_somebody():
    """One query says the same as the steps themselves, for every mix of skills."""
    team = make_queue().team
    steps = [
        [],
        [(0, {"cards": 2})],
        [(0, {"cards": 5}), (60, {"de": 1})],
        [(0, {"cards": 1, "de": 3})],
        [(0, {})],
    ]
    queues = [make_queue(some, team=team) for some in steps]
    for skills in ({}, {"cards": 2}, {"de": 1}, {"cards": 1, "de": 3}, {"cards": 0, "de": 0}):
        agent = make_agent(team, skills=skills)
        named = make_queue(team=team)
        Need.objects.create(step=Step.objects.create(queue=named), agent=agent, level=1)
        _compare([*queues, named])
        Agent.objects.update(chosen=Chosen.SIGNED_OUT)
        _compare([*queues, named])


def _compare(queues):
    now = timezone.now()
    here = world.load_agents(now=now)
    plain = world.load_queues(queue.pk for queue in queues)
    expected = {
        queue.pk
        for queue in queues
        if any(step.accepts(who) for step in plain[queue.pk].steps for who in here)
    }
    assert {queue.pk for queue in queues if staffing.is_staffed(queue, now=now)} == expected
    lonely = staffing.unstaffed(Queue.objects.filter(pk__in=[q.pk for q in queues]), now=now)
    assert {queue.pk for queue in lonely} == {queue.pk for queue in queues} - expected


# Before it is in line


def test_a_closed_or_deserted_queue_says_so_before_the_customer_is_in_line():
    inbox = make_inbox(queue=make_queue(calendar=make_calendar(every=""), when_closed=Otherwise.CALLBACK))
    told = lobby.wait_of(make_conversation(inbox).pk, now=timezone.now())
    assert (told["state"], told["position"]) == ("waiting", None)
    assert (told["is_open"], told["is_staffed"], told["offers_callback"]) == (False, False, True)
