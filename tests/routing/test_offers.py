from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.messaging import errors as messaging_errors
from apps.messaging.choices import Sender, Status
from apps.messaging.models import Conversation
from apps.messaging.services import conversations
from apps.routing import errors
from apps.routing.choices import Chosen, ItemState, OfferState, State
from apps.routing.models import Agent, Item, Offer
from apps.routing.services import acceptance, agents, offers
from tests.factories import (
    hand_to,
    make_agent,
    make_message,
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
    return make_queue(units=4, offer_seconds=20)


@pytest.fixture
def agent(queue):
    return make_agent(queue.team, idle=60)


@pytest.fixture
def item(queue):
    return put_in_line(queue, waited=30)


def make_expired(offer):
    past = timezone.now() - timedelta(seconds=1)
    Offer.objects.filter(pk=offer.pk).update(expires_at=past)


def test_offer_reserves_units_and_has_the_lease_of_its_queue(queue, agent, item):
    offer = ring(item, agent)
    item.refresh_from_db()
    agent.refresh_from_db()
    assert (item.state, item.epoch, item.units, agent.load) == (ItemState.OFFERED, 1, 4, 4)
    assert offer.expires_at - offer.offered_at == timedelta(seconds=20)
    assert offer.epoch == item.epoch
    assert_in_order()


@pytest.mark.parametrize(
    "hindrance",
    [
        {"load": 9},
        {"chosen": Chosen.NOT_READY},
        {"chosen": Chosen.SIGNED_OUT},
        {"is_not_responding": True},
        {"present_until": timezone.now() - timedelta(seconds=1)},
    ],
    ids=lambda hindrance: next(iter(hindrance)),
)
def test_nothing_is_offered_to_who_cannot_take_it(agent, item, hindrance):
    Agent.objects.filter(pk=agent.pk).update(**hindrance)
    with transaction.atomic():
        assert offers.make(item, agent=agents.lock(agent.pk), now=timezone.now()) is None
    item.refresh_from_db()
    assert (item.state, item.epoch, Offer.objects.count()) == (ItemState.WAITING, 0, 0)


def test_nothing_is_offered_to_a_user_who_is_switched_off(agent, item):
    agent.user.is_active = False
    agent.user.save(update_fields=["is_active"])
    with transaction.atomic():
        assert offers.make(item, agent=agents.lock(agent.pk), now=timezone.now()) is None


def test_whoever_saw_an_older_epoch_offers_nothing_and_leaves_the_agent_as_he_was(agent, item):
    Item.objects.filter(pk=item.pk).update(epoch=5)
    with transaction.atomic():
        assert offers.make(item, agent=agents.lock(agent.pk), now=timezone.now()) is None
    before = agent.free_since
    agent.refresh_from_db()
    assert (agent.load, agent.free_since) == (0, before)


def test_database_itself_refuses_a_second_live_offer(queue, agent, item):
    offer = ring(item, agent)
    with pytest.raises(IntegrityError), transaction.atomic():
        Offer.objects.create(
            item=item,
            agent=make_agent(queue.team),
            epoch=9,
            units=4,
            offered_at=offer.offered_at,
            expires_at=offer.expires_at,
        )


def test_accepting_makes_the_conversation_his(agent, item):
    accepted = acceptance.accept(ring(item, agent).pk, by=agent.user, now=timezone.now())
    item.refresh_from_db()
    agent.refresh_from_db()
    conversation = item.conversation
    assert accepted.state == OfferState.ACCEPTED
    assert (item.state, item.agent, item.last_agent, item.epoch) == (ItemState.ACTIVE, agent, agent, 2)
    assert (conversation.status, conversation.agent, agent.load) == (Status.ACTIVE, agent.user, 4)
    assert item.answered_at is not None
    assert_in_order()


def test_time_of_the_first_answer_is_kept(queue, agent, item):
    first = hand_to(item, agent).answered_at
    agents.choose(agent.user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=agent.user)
    item.refresh_from_db()
    assert hand_to(item, make_agent(queue.team)).answered_at == first


def test_second_answer_loses(agent, item):
    offer = ring(item, agent)
    acceptance.accept(offer.pk, by=agent.user, now=timezone.now())
    for late in (acceptance.accept, offers.decline):
        with pytest.raises(errors.OfferAlreadyTaken):
            late(offer.pk, by=agent.user, now=timezone.now())
    assert_in_order()


def test_late_answer_loses_by_the_clock_of_the_database(agent, item):
    offer = ring(item, agent)
    make_expired(offer)
    with pytest.raises(errors.OfferExpired):
        acceptance.accept(offer.pk, by=agent.user, now=timezone.now() - timedelta(hours=1))
    item.refresh_from_db()
    assert item.state == ItemState.OFFERED, "the sweep ends it"


def test_answer_after_the_sweep_is_told_that_it_expired(agent, item):
    offer = ring(item, agent)
    make_expired(offer)
    assert offers.lapse_expired(now=timezone.now()) == 1
    with pytest.raises(errors.OfferExpired):
        acceptance.accept(offer.pk, by=agent.user, now=timezone.now())


def test_answer_after_a_withdrawal_is_told_so(agent, item):
    offer = ring(item, agent)
    agents.choose(agent.user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=agent.user)
    with pytest.raises(errors.OfferCancelledError):
        acceptance.accept(offer.pk, by=agent.user, now=timezone.now())


def test_older_epoch_loses(agent, item):
    offer = ring(item, agent)
    with pytest.raises(errors.OfferCancelledError):
        acceptance.accept(offer.pk, by=agent.user, now=timezone.now(), epoch=offer.epoch + 1)
    assert acceptance.accept(offer.pk, by=agent.user, now=timezone.now(), epoch=offer.epoch)


@pytest.mark.parametrize("answer", [acceptance.accept, offers.decline])
def test_offer_of_somebody_else_is_not_there(queue, agent, item, answer):
    offer = ring(item, agent)
    with pytest.raises(errors.OfferNotFound):
        answer(offer.pk, by=make_agent(queue.team).user, now=timezone.now())


def test_whoever_was_switched_off_a_moment_ago_takes_nothing(agent, item):
    offer = ring(item, agent)
    type(agent.user).objects.filter(pk=agent.user_id).update(is_active=False)
    with pytest.raises(errors.OfferCancelledError):
        acceptance.accept(offer.pk, by=agent.user, now=timezone.now())


def test_whoever_left_the_team_a_moment_ago_takes_nothing(agent, item):
    offer = ring(item, agent)
    agent.user.teams.set([make_team()])
    with pytest.raises(messaging_errors.ConversationNotWaiting):
        acceptance.accept(offer.pk, by=agent.user, now=timezone.now())
    offer.refresh_from_db()
    assert offer.state == OfferState.OFFERED


def test_closed_conversation_cannot_be_accepted(agent, item):
    offer = ring(item, agent)
    conversations.close(item.conversation_id, by=SYSTEM, now=timezone.now())
    with pytest.raises(messaging_errors.ConversationNotWaiting):
        acceptance.accept(offer.pk, by=agent.user, now=timezone.now())


def take(offer, user=None, **more):
    return acceptance.Take(offer.pk, user or offer.agent.user, timezone.now(), **more)


def ring_many(queue, how_many):
    return [ring(put_in_line(queue, waited=30), make_agent(queue.team)) for _ in range(how_many)]


def test_of_many_acceptances_each_is_judged_on_its_own(queue):
    good, expired, foreign, old, closed, moved, last = ring_many(queue, 7)
    make_expired(expired)
    conversations.close(closed.item.conversation_id, by=SYSTEM, now=timezone.now())
    moved.agent.user.teams.set([make_team()])
    results = acceptance.accept_many(
        [
            take(good),
            take(expired),
            take(foreign, user=good.agent.user),
            take(old, epoch=old.epoch + 1),
            take(closed),
            take(moved),
            take(last),
            take(last),
        ]
    )
    assert [result.pk if isinstance(result, Offer) else type(result) for result in results] == [
        good.pk,
        errors.OfferExpired,
        errors.OfferNotFound,
        errors.OfferCancelledError,
        messaging_errors.ConversationNotWaiting,
        messaging_errors.ConversationNotWaiting,
        last.pk,
        errors.OfferAlreadyTaken,
    ]
    for offer in (good, last):
        offer.item.refresh_from_db()
        assert (offer.item.state, offer.item.agent) == (ItemState.ACTIVE, offer.agent)
        assert offer.item.conversation.agent == offer.agent.user
        told = Event.objects.get(type="routing.offer.accepted", payload__offer=offer.pk)
        assert told.actor == offer.agent.user.actor_ref
    assert Offer.objects.live().count() == 5, "refused ones are as they were"
    assert Event.objects.filter(type="routing.offer.accepted").count() == 2


def test_two_offers_of_one_agent_are_accepted_together(queue):
    agent = make_agent(queue.team, capacity=8)
    both = [ring(put_in_line(queue, waited=30), agent) for _ in range(2)]
    results = acceptance.accept_many([take(offer) for offer in both])
    assert [result.state for result in results] == [OfferState.ACCEPTED] * 2
    agent.refresh_from_db()
    assert (agent.load, agents.state_of(agent, now=timezone.now())) == (8, State.ON_CONTACT)
    assert_in_order()


def test_whoever_accepts_is_announced_in_the_next_line_of_each_conversation(queue):
    both = ring_many(queue, 2)
    for offer in both:
        make_message(offer.item.conversation)
    acceptance.accept_many([take(offer) for offer in both])
    for offer in both:
        talk = Conversation.objects.get(item=offer.item_id)
        line = talk.messages.order_by("seq").last()
        assert (line.seq, line.sender, line.user) == (talk.last_seq, Sender.SYSTEM, None)
        assert line.body == f"{offer.agent.user.get_short_name()} is here to help."
        assert list(talk.messages.order_by("seq").values_list("seq", flat=True)) == [
            *range(1, talk.last_seq + 1)
        ]
        types = Event.objects.filter(stream=talk.stream).order_by("id").values_list("type", flat=True)
        assert list(types)[-3:] == [
            "messaging.conversation.assigned",
            "messaging.message.sent",
            "routing.offer.accepted",
        ]


def test_many_acceptances_cost_as_many_queries_as_few(queue):
    few, many = ring_many(queue, 4), ring_many(queue, 12)
    counts = []
    for offers_of_one_batch in (few, many):
        takes = [take(offer) for offer in offers_of_one_batch]
        with CaptureQueriesContext(connection) as captured:
            acceptance.accept_many(takes)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_declining_keeps_the_place_and_is_remembered(agent, item):
    now = timezone.now()
    offers.decline(ring(item, agent).pk, by=agent.user, now=now)
    before = item.at, item.line_key
    item.refresh_from_db()
    agent.refresh_from_db()
    assert (item.state, item.units, agent.load) == (ItemState.WAITING, 0, 0)
    assert (item.at, item.line_key) == before
    assert item.not_to == {str(agent.pk): [int(now.timestamp()), "declined"]}
    assert agents.state_of(agent, now=now) == State.AVAILABLE
    assert_in_order()


def test_offer_that_lapses_sets_the_agent_not_responding(agent, item):
    make_expired(ring(item, agent))
    now = timezone.now()
    assert offers.lapse_expired(now=now) == 1
    assert offers.lapse_expired(now=now) == 0
    agent.refresh_from_db()
    item.refresh_from_db()
    assert (agent.is_not_responding, agent.load, item.state) == (True, 0, ItemState.WAITING)
    assert item.not_to[str(agent.pk)][1] == "lapsed"
    assert agents.state_of(agent, now=now) == State.NOT_RESPONDING


def test_offer_within_its_time_does_not_lapse(agent, item):
    offer = ring(item, agent)
    assert offers.lapse_expired(now=offer.expires_at - timedelta(milliseconds=1)) == 0


@pytest.mark.parametrize("answer", [acceptance.accept, offers.decline])
def test_whoever_answers_responds_again(queue, agent, item, answer):
    other = ring(put_in_line(queue), agent)
    make_expired(ring(item, agent))
    offers.lapse_expired(now=timezone.now())
    answer(other.pk, by=agent.user, now=timezone.now())
    agent.refresh_from_db()
    assert not agent.is_not_responding


def test_everything_is_told_in_the_stream_of_the_conversation(agent, item):
    offers.decline(ring(item, agent).pk, by=agent.user, now=timezone.now())
    hand_to(Item.objects.get(pk=item.pk), agent)
    stream = Event.objects.filter(stream=item.conversation.stream, type__startswith="routing.").order_by("id")
    kinds = [event.type.removeprefix("routing.") for event in stream]
    assert kinds == ["item.enqueued", "offer.made", "offer.declined", "offer.made", "offer.accepted"]
    assert {event.payload["user"] for event in stream[1:]} == {agent.user_id}


def test_unknown_offer_is_not_there():
    with pytest.raises(errors.OfferNotFound):
        acceptance.accept(10**9, by=make_user(), now=timezone.now())
