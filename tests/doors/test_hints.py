"""Z03, Z19 and neighbours: another team's things leave no trace in lists and choices, nor are they acted on."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.urls import reverse

from apps.core.models import ErrorGroup, Handling
from apps.messaging.models import Arrival, CannedReply, Conversation
from apps.notifications.models import Appointment, Delivery, Reminder
from apps.routing.models import Agent, Item
from apps.users.models import Customer, User

from .rows import Rows
from .test_matrix import ask
from .walk import addresses
from .world import MARKS, Actor, Whose, World

pytestmark = pytest.mark.django_db

# Whom nothing of team Y concerns, and nothing of team X.
BOUND = {
    Actor.AN: [*MARKS.values()],
    Actor.DX: [*MARKS.values()],
    Actor.VA: [MARKS["y"]],
    Actor.AX: [MARKS["y"]],
    Actor.SX: [MARKS["y"]],
    Actor.AY: [MARKS["x"]],
}
# Whoever passes a conversation on chooses among the queues of the whole house, by queue and team.
NAMES_ALL_TEAMS = {"console:transfer", "queue-targets"}


@pytest.fixture(autouse=True)
def _taken_back(world: World) -> Any:
    for actor in world.clients:
        world.renew(actor)
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.parametrize("actor", BOUND)
def test_z03_no_page_or_list_says_a_word_of_the_other_team(actor: Actor, world: World) -> None:
    leaks = []
    for address in addresses():
        if address.route in NAMES_ALL_TEAMS:
            continue
        with transaction.atomic():
            answer = ask(world, address, "GET", actor, Whose.OWN)
            transaction.set_rollback(True)
        text = b"".join(answer) if answer.streaming else answer.content
        leaks += [f"{address.route}: {mark}" for mark in BOUND[actor] if mark.encode() in text]
    assert not leaks


def results(world: World, actor: Actor, route: str, **query: Any) -> list[dict]:
    answer = world.clients[actor].get(reverse(route), query)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


@pytest.mark.parametrize("actor", [Actor.AX, Actor.SX])
def test_z03_searching_finds_only_what_is_ones_own(actor: Actor, world: World) -> None:
    theirs = world.y.keys
    for text in (f"Customer {MARKS['y']}", f"{MARKS['y']}@example.com"):
        assert results(world, actor, "customer-list", search=text) == []
        assert results(world, actor, "conversation-list", search=text) == []
    by_number = results(world, actor, "conversation-list", search=str(theirs["conversation"]))
    assert theirs["conversation"] not in [row["id"] for row in by_number]
    assert results(world, actor, "conversation-list", search=f"Customer {MARKS['x']}")
    for name, key in (("customer", "customer"), ("inbox", "inbox_row"), ("agent", "user")):
        asked = {name: theirs[key]}
        assert results(world, actor, "conversation-list", **asked) == []
    assert results(world, actor, "user-list", teams=theirs["team"]) == []


@pytest.mark.parametrize("actor", [Actor.AX, Actor.SX])
def test_z03_what_is_filtered_away_looks_like_what_is_not_there(actor: Actor, world: World) -> None:
    """Else the difference would tell which numbers are taken."""
    get, missing = world.clients[actor].get, Whose.MISSING
    for route, name, key in (
        ("conversation-list", "customer", "customer"),
        ("conversation-list", "inbox", "inbox_row"),
        ("conversation-list", "agent", "user"),
        ("user-list", "teams", "team"),
    ):
        foreign = get(reverse(route), {name: world.keys(actor, Whose.FOREIGN)[key]})
        nothing = get(reverse(route), {name: world.keys(actor, missing)[key]})
        assert (foreign.status_code, shape(foreign)) == (nothing.status_code, shape(nothing)), (route, name)


def shape(answer: Any) -> Any:
    body = answer.json()
    return {name: value for name, value in body.items() if name not in ("request_id", "fields", "detail")}


def test_z03_autocomplete_in_the_admin_offers_ones_own_teams(world: World) -> None:
    asked = {"app_label": "users", "model_name": "user", "field_name": "teams"}
    answer = world.clients[Actor.SX].get(reverse("admin:autocomplete"), asked)
    assert answer.status_code == 200
    assert [row["text"] for row in answer.json()["results"]] == [f"Team {MARKS['x']}"]
    for actor in (Actor.AN, Actor.VA, Actor.AX, Actor.DX):
        assert world.clients[actor].get(reverse("admin:autocomplete"), asked).status_code == 302


def test_z03_search_of_the_whole_admin_stays_in_ones_teams(world: World) -> None:
    answer = world.clients[Actor.SX].get(reverse("admin:search"), {"s": MARKS["y"], "extended": "1"})
    assert answer.status_code == 200
    assert f"Customer {MARKS['y']}".encode() not in answer.content
    assert f"Team {MARKS['y']}".encode() not in answer.content


ACTIONS = [
    ("core_handling", "retry", Handling, "handling", {}),
    # Errors belong to no team; the one there is no incident.
    ("core_errorgroup", "acknowledge", ErrorGroup, "error", {}),
    ("notifications_reminder", "cancel", Reminder, "reminder", {}),
    (
        "notifications_reminder",
        "reschedule",
        Reminder,
        "reminder",
        {"apply": "1", "date": "2030-01-01", "time": "09:00"},
    ),
    ("notifications_appointment", "cancel", Appointment, "appointment", {}),
    ("users_user", "sign_out", User, "user", {}),
    ("users_user", "switch_off", User, "user", {}),
    ("users_user", "remove_second_factor", User, "user", {}),
    ("users_customer", "merge", Customer, "customer", {}),
    ("routing_agent", "set_not_ready", Agent, "agent", {"apply": "1"}),
    ("routing_agent", "sign_out", Agent, "agent", {}),
    ("routing_item", "reassign", Item, "item", {"apply": "1"}),
    ("routing_item", "take_over", Item, "item", {}),
    ("messaging_arrival", "accept_all", Arrival, "arrival", {}),
    ("messaging_arrival", "drop_all", Arrival, "arrival", {}),
    ("messaging_conversation", "give_to_an_agent", Conversation, "conversation", {"apply": "1"}),
    ("messaging_conversation", "take_over_yourself", Conversation, "conversation", {}),
    ("notifications_delivery", "send_again", Delivery, "delivery", {}),
    ("notifications_delivery", "mark_sent", Delivery, "delivery", {}),
    ("notifications_delivery", "drop", Delivery, "delivery", {}),
    ("messaging_cannedreply", "delete_selected", CannedReply, "canned", {"post": "yes"}),
]


# Sending queues belong to everybody: nothing of them is foreign.
SHARED_ACTIONS = {
    ("notifications_sendingqueue", name) for name in ("pause", "resume", "retry_dead", "drop_waiting")
}


def run_action(world: World, actor: Actor, page: str, action: str, keys: list[int], **more: Any) -> Any:
    data = {"action": action, "_selected_action": keys, **more}
    return world.clients[actor].post(reverse(f"admin:{page}_changelist"), data)


@pytest.mark.parametrize(("page", "action", "model", "key", "more"), ACTIONS, ids=lambda part: str(part)[:24])
@pytest.mark.parametrize("actor", [Actor.AX, Actor.SX])
def test_z19_an_action_does_nothing_to_foreign_rows(
    actor: Actor, page: str, action: str, model: Any, key: str, more: dict, world: World
) -> None:
    theirs = world.y.keys
    chosen = [theirs[key], theirs["double"]] if action == "merge" else [theirs[key]]
    more = more | {"keep": theirs[key], "reason": theirs["reason"], "agent": world.x.keys["agent"]}
    rows = Rows()
    with rows.watched():
        answer = run_action(world, actor, page, action, chosen, **more)
    assert answer.status_code in (200, 302)
    assert not rows.have_changed()


def test_z19_actions_listed_here_are_all_there_are(world: World) -> None:
    from django.contrib import admin
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.user = world.users[Actor.SX]
    found = {
        (f"{model._meta.app_label}_{model._meta.model_name}", name)
        for model, page in admin.site._registry.items()
        for name in page.get_actions(request)
        if name != "delete_selected"
    }
    assert found == {(page, name) for page, name, *_ in ACTIONS if name != "delete_selected"} | SHARED_ACTIONS


FORGED = {
    # page: what a browser would send to make, change or delete a row of a page that may only be read.
    "core_event": {"type": "forged", "stream": "forged", "actor": "user:1"},
    "core_handling": {"tries": 0, "is_dead": ""},
    "core_errorgroup": {"count": 0, "title": "forged"},
    "messaging_arrival": {"text": "forged"},
    "messaging_conversation": {"status": "closed", "rating": 5},
    "routing_decision": {"score": 1},
    "routing_item": {"state": "done"},
}


@pytest.mark.parametrize("page", FORGED)
@pytest.mark.parametrize("actor", [Actor.AX, Actor.SX, Actor.AD])
def test_z19_history_is_written_by_nobody(actor: Actor, page: str, world: World) -> None:
    from .matrix import MODELS

    client, key = world.clients[actor], world.x.keys[MODELS[page].key]
    rows = Rows()
    with rows.watched():
        answers = [
            client.post(reverse(f"admin:{page}_add"), FORGED[page]),
            client.post(reverse(f"admin:{page}_change", args=[key]), FORGED[page]),
            client.post(reverse(f"admin:{page}_delete", args=[key]), {"post": "yes"}),
            client.post(
                reverse(f"admin:{page}_changelist"),
                {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": key, "_save": "Save"}
                | FORGED[page],
            ),
        ]
    assert {answer.status_code for answer in answers} <= {200, 302, 403}
    assert not rows.have_changed()


def test_z12_a_supervisor_grants_neither_foreign_teams_nor_a_higher_role(world: World) -> None:
    person = world.x.agent
    form = {"name": "X", "email": person.email, "language": "en", "time_zone": "UTC", "is_active": "on"}
    for forged in ({"role": "admin"}, {"role": "agent", "teams": [world.y.keys["team"]]}):
        answer = world.clients[Actor.SX].post(
            reverse("admin:users_user_change", args=[person.pk]), form | forged
        )
        assert answer.status_code == 200, "the form must come back with an error"
    person = User.objects.get(pk=person.pk)
    assert person.roles == {"agent"}
    assert list(person.teams.values_list("pk", flat=True)) == [world.x.keys["team"]]


def test_z14_choices_of_a_write_are_ones_own(world: World) -> None:
    theirs, ours = world.y.keys, world.x.keys
    sofia = world.clients[Actor.SX]
    merge = sofia.post(
        reverse("customer-merge", args=[ours["customer"]]),
        {"double": theirs["customer"]},
        content_type="application/json",
    )
    create = sofia.post(
        reverse("customer-list"),
        {"name": "N", "teams": [theirs["team"]]},
        content_type="application/json",
        headers={"Idempotency-Key": "a"},
    )
    assign = sofia.post(
        reverse("conversation-assign", args=[ours["conversation"]]),
        {"agent": theirs["user"]},
        content_type="application/json",
    )
    contact = sofia.delete(
        reverse("customer-remove-contact", args=[ours["customer"], theirs["contact"]]),
    )
    assert [merge.status_code, create.status_code, assign.status_code] == [400, 400, 400]
    assert contact.status_code == 204  # forgetting what is not there changes nothing
    assert Customer.objects.get(pk=theirs["customer"]).contact_points.filter(pk=theirs["contact"]).exists()


@pytest.mark.parametrize("value", ["{n}", "{n}.0", "[{n}]", "{n},{own}", "0{n}", "+{n}", "%20{n}"])
def test_z05_a_visitor_finds_no_other_conversation(value: str, world: World) -> None:
    """There is no conversation in the addresses of his door; whatever he adds is refused or ignored."""
    theirs, ours = world.y.keys["conversation"], world.x.keys["conversation"]
    asked = value.format(n=theirs, own=ours)
    visitor = world.clients[Actor.VA]
    for path in ("conversation/", "messages/", "wait/"):
        answer = visitor.get(f"/api/v1/chat/{path}?conversation={asked}")
        assert answer.status_code in (200, 400)
        assert MARKS["y"].encode() not in answer.content
    body = {"client_msg_id": "0d1f7e52-6a0c-4a54-9d39-0f4d1b6a9a10", "body": "x", "conversation": theirs}
    assert visitor.post("/api/v1/chat/messages/", body, content_type="application/json").status_code == 400


def test_z09_a_file_of_another_conversation_cannot_be_sent_along(world: World) -> None:
    body = {"client_msg_id": "0d1f7e52-6a0c-4a54-9d39-0f4d1b6a9a11", "body": "x"}
    for path, actor in (
        ("/api/v1/chat/messages/", Actor.VA),
        ("/api/v1/conversations/{n}/messages/", Actor.AX),
    ):
        answer = world.clients[actor].post(
            path.format(n=world.x.keys["conversation"]),
            body | {"attachments": [str(world.y.keys["attachment"])]},
            content_type="application/json",
        )
        assert answer.status_code == 400, answer.content


def test_z10_a_file_is_checked_at_each_download(world: World) -> None:
    address = reverse("attachment", args=[world.x.keys["attachment"]])
    agent = world.users[Actor.AX]
    assert world.clients[Actor.AX].get(address).status_code == 200
    agent.teams.clear()
    assert world.clients[Actor.AX].get(address).status_code == 404


def test_z18_a_visitor_learns_no_more_of_the_staff_than_a_first_name(world: World) -> None:
    words = b"".join(
        world.clients[Actor.VA].get(f"/api/v1/chat/{path}/").content
        for path in ("conversation", "messages", "wait")
    )
    for secret in (f"note {MARKS['x']}", world.x.agent.email, f"user:{world.x.agent.pk}", "Queue", "Team"):
        assert secret.encode() not in words
