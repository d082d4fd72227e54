"""Callbacks and opening hours over the API: what customers may ask for, and what agents say of it."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from apps.routing.choices import CallbackState, ItemState, Otherwise
from apps.routing.models import CalendarDay, Callback, Item
from apps.users.choices import Role
from apps.users.services import tokens
from tests.factories import (
    hand_to,
    make_agent,
    make_calendar,
    make_inbox,
    make_queue,
    make_user,
    make_visitor,
    put_in_line,
    ring,
)

pytestmark = pytest.mark.django_db
V1 = "/api/v1/"
NUMBER = "+442079460018"


@pytest.fixture(autouse=True)
def fresh_limits():
    cache.clear()


@pytest.fixture
def queue():
    return make_queue(longest_wait_seconds=0, when_full=Otherwise.CALLBACK)


@pytest.fixture
def item(queue):
    return put_in_line(queue, waited=60)


def visitor_of(item):
    _, token = make_visitor(item.conversation)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Visitor {token}")
    return client


def as_(user):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(user).access}")
    return client


def test_customer_asks_sees_changes_and_cancels(item):
    client = visitor_of(item)
    assert client.get(f"{V1}chat/wait/").json()["offers_callback"]
    answer = client.post(f"{V1}chat/callback/", {"way": "call", "phone": "+44 20 7946 0018"}, format="json")
    assert (answer.status_code, answer.json()) == (201, {"way": "call", "phone": NUMBER, "due_at": None})
    assert client.get(f"{V1}chat/wait/").json()["callback"]["phone"] == NUMBER
    answer = client.post(f"{V1}chat/callback/", {"way": "write"}, format="json")
    assert answer.json() == {"way": "write", "phone": "", "due_at": None}
    assert client.delete(f"{V1}chat/callback/").status_code == 204
    assert client.delete(f"{V1}chat/callback/").json()["code"] == "no_callback"
    assert client.get(f"{V1}chat/wait/").json()["callback"] is None


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"way": "call", "phone": "112"}, 400, "phone_not_dialled"),
        ({"way": "call", "phone": "+49 900 1234567"}, 400, "phone_not_dialled"),
        ({"way": "call", "phone": "letters"}, 400, "phone_invalid"),
        ({"way": "call"}, 400, "phone_required"),
        ({"way": "carrier pigeon"}, 400, "invalid_choice"),
        ({"way": "call", "phone": NUMBER, "when": "now"}, 400, "unknown_field"),
        ({}, 400, "required"),
    ],
)
def test_a_bad_wish_changes_nothing(item, wish, status, code):
    answer = visitor_of(item).post(f"{V1}chat/callback/", wish, format="json")
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert not Callback.objects.exists()


def test_not_offered_is_a_conflict():
    answer = visitor_of(put_in_line(make_queue())).post(
        f"{V1}chat/callback/", {"way": "write"}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "callback_not_offered")


def test_agent_sees_how_to_reach_the_customer_and_says_how_it_went(queue, item):
    agent = make_agent(queue.team)
    Callback.objects.create(conversation=item.conversation, way="call", phone=NUMBER)
    client = as_(agent.user)
    ring(item, agent)
    (offer,) = client.get(f"{V1}offers/").json()["results"]
    assert offer["callback"] == {"way": "call", "phone": NUMBER, "tries": 0}
    client.post(f"{V1}offers/{offer['id']}/accept/", {}, format="json")
    address = f"{V1}conversations/{item.conversation_id}/callback/"
    assert client.post(address, {"outcome": "perhaps"}, format="json").status_code == 400
    assert client.post(address, {"outcome": "not_reached"}, format="json").status_code == 204
    assert Item.objects.get(pk=item.pk).state == ItemState.RESTING
    (row,) = client.get(f"{V1}callbacks/", {"state": "requested"}).json()["results"]
    assert (row["tries"], row["queue"], row["phone"]) == (1, queue.name, NUMBER)
    assert row["due_at"] is not None


def test_supervisor_says_it_for_the_agent_and_another_agent_does_not(queue, item):
    agent, other = make_agent(queue.team), make_agent(queue.team)
    hand_to(item, agent)
    callback = Callback.objects.create(conversation=item.conversation, way="call", phone=NUMBER)
    address = f"{V1}conversations/{item.conversation_id}/callback/"
    wish = {"outcome": "reached"}
    assert as_(other.user).post(address, wish, format="json").json()["code"] == "not_your_conversation"
    boss = make_user(Role.SUPERVISOR, [queue.team])
    assert as_(boss).post(address, wish, format="json").status_code == 204
    callback.refresh_from_db()
    assert callback.state == CallbackState.REACHED


def test_other_teams_see_no_callback(item):
    callback = Callback.objects.create(conversation=item.conversation, way="write")
    stranger = as_(make_agent(make_queue().team).user)
    assert stranger.get(f"{V1}callbacks/").json()["results"] == []
    assert stranger.get(f"{V1}callbacks/{callback.pk}/").status_code == 404


def test_everybody_may_ask_when_it_is_open():
    calendar = make_calendar()
    CalendarDay.objects.create(calendar=calendar, date="2999-01-01", name="Far", ranges="08:00-09:00")
    inbox = make_inbox(queue=make_queue(calendar=calendar, when_closed=Otherwise.CALLBACK))
    known = APIClient().get(f"{V1}chat/{inbox.slug}/availability/").json()
    assert (known["is_open"], known["is_staffed"], known["offers_callback"]) == (False, False, True)
    assert (known["opens_at"], known["openings"]) == (None, [])


def test_full_queue_says_so_unless_it_sends_on():
    inbox = make_inbox(queue=make_queue(most_waiting=0))
    assert APIClient().get(f"{V1}chat/{inbox.slug}/availability/").json()["is_full"]
    other = make_queue()
    inbox = make_inbox(queue=make_queue(most_waiting=0, when_full=Otherwise.OVERFLOW, overflow_to=other))
    assert not APIClient().get(f"{V1}chat/{inbox.slug}/availability/").json()["is_full"]


def test_queues_tell_what_to_expect(queue, item):
    agent = make_agent(queue.team, capacity=4)
    hand_to(put_in_line(queue), agent)
    boss = as_(make_user(Role.SUPERVISOR, [queue.team]))
    (row,) = boss.get(f"{V1}queues/").json()["results"]
    assert row["waiting"] == 1
    assert 0 <= row["estimate"]["low_seconds"] < row["estimate"]["high_seconds"]
