"""Stories of one contact from the first message to the free agent, through the event log as in production."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core import dispatch, events
from apps.core.events import SYSTEM
from apps.core.models import Handling
from apps.messaging.choices import CloseReason, Status
from apps.messaging.services import conversations
from apps.routing import selectors, tasks
from apps.routing.choices import Chosen, ItemState, OfferState, State
from apps.routing.models import Agent, Item, Offer
from apps.routing.services import acceptance, agents, offers, router, work, world
from tests.factories import make_agent, make_conversation, make_inbox, make_queue, make_reason
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    return make_queue(wrap_up_seconds=30, offer_seconds=20)


@pytest.fixture
def inbox(queue):
    return make_inbox(queue=queue)


def start(inbox, *, minutes_ago=0):
    conversation = make_conversation(inbox, waited=minutes_ago * 60)
    follow()
    return conversation


def follow():
    """Everything that follows from what happened so far."""
    dispatch.drain()
    assert not Handling.objects.exists(), "no follow-up failed"


def item_of(conversation):
    return Item.objects.get(conversation=conversation)


def ringing_at(agent):
    return Offer.objects.live().filter(agent=agent).first()


def state_of(agent):
    return agents.state_of(Agent.objects.get(pk=agent.pk), now=timezone.now())


def accept(agent):
    acceptance.accept(ringing_at(agent).pk, by=agent.user, now=timezone.now())
    follow()


def decline(agent):
    offers.decline(ringing_at(agent).pk, by=agent.user, now=timezone.now())
    follow()


def let_lapse(agent):
    offers.lapse_expired(now=ringing_at(agent).expires_at)
    follow()


def test_from_the_first_message_to_the_free_agent(queue, inbox):
    agent = make_agent(queue.team)
    conversation = start(inbox)
    assert (item_of(conversation).state, state_of(agent)) == (ItemState.OFFERED, State.OFFERED)

    accept(agent)
    conversation.refresh_from_db()
    assert (conversation.agent, conversation.status, state_of(agent)) == (
        agent.user,
        Status.ACTIVE,
        State.ON_CONTACT,
    )

    conversations.close(conversation.pk, by=agent.user, now=timezone.now())
    follow()
    assert (item_of(conversation).state, state_of(agent)) == (ItemState.WRAP_UP, State.WRAP_UP)

    work.end_wrap_ups(now=timezone.now() + timedelta(seconds=31))
    follow()
    assert (item_of(conversation).state, state_of(agent)) == (ItemState.DONE, State.AVAILABLE)
    assert Agent.objects.get(pk=agent.pk).load == 0
    assert_in_order()


def test_agent_who_becomes_free_gets_the_next_one_without_any_sweep(queue, inbox):
    type(queue).objects.update(units=12, wrap_up_seconds=0)
    agent = make_agent(queue.team)
    first, second = start(inbox, minutes_ago=2), start(inbox)
    accept(agent)
    assert item_of(second).state == ItemState.WAITING
    conversations.close(first.pk, by=agent.user, now=timezone.now())
    follow()
    assert ringing_at(agent).item.conversation == second
    assert_in_order()


def test_agent_who_signs_in_finds_the_line(queue, inbox):
    conversation = start(inbox)
    agent = make_agent(queue.team, chosen=Chosen.SIGNED_OUT)
    agents.choose(agent.user, chosen=Chosen.AVAILABLE, now=timezone.now(), by=agent.user)
    follow()
    assert ringing_at(agent).item.conversation == conversation


def test_declined_rings_at_the_next_agent(queue, inbox):
    first, second = make_agent(queue.team, idle=60), make_agent(queue.team, idle=5)
    conversation = start(inbox)
    at = item_of(conversation).at
    decline(first)
    assert ringing_at(first) is None
    assert ringing_at(second).item.at == at
    assert_in_order()


def test_unanswered_rings_elsewhere_and_the_agent_has_to_come_back(queue, inbox):
    first, second = make_agent(queue.team, idle=60), make_agent(queue.team, idle=5)
    conversation = start(inbox)
    let_lapse(first)
    assert state_of(first) == State.NOT_RESPONDING
    assert ringing_at(second).item.conversation == conversation

    another = start(inbox)
    assert item_of(another).offers.live().get().agent == second, "whoever does not respond is not rung"
    agents.choose(first.user, chosen=Chosen.AVAILABLE, now=timezone.now(), by=first.user)
    follow()
    assert state_of(first) == State.AVAILABLE
    assert_in_order()


def test_everybody_declined_and_after_a_rest_it_rings_again(queue, inbox):
    people = [make_agent(queue.team, idle=60), make_agent(queue.team, idle=5)]
    conversation = start(inbox)
    for agent in people:
        decline(agent)
    assert item_of(conversation).state == ItemState.WAITING
    later = timezone.now() + timedelta(seconds=world.REFUSAL_REST_SECONDS + 1)
    agents.renew_leases([agent.user_id for agent in people], now=later)
    router.run(now=later)
    router.run(now=later + timedelta(seconds=1))
    assert item_of(conversation).state == ItemState.OFFERED


def test_lost_agent_is_replaced_and_after_the_grace_his_work_too(queue, inbox):
    lost = make_agent(queue.team, idle=60, capacity=8)
    active = start(inbox, minutes_ago=5)
    accept(lost)
    ringing = start(inbox)
    assert ringing_at(lost).item.conversation == ringing

    other = make_agent(queue.team)
    Agent.objects.filter(pk=lost.pk).update(present_until=timezone.now() - timedelta(seconds=1))
    tasks.tick()
    follow()
    assert ringing_at(other).item.conversation == ringing
    assert item_of(active).state == ItemState.ACTIVE, "he may come back"

    at = item_of(active).at
    Agent.objects.filter(pk=lost.pk).update(present_until=timezone.now() - agents.GRACE)
    tasks.tick()
    follow()
    assert (item_of(active).at, item_of(active).offers.live().get().agent) == (at, other)
    assert state_of(lost) == State.SIGNED_OUT
    assert_in_order()


def test_transfer_keeps_the_place_in_line(queue, inbox):
    agent, other_queue = make_agent(queue.team), make_queue()
    expert = make_agent(other_queue.team, capacity=4)
    fresh = start(make_inbox(queue=other_queue), minutes_ago=1)
    old = start(inbox, minutes_ago=9)
    accept(agent)
    decline(expert)
    at = item_of(old).at
    work.transfer_to_queue(old.pk, to=other_queue, by=agent.user, now=timezone.now(), holder=agent.user)
    assert [selectors.position(item_of(row)) for row in (old, fresh)] == [1, 2]
    follow()
    assert ringing_at(expert).item.conversation == old
    assert item_of(old).at == at
    assert_in_order()


def test_customer_who_leaves_stops_the_ringing(queue, inbox):
    agent = make_agent(queue.team)
    conversation = start(inbox)
    offer = ringing_at(agent)
    conversations.close(
        conversation.pk, by=conversation.customer, now=timezone.now(), reason=CloseReason.ENDED_BY_CUSTOMER
    )
    follow()
    offer.refresh_from_db()
    assert (offer.state, item_of(conversation).state) == (OfferState.CANCELLED, ItemState.DONE)
    assert state_of(agent) == State.AVAILABLE
    assert_in_order()


def test_customer_who_leaves_before_he_was_enqueued_is_never_in_line(queue, inbox):
    agent = make_agent(queue.team)
    conversation = make_conversation(inbox)
    conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
    follow()
    assert not Item.objects.exists()
    assert ringing_at(agent) is None
    assert_in_order()


def test_break_during_the_contact_begins_after_the_wrap_up(queue, inbox):
    agent = make_agent(queue.team)
    conversation = start(inbox)
    accept(agent)
    agents.choose(
        agent.user, chosen=Chosen.NOT_READY, reason=make_reason("Lunch"), now=timezone.now(), by=agent.user
    )
    waiting = start(inbox)
    assert item_of(waiting).state == ItemState.WAITING
    conversations.close(conversation.pk, by=agent.user, now=timezone.now())
    follow()
    work.end_wrap_up(conversation.pk, by=agent.user, now=timezone.now(), user=agent.user)
    follow()
    assert state_of(agent) == State.NOT_READY
    shown = agent.intervals.order_by("id").values_list("state", flat=True)
    assert list(shown) == [
        State.AVAILABLE,
        State.OFFERED,
        State.ON_CONTACT,
        State.WRAP_UP,
        State.NOT_READY,
    ]


def test_every_handler_may_run_twice(queue, inbox, monkeypatch):
    agent = make_agent(queue.team)
    run = dispatch._run

    def run_twice(handling_id, tries):
        handling = Handling.objects.select_related("event").get(pk=handling_id)
        events.handler_of(handling.event.type, handling.subscriber)(handling.event)
        run(handling_id, tries)

    monkeypatch.setattr(dispatch, "_run", run_twice)
    conversation = start(inbox)
    accept(agent)
    conversations.close(conversation.pk, by=agent.user, now=timezone.now())
    follow()
    assert item_of(conversation).state == ItemState.WRAP_UP
    assert Offer.objects.count() == 1
    assert_in_order()


def test_tick_heals_what_no_event_told(queue, inbox):
    agent = make_agent(queue.team)
    conversation = start(inbox)
    Handling.objects.all().delete()
    accepted = ringing_at(agent)
    acceptance.accept(accepted.pk, by=agent.user, now=timezone.now())
    missed = make_conversation(inbox)
    conversations.close(conversation.pk, by=agent.user, now=timezone.now())
    Handling.objects.all().delete()
    tasks.heal()
    tasks.tick()
    assert item_of(conversation).state == ItemState.WRAP_UP
    assert ringing_at(agent).item.conversation == missed
    assert_in_order()


def test_sweep_that_fails_keeps_no_other_from_its_work(queue, inbox, monkeypatch, caplog):
    agent = make_agent(queue.team)
    conversation = make_conversation(inbox)

    def broken(*, now):
        raise RuntimeError("no luck")

    monkeypatch.setattr(tasks, "_EVERY_SECOND", (broken, *tasks._EVERY_SECOND))
    tasks.heal()
    tasks.tick()
    assert ringing_at(agent).item.conversation == conversation
    assert "the sweep broken failed" in caplog.text
