from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.messaging.choices import Status
from apps.messaging.errors import NotYourConversation
from apps.messaging.services import conversations
from apps.routing import errors
from apps.routing.choices import Chosen, ItemState, OfferState, State
from apps.routing.models import Agent, Item, Offer
from apps.routing.services import agents, work
from apps.users.choices import Role
from tests.factories import (
    hand_to,
    make_agent,
    make_queue,
    make_team,
    make_user,
    put_in_line,
    ring,
)
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    return make_queue(wrap_up_seconds=30)


@pytest.fixture
def agent(queue):
    return make_agent(queue.team)


@pytest.fixture
def supervisor(queue):
    return make_user(Role.SUPERVISOR, teams=[queue.team])


def in_state(state, queue, agent):
    """An item in this state; the agent is rung for it or has it."""
    item = put_in_line(queue, waited=60)
    if state == ItemState.OFFERED:
        ring(item, agent)
    elif state != ItemState.WAITING:
        hand_to(item, agent)
    if state in (ItemState.WRAP_UP, ItemState.DONE):
        close(item)
    if state == ItemState.DONE:
        work.end_wrap_up(item.conversation_id, by=SYSTEM, now=timezone.now())
    return Item.objects.get(pk=item.pk)


def close(item):
    conversations.close(item.conversation_id, by=SYSTEM, now=timezone.now())
    work.conversation_closed(item.conversation_id, now=timezone.now())


def fresh(*rows):
    for row in rows:
        row.refresh_from_db()
    return rows


# The end


@pytest.mark.parametrize(
    ("state", "after", "load"),
    [
        (ItemState.WAITING, ItemState.DONE, 0),
        (ItemState.OFFERED, ItemState.DONE, 0),
        (ItemState.ACTIVE, ItemState.WRAP_UP, 4),
    ],
)
def test_closing_ends_the_item_from_every_state(queue, agent, state, after, load):
    item = in_state(state, queue, agent)
    close(item)
    fresh(item, agent)
    assert (item.state, agent.load) == (after, load)
    assert not Offer.objects.live().exists()
    assert_in_order()


def test_following_a_close_twice_changes_nothing(queue, agent):
    item = in_state(ItemState.ACTIVE, queue, agent)
    close(item)
    count = Event.objects.count()
    work.conversation_closed(item.conversation_id, now=timezone.now())
    assert Event.objects.count() == count


def test_closing_what_is_in_no_line_is_nothing():
    work.conversation_closed(10**9, now=timezone.now())


def test_without_wrap_up_the_agent_is_free_at_once(agent, queue):
    type(queue).objects.update(wrap_up_seconds=0)
    item = in_state(ItemState.ACTIVE, queue, agent)
    close(item)
    fresh(item, agent)
    assert (item.state, agent.load, item.agent) == (ItemState.DONE, 0, agent)
    assert agents.state_of(agent, now=timezone.now()) == State.AVAILABLE


def test_wrap_up_keeps_the_units_until_the_timer_ends_it(queue, agent):
    item = in_state(ItemState.WRAP_UP, queue, agent)
    now = timezone.now()
    assert agents.state_of(agent, now=now) == State.WRAP_UP
    assert work.end_wrap_ups(now=now) == 0
    later = now + timedelta(seconds=31)
    assert work.end_wrap_ups(now=later) == 1
    fresh(item, agent)
    assert (item.state, agent.load, agent.free_since) == (ItemState.DONE, 0, later)


def test_wrap_up_is_ended_by_hand_only_by_its_agent(queue, agent):
    item = in_state(ItemState.WRAP_UP, queue, agent)
    with pytest.raises(errors.NotInWrapUp):
        work.end_wrap_up(item.conversation_id, by=SYSTEM, now=timezone.now(), user=make_user())
    work.end_wrap_up(item.conversation_id, by=agent.user, now=timezone.now(), user=agent.user)
    fresh(item)
    assert item.state == ItemState.DONE


@pytest.mark.parametrize("state", [ItemState.WAITING, ItemState.OFFERED, ItemState.ACTIVE, ItemState.DONE])
def test_there_is_no_wrap_up_to_end_in_other_states(queue, agent, state):
    item = in_state(state, queue, agent)
    with pytest.raises(errors.NotInWrapUp):
        work.end_wrap_up(item.conversation_id, by=SYSTEM, now=timezone.now())


# Passed on to a queue


