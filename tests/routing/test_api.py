"""The routing part of the API: what each role sees and may do, and that bad input changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.test import APIClient

from apps.core.events import SYSTEM
from apps.messaging.services import conversations
from apps.routing.api import urls
from apps.routing.choices import Chosen, ItemState, OfferState
from apps.routing.models import Agent, Item, Offer
from apps.routing.services import agents, offers, router, work
from apps.users.choices import Role
from apps.users.services import tokens
from tests.factories import (
    hand_to,
    make_agent,
    make_conversation,
    make_inbox,
    make_queue,
    make_reason,
    make_team,
    make_user,
    make_visitor,
    put_in_line,
    ring,
)
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db
V1 = "/api/v1/"


@pytest.fixture(autouse=True)
def no_limits_left_over(settings):
    settings.REQUIRE_MFA = False
    cache.clear()
    yield
    cache.clear()


def as_(user):
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(user).access}")
    return api


def visitor_of(conversation):
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Visitor {make_visitor(conversation)[1]}")
    return api


@pytest.fixture
def queue():
    return make_queue([(0, {"cards": 3}), (20, {"cards": 1})], levels={"vip": 90}, wrap_up_seconds=30)


@pytest.fixture
def agent(queue):
    return make_agent(queue.team, skills={"cards": 3})


@pytest.fixture
def api(agent):
    return as_(agent.user)


@pytest.fixture
def colleague(queue):
    return make_agent(queue.team)


@pytest.fixture
def boss(queue):
    return as_(make_user(Role.SUPERVISOR, [queue.team]))


@pytest.fixture
def stranger():
    """AY: an agent of another team."""
    return as_(make_agent(make_team()).user)


@pytest.fixture
def admin():
    return as_(make_user(Role.ADMIN))


def rows(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def refused(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert set(body) == {"type", "code", "detail", "fields", "request_id"}


def address(item, what):
    return f"{V1}conversations/{item.conversation_id}/{what}/"


# Queues


def test_queues_show_their_line_and_their_people(queue, agent, colleague, api):
    agents.choose(
        colleague.user, chosen=Chosen.NOT_READY, reason=make_reason(), now=timezone.now(), by=colleague.user
    )
    put_in_line(queue, waited=60)
    ring(put_in_line(queue), agent)
    (row,) = rows(api.get(f"{V1}queues/"))
    figures = (row["waiting"], row["agents_signed_in"], row["agents_available"], row["team"], row["version"])
    assert figures == (2, 2, 1, queue.team_id, 1)
    assert 60 <= row["longest_wait_seconds"] < 90


def test_one_queue_shows_its_whole_policy(queue, api):
    row = api.get(f"{V1}queues/{queue.pk}/").json()
    assert row["steps"] == [
        {"after": 0, "if_nobody": False, "needs": [{"skill": "cards", "level": 3}]},
        {"after": 20, "if_nobody": False, "needs": [{"skill": "cards", "level": 1}]},
    ]
    assert row["levels"] == [{"name": "vip", "credit": 90}]
    assert (row["waiting"], row["longest_wait_seconds"], row["units"]) == (0, None, 4)


def test_queues_of_other_teams_are_not_there(queue, stranger, admin):
    assert rows(stranger.get(f"{V1}queues/")) == []
    refused(stranger.get(f"{V1}queues/{queue.pk}/"), 404, "not_found")
    assert [row["id"] for row in rows(admin.get(f"{V1}queues/"))] == [queue.pk]


def test_targets_of_a_transfer_are_all_queues_that_are_on_by_name_only(queue, stranger):
    make_queue(is_active=False)
    (row,) = rows(stranger.get(f"{V1}queues/targets/"))
    assert row == {"id": queue.pk, "name": queue.name, "team_name": queue.team.name}


@pytest.mark.parametrize("path", ["queues/", "queues/targets/", "agents/", "offers/", "not-ready-reasons/"])
def test_lists_ask_as_often_for_many_as_for_few(queue, agent, path):
    agent.user.groups.set(make_user(Role.SUPERVISOR).groups.all())
    Agent.objects.filter(pk=agent.pk).update(capacity=100)
    supervisor = as_(agent.user)

    def more():
        other = make_agent(queue.team, skills={"cards": 1, "de": 2})
        hand_to(put_in_line(queue), other)
        ring(put_in_line(queue), agent)
        put_in_line(make_queue(team=queue.team))
        make_reason(f"Reason {other.pk}")

    def count():
        with CaptureQueriesContext(connection) as captured:
            assert rows(supervisor.get(V1 + path))
        return len(captured)

    more()
    count()
    few = count()
    for _ in range(4):
        more()
    assert count() == few


# Presence


def test_presence_is_ones_own_to_see_and_to_set(api, agent):
    before = api.get(f"{V1}presence/").json()
    assert (before["user"], before["chosen"], before["state"]) == (agent.user_id, "available", "available")
    assert (before["skills"], before["teams"]) == ({"cards": 3}, [agent.user.teams.get().pk])
    reason = make_reason("Lunch")
    after = api.put(f"{V1}presence/", {"chosen": "not_ready", "reason": reason.pk}).json()
    assert (after["state"], after["reason"]) == ("not_ready", "Lunch")
    agent.refresh_from_db()
    assert (agent.chosen, agent.reason) == (Chosen.NOT_READY, reason)


def test_who_was_never_here_is_signed_out():
    assert as_(make_user()).get(f"{V1}presence/").json()["state"] == "signed_out"


def test_signing_out_returns_the_work(queue, api, agent):
    item = hand_to(put_in_line(queue), agent)
    assert api.put(f"{V1}presence/", {"chosen": "signed_out"}).json()["state"] == "signed_out"
    item.refresh_from_db()
    assert item.state == ItemState.WAITING
    assert_in_order()


def test_heartbeat_renews_the_lease(api, agent):
    Agent.objects.update(present_until=timezone.now() + timedelta(seconds=1))
    assert api.post(f"{V1}presence/heartbeat/").status_code == 204
    agent.refresh_from_db()
    assert agent.present_until > timezone.now() + timedelta(seconds=20)


def test_heartbeat_of_who_is_signed_out_is_refused(api):
    api.put(f"{V1}presence/", {"chosen": "signed_out"})
    refused(api.post(f"{V1}presence/heartbeat/"), 409, "agent_not_there")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "required"),
        ({"chosen": "not_ready"}, "reason_required"),
        ({"chosen": "not_ready", "reason": None}, "reason_required"),
        ({"chosen": "lost"}, "invalid_choice"),
        ({"chosen": True}, "invalid_choice"),
        ({"chosen": ["available"]}, "invalid_choice"),
        ({"chosen": "not_ready", "reason": "1"}, "incorrect_type"),
        ({"chosen": "not_ready", "reason": 10**9}, "does_not_exist"),
        ({"chosen": "not_ready", "reason": -1}, "does_not_exist"),
        ({"chosen": "available", "load": 0}, "unknown_field"),
        ({"chosen": "available", "capacity": 99}, "unknown_field"),
        ({"chosen": "available", "user": 1}, "unknown_field"),
    ],
)
def test_b08_b10_wrong_presence_changes_nothing(api, agent, body, code):
    refused(api.put(f"{V1}presence/", body), 400, code)
    agent.refresh_from_db()
    assert (agent.chosen, agent.capacity) == (Chosen.AVAILABLE, 12)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b'{"chosen":', b'{"chosen":"\\u0000"}', b"[" * 1000]
)
def test_b01_b03_b04_what_is_no_object_is_refused(api, body):
    answer = api.generic("PUT", f"{V1}presence/", body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert Agent.objects.get().chosen == Chosen.AVAILABLE


def test_reason_that_is_switched_off_cannot_be_chosen(api):
    reason = make_reason("Old")
    reason.is_active = False
    reason.save()
    refused(api.put(f"{V1}presence/", {"chosen": "not_ready", "reason": reason.pk}), 400, "does_not_exist")
    assert rows(api.get(f"{V1}not-ready-reasons/")) == []


# Agents, for supervisors


def test_supervisors_see_the_agents_of_their_teams(queue, agent, boss, admin, api):
    make_agent(make_team())
    hand_to(put_in_line(queue), agent)
    (row,) = rows(boss.get(f"{V1}agents/"))
    assert (row["user"], row["state"], row["load"], row["capacity"]) == (agent.user_id, "on_contact", 4, 12)
    assert len(rows(admin.get(f"{V1}agents/"))) == 2
    refused(api.get(f"{V1}agents/"), 403, "permission_denied")


def test_supervisors_set_capacity_in_their_teams_only(queue, agent, boss, api):
    own, foreign = f"{V1}agents/{agent.user_id}/", f"{V1}agents/{make_agent(make_team()).user_id}/"
    assert boss.patch(own, {"capacity": 8}).json()["capacity"] == 8
    assert boss.patch(own, {}).json()["capacity"] == 8
    refused(boss.patch(foreign, {"capacity": 8}), 404, "not_found")
    refused(api.patch(own, {"capacity": 99}), 403, "permission_denied")
    hand_to(put_in_line(queue), agent)
    refused(boss.patch(own, {"capacity": 3}), 409, "capacity_too_low")
    assert Agent.objects.get(pk=agent.pk).capacity == 8


@pytest.mark.parametrize("capacity", [-1, 1001, 10**30, "8", True, 8.0, None])
def test_b07_b08_capacity_is_a_number_in_its_bounds(agent, boss, capacity):
    answer = boss.patch(f"{V1}agents/{agent.user_id}/", {"capacity": capacity})
    assert answer.status_code == 400
    assert Agent.objects.get(pk=agent.pk).capacity == 12


def test_b10_nothing_else_of_an_agent_can_be_set(agent, boss):
    for field in ("load", "chosen", "user", "skills", "teams", "present_until", "state"):
        refused(boss.patch(f"{V1}agents/{agent.user_id}/", {field: 1}), 400, "unknown_field")


def test_supervisors_pause_and_sign_out(queue, agent, boss):
    item = hand_to(put_in_line(queue), agent)
    own = f"{V1}agents/{agent.user_id}/"
    paused = boss.post(f"{own}not-ready/", {"reason": make_reason("Meeting").pk}).json()
    assert (paused["chosen"], paused["state"]) == ("not_ready", "on_contact")
    access = as_(agent.user)
    assert boss.post(f"{own}sign-out/").json()["state"] == "signed_out"
    assert access.get(f"{V1}presence/").status_code == 401
    item.refresh_from_db()
    assert item.state == ItemState.WAITING
    refused(boss.post(f"{own}not-ready/", {"reason": make_reason().pk}), 409, "agent_not_there")
    assert_in_order()


def test_z12_nobody_manages_people_above_himself(queue, boss):
    chief = make_agent(user=make_user(Role.ADMIN, teams=[queue.team]))
    own = f"{V1}agents/{chief.user_id}/"
    for answer in (
        boss.patch(own, {"capacity": 1}),
        boss.post(f"{own}sign-out/"),
        boss.post(f"{own}not-ready/", {"reason": make_reason().pk}),
    ):
        refused(answer, 403, "above_your_role")
    chief.refresh_from_db()
    assert (chief.capacity, chief.chosen) == (12, Chosen.AVAILABLE)


# Offers


def test_offers_are_ones_own_live_ones(queue, agent, colleague, api):
    item = put_in_line(queue, waited=9)
    router.run(now=timezone.now())
    ring(put_in_line(queue), colleague)
    (row,) = rows(api.get(f"{V1}offers/"))
    assert (row["conversation"], row["state"], row["epoch"]) == (item.conversation_id, "offered", 1)
    assert [term[0] for term in row["why"]] == ["waited", "credit", "fit", "idle", "last agent"]


def test_accepting_over_the_api(queue, agent, api):
    offer = ring(put_in_line(queue), agent)
    answer = api.post(f"{V1}offers/{offer.pk}/accept/", {"epoch": offer.epoch})
    assert (answer.status_code, answer.json()["state"]) == (200, "accepted")
    refused(api.post(f"{V1}offers/{offer.pk}/accept/", {}), 409, "already_taken")
    assert rows(api.get(f"{V1}offers/")) == []
    assert_in_order()


def test_declining_over_the_api(queue, agent, api):
    offer = ring(put_in_line(queue), agent)
    assert api.post(f"{V1}offers/{offer.pk}/decline/").json()["state"] == "declined"
    refused(api.post(f"{V1}offers/{offer.pk}/decline/"), 409, "already_taken")


def test_late_answers_are_told_why(queue, agent, api):
    expired = ring(put_in_line(queue), agent)
    Offer.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    refused(api.post(f"{V1}offers/{expired.pk}/accept/", {}), 409, "offer_expired")
    withdrawn = ring(put_in_line(queue), agent)
    conversations.close(withdrawn.item.conversation_id, by=SYSTEM, now=timezone.now())
    work.conversation_closed(withdrawn.item.conversation_id, now=timezone.now())
    refused(api.post(f"{V1}offers/{withdrawn.pk}/accept/", {}), 409, "offer_cancelled")


def test_offers_of_others_are_not_there(queue, agent, colleague, stranger, boss, admin):
    offer = ring(put_in_line(queue), agent)
    for other in (as_(colleague.user), stranger, boss, admin):
        for answer in ("accept", "decline"):
            refused(other.post(f"{V1}offers/{offer.pk}/{answer}/", {}), 404, "not_found")
        refused(other.get(f"{V1}offers/{offer.pk}/"), 404, "not_found")
    offer.refresh_from_db()
    assert offer.state == OfferState.OFFERED


@pytest.mark.parametrize("pk", ["0", "999999999999999999", "9" * 30, "9" * 5000, "-1", "abc", "%00", "1.0"])
def test_b07_numbers_of_offers_and_conversations_may_be_anything(api, pk):
    for path in (f"offers/{pk}/accept/", f"conversations/{pk}/transfer/", f"conversations/{pk}/assign/"):
        assert api.post(V1 + path, {"queue": 1}).status_code in (400, 403, 404)
    for path in (f"queues/{pk}/", f"conversations/{pk}/decisions/", f"offers/{pk}/"):
        assert api.get(V1 + path).status_code in (400, 404)


@pytest.mark.parametrize("epoch", ["1", True, 1.0, [1], {"$gt": ""}, -1, 2**63, 10**400])
def test_b07_b08_epoch_is_a_number(queue, agent, api, epoch):
    offer = ring(put_in_line(queue), agent)
    answer = api.post(f"{V1}offers/{offer.pk}/accept/", {"epoch": epoch})
    assert answer.status_code == 400
    offer.refresh_from_db()
    assert offer.state == OfferState.OFFERED


# Passing on


def test_agent_passes_on_what_he_has_to_a_queue(queue, agent, api):
    item, other = hand_to(put_in_line(queue), agent), make_queue()
    assert api.post(address(item, "transfer"), {"queue": other.pk}).status_code == 204
    item.refresh_from_db()
    assert (item.queue, item.state) == (other, ItemState.WAITING)
    assert_in_order()


def test_agent_passes_on_what_he_has_to_a_colleague(queue, agent, colleague, api):
    item = hand_to(put_in_line(queue), agent)
    assert api.post(address(item, "transfer"), {"agent": colleague.user_id}).status_code == 204
    assert item.offers.live().get().agent == colleague
    assert_in_order()


def test_agent_passes_on_nothing_of_a_colleague(queue, agent, colleague, api):
    item = hand_to(put_in_line(queue), colleague)
    refused(api.post(address(item, "transfer"), {"queue": queue.pk}), 403, "not_your_conversation")
    waiting = put_in_line(queue)
    refused(api.post(address(waiting, "transfer"), {"queue": queue.pk}), 403, "not_your_conversation")
    item.refresh_from_db()
    assert item.agent == colleague


def test_supervisor_passes_on_everything_of_his_teams(queue, agent, boss):
    for item in (
        put_in_line(queue),
        hand_to(put_in_line(queue), agent),
        ring(put_in_line(queue), agent).item,
    ):
        assert boss.post(address(item, "transfer"), {"queue": make_queue().pk}).status_code == 204
    assert_in_order()


def test_why_an_agent_cannot_be_rung_is_told(queue, agent, colleague, api):
    item = hand_to(put_in_line(queue), agent)
    transfer = address(item, "transfer")
    for changes, code in (
        ({"chosen": Chosen.SIGNED_OUT}, "agent_not_there"),
        ({"chosen": Chosen.NOT_READY}, "agent_not_available"),
        ({"chosen": Chosen.AVAILABLE, "capacity": 0}, "agent_at_capacity"),
    ):
        Agent.objects.filter(pk=colleague.pk).update(**changes)
        refused(api.post(transfer, {"agent": colleague.user_id}), 409, code)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"queue": None},
        {"queue": "1"},
        {"queue": True},
        {"queue": 10**9},
        {"agent": 10**9},
        {"agent": "me"},
        {"queue": 1, "agent": 1},
        {"queue": 1, "at": 0},
        {"queue": [1]},
    ],
)
def test_b08_b10_wrong_transfers_change_nothing(queue, agent, api, body):
    item = hand_to(put_in_line(queue), agent)
    answer = api.post(address(item, "transfer"), body)
    assert answer.status_code == 400, answer.content
    assert Item.objects.get().agent == agent


def test_nothing_is_passed_on_to_what_is_not_there_for_one(queue, agent, api):
    item = hand_to(put_in_line(queue), agent)
    off, foreigner = make_queue(is_active=False), make_agent(make_team())
    refused(api.post(address(item, "transfer"), {"queue": off.pk}), 400, "does_not_exist")
    refused(api.post(address(item, "transfer"), {"agent": foreigner.user_id}), 400, "does_not_exist")


def test_assigning_is_for_supervisors(queue, agent, colleague, boss, api):
    item = hand_to(put_in_line(queue), colleague)
    refused(api.post(address(item, "assign"), {"agent": agent.user_id}), 403, "permission_denied")
    assert boss.post(address(item, "assign"), {"agent": agent.user_id}).status_code == 204
    item.refresh_from_db()
    assert item.agent == agent
    Agent.objects.filter(pk=colleague.pk).update(capacity=0)
    refused(boss.post(address(item, "assign"), {"agent": colleague.user_id}), 409, "agent_at_capacity")
    assert_in_order()


def test_supervisor_who_assigns_to_himself_takes_over(queue, agent):
    user = make_user(Role.SUPERVISOR, [queue.team])
    item = hand_to(put_in_line(queue), agent)
    assert as_(user).post(address(item, "assign"), {"agent": user.pk}).status_code == 204
    item.refresh_from_db()
    assert item.agent.user == user
    assert_in_order()


def test_wrap_up_is_ended_by_who_wraps_up(queue, agent, colleague, api):
    item = hand_to(put_in_line(queue), agent)
    refused(api.post(address(item, "end-wrap-up")), 409, "not_in_wrap_up")
    conversations.close(item.conversation_id, by=SYSTEM, now=timezone.now())
    work.conversation_closed(item.conversation_id, now=timezone.now())
    refused(as_(colleague.user).post(address(item, "end-wrap-up")), 409, "not_in_wrap_up")
    assert api.post(address(item, "end-wrap-up")).status_code == 204
    item.refresh_from_db()
    assert item.state == ItemState.DONE


def test_decisions_tell_why(queue, agent, colleague, api):
    item = put_in_line(queue, waited=9)
    router.run(now=timezone.now())
    (row,) = api.get(address(item, "decisions")).json()
    assert (row["agent"], row["queue"], row["policy"], row["step"]) == (agent.user_id, queue.name, 1, 0)
    assert row["score"] == sum(term[3] for term in row["terms"])
    assert row["others"] == [
        {"agent_name": colleague.user.name, "score": None, "reason": "cards 0 < 1"},
    ]
    assert row["outcome"] == "Ringing"


def test_decisions_cost_as_much_for_many_as_for_few(queue, agent, colleague, api):
    item = put_in_line(queue)

    def count():
        with CaptureQueriesContext(connection) as captured:
            assert api.get(address(item, "decisions")).json()
        return len(captured)

    def again():
        Item.objects.filter(pk=item.pk).update(not_to={})
        router.run(now=timezone.now())
        offers.decline(item.offers.live().get().pk, by=agent.user, now=timezone.now())

    again()
    count()
    few = count()
    for _ in range(4):
        again()
    assert count() == few


# Who may see what at all


@pytest.mark.parametrize("what", ["decisions", "transfer", "assign", "end-wrap-up"])
def test_z03_conversations_of_other_teams_are_not_there(queue, agent, stranger, what):
    item = hand_to(put_in_line(queue), agent)
    foreign_boss = as_(make_user(Role.SUPERVISOR, [make_team()]))
    for client in (stranger, foreign_boss):
        method = client.get if what == "decisions" else client.post
        answer = method(
            address(item, what), {"queue": queue.pk} if what == "transfer" else {"agent": agent.user_id}
        )
        if what == "assign" and client is stranger:
            refused(answer, 403, "permission_denied")
        else:
            refused(answer, 404, "not_found")
    item.refresh_from_db()
    assert item.agent == agent


PRIVATE = [
    ("get", "queues/"),
    ("get", "queues/{queue}/"),
    ("get", "queues/targets/"),
    ("get", "not-ready-reasons/"),
    ("get", "presence/"),
    ("put", "presence/"),
    ("post", "presence/heartbeat/"),
    ("get", "agents/"),
    ("get", "agents/{user}/"),
    ("patch", "agents/{user}/"),
    ("post", "agents/{user}/not-ready/"),
    ("post", "agents/{user}/sign-out/"),
    ("get", "offers/"),
    ("post", "offers/{offer}/accept/"),
    ("post", "offers/{offer}/decline/"),
    ("get", "conversations/{conversation}/decisions/"),
    ("post", "conversations/{conversation}/transfer/"),
    ("post", "conversations/{conversation}/assign/"),
    ("post", "conversations/{conversation}/end-wrap-up/"),
]


@pytest.mark.parametrize(("method", "path"), PRIVATE)
def test_z01_nobody_but_staff_gets_in(queue, agent, method, path):
    offer = ring(put_in_line(queue), agent)
    ids = {
        "queue": queue.pk,
        "user": agent.user_id,
        "offer": offer.pk,
        "conversation": offer.item.conversation_id,
    }
    switched_off = as_(make_user(teams=[queue.team], is_active=False))
    outsiders = {
        "anonymous": (APIClient(), {401}),
        "visitor": (visitor_of(offer.item.conversation), {401, 403}),
        "without a role": (as_(make_user(None, teams=[queue.team])), {403}),
        "switched off": (switched_off, {401}),
    }
    for name, (client, statuses) in outsiders.items():
        answer = getattr(client, method)(V1 + path.format(**ids), {})
        assert answer.status_code in statuses, (name, answer.status_code)
    offer.refresh_from_db()
    assert (offer.state, Agent.objects.get().chosen) == (OfferState.OFFERED, Chosen.AVAILABLE)


@pytest.mark.parametrize(("method", "path"), PRIVATE)
def test_b20_unknown_parameters_are_refused_by_lists(api, method, path):
    if method == "get" and path in ("queues/", "offers/", "not-ready-reasons/"):
        refused(api.get(V1 + path, {"zzz": "1"}), 400, "unknown_parameter")
        refused(api.get(V1 + path, {"cursor": "junk"}), 400, "invalid_cursor")
        assert api.get(V1 + path, {"page_size": "0"}).status_code == 400


# Customers


# All that a customer learns while somebody is free: his place is added.
WAITING = {
    "state": "waiting",
    "position": None,
    "is_staffed": True,
    "is_open": True,
    "is_full": False,
    "opens_at": None,
    "closes_at": None,
    "closed_because": "",
    "openings": [],
    "offers_callback": False,
    "estimate": None,
    "callback": None,
}


def test_customer_knows_his_place_and_no_more(queue, agent):
    first, second = put_in_line(queue, waited=60), put_in_line(queue)
    answer = visitor_of(second.conversation).get(f"{V1}chat/wait/")
    assert answer.json() == WAITING | {"position": 2}
    assert answer["Cache-Control"] == "no-store"
    hand_to(first, agent)
    assert visitor_of(second.conversation).get(f"{V1}chat/wait/").json()["position"] == 1
    assert visitor_of(first.conversation).get(f"{V1}chat/wait/").json() == WAITING | {"state": "active"}


def test_customer_whose_conversation_is_over_or_in_no_line_is_told_so(queue):
    item = put_in_line(queue)
    outside = make_conversation(make_inbox())
    assert visitor_of(outside).get(f"{V1}chat/wait/").json()["state"] == "waiting"
    for conversation in (item.conversation, outside):
        client = visitor_of(conversation)
        conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
        assert client.get(f"{V1}chat/wait/").json()["state"] == "closed"


def test_place_in_line_is_for_visitors_only(queue, api):
    assert api.get(f"{V1}chat/wait/").status_code == 401
    assert APIClient().get(f"{V1}chat/wait/").status_code == 401
    bad = APIClient()
    bad.credentials(HTTP_AUTHORIZATION="Visitor nonsense")
    assert bad.get(f"{V1}chat/wait/").status_code == 401


def test_everybody_may_ask_whether_somebody_is_there(queue):
    inbox = make_inbox(queue=queue, greeting="Hi!")
    url = f"{V1}chat/{inbox.slug}/availability/"
    body = APIClient().get(url).json()
    assert (body["is_staffed"], body["waiting"], body["inbox"]["greeting"]) == (False, 0, "Hi!")
    assert set(body["inbox"]) == {"name", "slug", "greeting", "away_text", "language"}
    make_agent(queue.team, skills={"cards": 1})
    put_in_line(queue)
    body = APIClient().get(url).json()
    assert (body["is_staffed"], body["waiting"]) == (True, 1)


def test_inbox_that_is_off_or_unknown_is_not_there():
    inbox = make_inbox(is_active=False)
    for slug in (inbox.slug, "nope"):
        refused(APIClient().get(f"{V1}chat/{slug}/availability/"), 404, "not_found")


def test_inbox_without_a_queue_is_not_staffed():
    body = APIClient().get(f"{V1}chat/{make_inbox().slug}/availability/").json()
    assert (body["is_staffed"], body["waiting"]) == (False, 0)


# The description


def test_description_is_valid_and_without_warnings():
    GENERATOR_STATS.reset()
    schema = SchemaGenerator(patterns=urls.urlpatterns).get_schema(public=True)
    validate_schema(schema)
    assert not GENERATOR_STATS
