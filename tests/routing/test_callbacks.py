"""Callbacks: asked for by who waits, taken in turn, tried again, expired, cancelled; the place in line is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.messaging.choices import CloseReason, Status
from apps.messaging.errors import NotYourConversation
from apps.messaging.models import Message
from apps.messaging.services import conversations
from apps.routing import errors
from apps.routing.choices import CallbackState, CallbackWay, ItemState, Otherwise
from apps.routing.models import Callback, Item, Offer
from apps.routing.services import audit, callbacks, leaving, offers, router, work
from apps.users.errors import PhoneInvalid, PhoneNotDialled
from tests.factories import (
    hand_to,
    make_agent,
    make_conversation,
    make_inbox,
    make_queue,
    make_user,
    put_in_line,
    ring,
)
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db

NUMBER = "+4930901820"


@pytest.fixture
def queue():
    return make_queue(longest_wait_seconds=0, when_full=Otherwise.CALLBACK, callback_tries=2)


@pytest.fixture
def agent(queue):
    return make_agent(queue.team)


@pytest.fixture
def item(queue):
    return put_in_line(queue, waited=60)


def ask(item, *, way=CallbackWay.CALL, phone=NUMBER):
    return callbacks.request(
        item.conversation_id, way=way, phone=phone, by=item.conversation.customer, now=timezone.now()
    )


def fresh(row):
    return type(row).objects.get(pk=row.pk)


def told(item):
    return Message.objects.filter(conversation=item.conversation_id).latest("seq").body


def types(item):
    return list(
        Event.objects.filter(stream=item.conversation.stream, type__startswith="routing.callback")
        .order_by("id")
        .values_list("type", flat=True)
    )


# Asking


def test_a_number_is_kept_in_one_form_and_the_place_in_line_stays(item):
    callback = ask(item, phone=" +49 (30) 901820 ")
    assert (callback.phone, callback.state) == (NUMBER, CallbackState.REQUESTED)
    after = fresh(item)
    assert (after.at, after.line_key, after.state) == (item.at, item.line_key, ItemState.WAITING)
    assert after.conversation.is_left_message
    assert told(item) == f"We call you at {NUMBER} when it is your turn. You keep your place in line."
    assert types(item) == ["routing.callback.requested"]


@pytest.mark.parametrize(
    ("phone", "error"),
    [
        ("112", PhoneNotDialled),
        ("911", PhoneNotDialled),
        ("+49 900 1234567", PhoneNotDialled),
        ("+49 30 901820 ext. 5", PhoneInvalid),
        ("+4930901820\r\nInvite", PhoneInvalid),
        ("call me", PhoneInvalid),
        ("", errors.PhoneRequired),
        ("   ", errors.PhoneRequired),
    ],
)
def test_number_that_is_never_dialled_is_refused_and_nothing_changes(item, phone, error):
    with pytest.raises(error):
        ask(item, phone=phone)
    assert not Callback.objects.exists()
    assert not fresh(item.conversation).is_left_message


def test_who_wants_to_be_written_to_leaves_no_number(item):
    assert ask(item, way=CallbackWay.WRITE).phone == ""


def test_asking_again_changes_it_and_asking_the_same_is_nothing(item):
    first, same = ask(item), ask(item)
    other = ask(item, way=CallbackWay.WRITE)
    assert first.pk == same.pk == other.pk
    assert (fresh(first).way, fresh(first).phone) == (CallbackWay.WRITE, "")
    assert types(item) == ["routing.callback.requested"] * 2


def test_not_offered_means_not_possible():
    item = put_in_line(make_queue())
    with pytest.raises(errors.CallbackNotOffered):
        ask(item)


def test_a_request_puts_into_line_whom_nobody_has_enqueued_yet(queue):
    conversation = make_conversation(make_inbox(queue=queue))
    callbacks.request(conversation.pk, way=CallbackWay.WRITE, by=conversation.customer, now=timezone.now())
    assert Item.objects.get().conversation == conversation


def test_who_talks_already_is_not_called_back(item, agent):
    hand_to(item, agent)
    with pytest.raises(errors.CallbackNotPossible):
        ask(item)


# In turn


def test_it_is_offered_in_turn_like_everybody_else(queue, item):
    agent = make_agent(queue.team, capacity=4)
    put_in_line(queue, waited=10)
    ask(item)
    router.run(now=timezone.now())
    assert Offer.objects.get().item == item
    assert agent.pk == Offer.objects.get().agent_id


def test_reached_ends_it_and_the_agent_keeps_the_conversation(item, agent):
    callback = ask(item)
    hand_to(item, agent)
    callbacks.reached(item.conversation_id, by=agent.user, now=timezone.now(), holder=agent.user)
    assert (fresh(callback).state, fresh(callback).tries) == (CallbackState.REACHED, 1)
    assert fresh(item).state == ItemState.ACTIVE
    assert types(item)[-1] == "routing.callback.reached"


def miss(item, agent, now=None):
    return callbacks.not_reached(
        item.conversation_id, by=agent.user, now=now or timezone.now(), holder=agent.user
    )


def test_not_reached_rests_until_the_next_try_at_the_old_place(queue, item, agent):
    callback = ask(item)
    hand_to(item, agent)
    now = timezone.now()
    miss(item, agent, now)
    rests = fresh(item)
    assert (rests.state, rests.agent, rests.at, rests.units) == (ItemState.RESTING, None, item.at, 0)
    assert fresh(callback).due_at == now + timedelta(minutes=queue.callback_retry_minutes)
    assert fresh(agent).load == 0
    assert fresh(item.conversation).status == Status.WAITING
    assert "will try again" in told(item)
    assert router.run(now=now) == 0, "nobody is rung for what rests"
    assert audit.violations(now=now) == []
    assert_in_order()


def test_rest_is_over_in_time_and_not_before(queue, item, agent):
    ask(item)
    hand_to(item, agent)
    now = timezone.now()
    miss(item, agent, now)
    assert callbacks.wake_due(now=now + timedelta(minutes=14)) == 0
    assert callbacks.wake_due(now=now + timedelta(minutes=15)) == 1
    assert callbacks.wake_due(now=now + timedelta(minutes=15)) == 0
    assert (fresh(item).state, fresh(item).at) == (ItemState.WAITING, item.at)
    assert types(item)[-2:] == ["routing.callback.missed", "routing.callback.due"]


def test_last_try_stays_with_the_agent_who_writes_or_closes(item, agent):
    callback = ask(item)
    hand_to(item, agent)
    miss(item, agent)
    callbacks.wake_due(now=timezone.now() + timedelta(hours=1))
    hand_to(fresh(item), fresh(agent))
    miss(item, agent)
    assert fresh(callback).state == CallbackState.NOT_REACHED
    assert fresh(item).state == ItemState.ACTIVE
    missed = Event.objects.filter(type="routing.callback.missed").order_by("id")
    assert [event.payload["is_last"] for event in missed] == [False, True]
    with pytest.raises(errors.NoCallback):
        miss(item, agent)


def test_only_who_has_it_says_how_it_went(queue, item, agent):
    ask(item)
    other = make_agent(queue.team)
    with pytest.raises(NotYourConversation):
        miss(item, other)
    hand_to(item, agent)
    with pytest.raises(NotYourConversation):
        miss(item, other)
    assert types(item) == ["routing.callback.requested"]


@pytest.mark.parametrize("how", ["decline", "lapse", "transfer", "lost", "rest"])
def test_the_place_in_line_is_kept_through(queue, item, agent, how):
    ask(item)
    now = timezone.now()
    if how == "decline":
        offers.decline(ring(item, agent).pk, by=agent.user, now=now)
    elif how == "lapse":
        ring(item, agent)
        offers.lapse_expired(now=now + timedelta(minutes=5))
    else:
        hand_to(item, agent)
        {
            "transfer": lambda: work.transfer_to_queue(
                item.conversation_id, to=queue, by=agent.user, now=now
            ),
            "lost": lambda: leaving.release_lost(now=now + timedelta(minutes=5)),
            "rest": lambda: miss(item, agent),
        }[how]()
    after = fresh(item)
    assert (after.at, after.line_key, after.agent) == (item.at, item.line_key, None)
    assert Callback.objects.open().get().conversation == item.conversation


# The end


def test_customer_cancels_and_goes_on_waiting(item, agent):
    callback = ask(item)
    hand_to(item, agent)
    miss(item, agent)
    callbacks.cancel(item.conversation_id, by=item.conversation.customer, now=timezone.now())
    assert fresh(callback).state == CallbackState.CANCELLED
    assert fresh(item).state == ItemState.WAITING
    with pytest.raises(errors.NoCallback):
        callbacks.cancel(item.conversation_id, by=item.conversation.customer, now=timezone.now())


def test_who_was_not_called_in_time_waits_on_as_a_message(item):
    callback = ask(item)
    assert callbacks.expire(now=callback.expires_at - timedelta(seconds=1)) == 0
    assert callbacks.expire(now=callback.expires_at) == 1
    assert callbacks.expire(now=callback.expires_at) == 0
    assert fresh(callback).state == CallbackState.EXPIRED
    assert fresh(item).state == ItemState.WAITING
    assert told(item).startswith("We did not manage to reach you in time.")


def test_who_is_being_called_does_not_expire(item, agent):
    callback = ask(item)
    hand_to(item, agent)
    assert callbacks.expire(now=callback.expires_at + timedelta(days=1)) == 0


@pytest.mark.parametrize(
    ("reason", "state"),
    [(CloseReason.ENDED_BY_CUSTOMER, CallbackState.CANCELLED), (CloseReason.RESOLVED, CallbackState.ENDED)],
)
def test_closing_the_conversation_ends_it(item, reason, state):
    callback = ask(item)
    conversations.close(item.conversation_id, by=SYSTEM, now=timezone.now(), reason=reason)
    for _ in range(2):
        callbacks.conversation_closed(item.conversation_id, now=timezone.now())
    assert fresh(callback).state == state
    assert len(types(item)) == 2


def test_who_was_written_to_was_reached(item, agent):
    callback = ask(item, way=CallbackWay.WRITE)
    hand_to(item, agent)
    conversations.close(item.conversation_id, by=agent.user, now=timezone.now())
    callbacks.conversation_closed(item.conversation_id, now=timezone.now())
    assert fresh(callback).state == CallbackState.REACHED


def test_closed_while_it_rests_is_over(item, agent):
    ask(item)
    hand_to(item, agent)
    miss(item, agent)
    conversations.close(item.conversation_id, by=SYSTEM, now=timezone.now())
    work.conversation_closed(item.conversation_id, now=timezone.now())
    assert fresh(item).state == ItemState.DONE
    assert_in_order()


def test_supervisor_gives_what_rests_to_somebody(queue, item, agent):
    ask(item)
    hand_to(item, agent)
    miss(item, agent)
    other = make_agent(queue.team)
    work.reassign(item.conversation_id, to=other.user, by=make_user(), now=timezone.now())
    assert (fresh(item).state, fresh(item).agent) == (ItemState.ACTIVE, other)
    assert_in_order()


def test_what_rests_for_nothing_is_woken(item, agent):
    callback = ask(item)
    hand_to(item, agent)
    miss(item, agent)
    Callback.objects.filter(pk=callback.pk).update(state=CallbackState.ENDED)
    assert callbacks.wake_due(now=timezone.now()) == 1
    assert fresh(item).state == ItemState.WAITING