@pytest.mark.parametrize("state", [ItemState.WAITING, ItemState.OFFERED, ItemState.ACTIVE])
def test_transfer_to_a_queue_keeps_the_place_from_every_state(queue, agent, state):
    item, to = in_state(state, queue, agent), make_queue(rate=2)
    at, epoch = item.at, item.epoch
    work.transfer_to_queue(item.conversation_id, to=to, by=SYSTEM, now=timezone.now())
    fresh(item, agent, item.conversation)
    assert (item.state, item.queue, item.at, agent.load) == (ItemState.WAITING, to, at, 0)
    assert item.line_key == 2 * int(at.timestamp())
    assert (item.conversation.status, item.conversation.team) == (Status.WAITING, to.team)
    assert item.epoch > epoch, "whoever decided by the old queue is too late"
    assert_in_order()


@pytest.mark.parametrize("state", [ItemState.WRAP_UP, ItemState.DONE])
def test_what_is_over_cannot_be_passed_on(queue, agent, state):
    item = in_state(state, queue, agent)
    for move in (
        lambda: work.transfer_to_queue(item.conversation_id, to=make_queue(), by=SYSTEM, now=timezone.now()),
        lambda: work.transfer_to_agent(
            item.conversation_id, to=make_agent(queue.team).user, by=SYSTEM, now=timezone.now()
        ),
        lambda: work.reassign(
            item.conversation_id, to=make_agent(queue.team).user, by=SYSTEM, now=timezone.now()
        ),
    ):
        with pytest.raises(errors.NotInLine):
            move()
    assert_in_order()


def test_transfer_does_not_come_back_at_once_to_who_had_it(queue, agent):
    item = in_state(ItemState.ACTIVE, queue, agent)
    work.transfer_to_queue(item.conversation_id, to=queue, by=agent.user, now=timezone.now())
    fresh(item)
    assert [(agent, how) for agent, (_at, how) in item.not_to.items()] == [(str(agent.pk), "had_it")]
    assert item.last_agent == agent


def test_transfer_of_what_waits_blames_nobody_for_having_had_it_once(queue, agent):
    item = in_state(ItemState.ACTIVE, queue, agent)
    agents.choose(agent.user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=agent.user)
    work.transfer_to_queue(item.conversation_id, to=make_queue(), by=SYSTEM, now=timezone.now())
    fresh(item)
    assert item.not_to == {}


def test_queue_that_is_switched_off_takes_nothing(queue, agent):
    item = in_state(ItemState.WAITING, queue, agent)
    with pytest.raises(errors.QueueSwitchedOff):
        work.transfer_to_queue(
            item.conversation_id, to=make_queue(is_active=False), by=SYSTEM, now=timezone.now()
        )


def test_only_the_holder_passes_on_if_so_asked(queue, agent):
    item, other = in_state(ItemState.ACTIVE, queue, agent), make_agent(queue.team)
    for move, to in ((work.transfer_to_queue, queue), (work.transfer_to_agent, other.user)):
        with pytest.raises(NotYourConversation):
            move(item.conversation_id, to=to, by=other.user, now=timezone.now(), holder=other.user)
    work.transfer_to_queue(
        item.conversation_id, to=queue, by=agent.user, now=timezone.now(), holder=agent.user
    )


# Passed on to an agent


@pytest.mark.parametrize("state", [ItemState.WAITING, ItemState.OFFERED, ItemState.ACTIVE])
def test_transfer_to_an_agent_rings_him_from_every_state(queue, agent, state):
    item, other = in_state(state, queue, agent), make_agent(queue.team)
    work.transfer_to_agent(item.conversation_id, to=other.user, by=SYSTEM, now=timezone.now())
    fresh(item, agent, other)
    assert (item.state, agent.load, other.load) == (ItemState.OFFERED, 0, 4)
    offer = Offer.objects.live().get()
    assert (offer.agent, offer.decision, offer.epoch) == (other, None, item.epoch)
    assert_in_order()


def test_transfer_to_oneself_rings_again(queue, agent):
    item = in_state(ItemState.ACTIVE, queue, agent)
    work.transfer_to_agent(item.conversation_id, to=agent.user, by=agent.user, now=timezone.now())
    fresh(item, agent)
    assert (item.state, agent.load, item.not_to) == (ItemState.OFFERED, 4, {})
    assert_in_order()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"chosen": Chosen.SIGNED_OUT}, errors.AgentNotThere),
        ({"present_until": timezone.now() - timedelta(seconds=1)}, errors.AgentNotThere),
        ({"chosen": Chosen.NOT_READY}, errors.AgentNotAvailable),
        ({"is_not_responding": True}, errors.AgentNotAvailable),
        ({"load": 9}, errors.AgentAtCapacity),
    ],
)
def test_transfer_says_why_the_agent_cannot_be_rung_and_changes_nothing(queue, agent, changes, error):
    item, other = in_state(ItemState.ACTIVE, queue, agent), make_agent(queue.team)
    Agent.objects.filter(pk=other.pk).update(**changes)
    with pytest.raises(error):
        work.transfer_to_agent(item.conversation_id, to=other.user, by=SYSTEM, now=timezone.now())
    fresh(item, agent)
    assert (item.state, item.agent, agent.load) == (ItemState.ACTIVE, agent, 4)


def test_agent_of_another_team_gets_nothing(queue, agent):
    item, stranger = in_state(ItemState.ACTIVE, queue, agent), make_agent(make_team())
    for move in (work.transfer_to_agent, work.reassign):
        with pytest.raises(errors.AgentNotInTeam):
            move(item.conversation_id, to=stranger.user, by=SYSTEM, now=timezone.now())


# Given by a supervisor


@pytest.mark.parametrize("state", [ItemState.WAITING, ItemState.OFFERED, ItemState.ACTIVE])
@pytest.mark.parametrize("chosen", [Chosen.AVAILABLE, Chosen.NOT_READY])
def test_reassigning_works_from_every_state_even_to_who_is_paused(queue, agent, supervisor, state, chosen):
    item, other = in_state(state, queue, agent), make_agent(queue.team, chosen=chosen)
    at = item.at
    work.reassign(item.conversation_id, to=other.user, by=supervisor, now=timezone.now())
    fresh(item, agent, other, item.conversation)
    assert (item.state, item.agent, item.at, agent.load, other.load) == (ItemState.ACTIVE, other, at, 0, 4)
    assert item.conversation.agent == other.user
    assert not Offer.objects.live().exists()
    assert_in_order()


def test_reassigning_to_who_is_rung_for_it_is_no_double_booking(queue, agent, supervisor):
    item = in_state(ItemState.OFFERED, queue, agent)
    work.reassign(item.conversation_id, to=agent.user, by=supervisor, now=timezone.now())
    fresh(item, agent)
    assert (item.state, item.agent, agent.load) == (ItemState.ACTIVE, agent, 4)
    assert Offer.objects.get().state == OfferState.CANCELLED
    assert [row.state for row in agent.intervals.order_by("id")][-1] == State.ON_CONTACT
    assert_in_order()


def test_reassigning_to_who_has_it_changes_nothing(queue, agent, supervisor):
    item, before = in_state(ItemState.ACTIVE, queue, agent), Event.objects.count()
    work.reassign(item.conversation_id, to=agent.user, by=supervisor, now=timezone.now())
    assert Event.objects.count() == before
    assert Item.objects.get(pk=item.pk).epoch == item.epoch


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"chosen": Chosen.SIGNED_OUT}, errors.AgentNotThere),
        ({"present_until": timezone.now() - timedelta(seconds=1)}, errors.AgentNotThere),
        ({"load": 9}, errors.AgentAtCapacity),
    ],
)
def test_reassigning_to_who_cannot_have_it_changes_nothing(queue, agent, supervisor, changes, error):
    item, other = in_state(ItemState.ACTIVE, queue, agent), make_agent(queue.team)
    Agent.objects.filter(pk=other.pk).update(**changes)
    with pytest.raises(error):
        work.reassign(item.conversation_id, to=other.user, by=supervisor, now=timezone.now())
    fresh(item, agent)
    assert (item.state, item.agent, agent.load) == (ItemState.ACTIVE, agent, 4)


def test_taking_over_signs_the_supervisor_in_for_this_one(queue, agent, supervisor):
    item, now = in_state(ItemState.ACTIVE, queue, agent), timezone.now()
    work.take_over(item.conversation_id, by=supervisor, now=now)
    fresh(item, agent)
    himself = Agent.objects.get(user=supervisor)
    assert (item.agent, himself.chosen, himself.load, agent.load) == (himself, Chosen.NOT_READY, 4, 0)
    assert himself.present_until == now + agents.LEASE
    assert_in_order()


def test_taking_over_keeps_the_presence_of_who_is_there(queue, agent, supervisor):
    item = in_state(ItemState.OFFERED, queue, agent)
    himself = make_agent(user=supervisor)
    work.take_over(item.conversation_id, by=supervisor, now=timezone.now())
    fresh(himself)
    assert (himself.chosen, himself.load) == (Chosen.AVAILABLE, 4)


def test_taking_over_is_for_the_team(queue, agent):
    item, stranger = in_state(ItemState.ACTIVE, queue, agent), make_user(Role.SUPERVISOR)
    with pytest.raises(errors.AgentNotInTeam):
        work.take_over(item.conversation_id, by=stranger, now=timezone.now())
    assert Agent.objects.get(user=stranger).chosen == Chosen.SIGNED_OUT
