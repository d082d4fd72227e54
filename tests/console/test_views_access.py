"""Who may come to the desk at all, and whose conversations are on it."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from apps.console.urls import urlpatterns
from apps.users.choices import Role
from tests.console.conftest import events_of, open_desk
from tests.factories import make_customer, make_message, make_user, put_in_line

pytestmark = pytest.mark.django_db

# Every address of the desk with an argument that fits, and a method it knows.
POSTS = {
    "accept",
    "callback",
    "decline",
    "notice",
    "notes",
    "read",
    "upload",
    "wrap-up",
    "wake",
    "cancel-follow-up",
}
OF_A_CONVERSATION = [
    "conversation",
    "head",
    "composer",
    "details",
    "messages",
    "notes",
    "read",
    "canned",
    "upload",
    "tags",
    "transfer",
    "close",
    "callback",
    "wrap-up",
    "later",
    "wake",
]
ONLY_ITS_AGENT = ["read", "upload", "tags", "transfer", "close", "callback", "wrap-up", "later"]


def address(pattern) -> str:
    converters = pattern.pattern.converters
    kind = type(next(iter(converters.values()))).__name__ if converters else ""
    argument = {"": [], "IntConverter": [1], "UUIDConverter": [uuid.uuid4()]}[kind]
    return reverse(f"console:{pattern.name}", args=argument)


def ask(client: Client, name: str, url: str, **headers: str):
    return (client.post if name in POSTS else client.get)(url, headers=headers)


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: pattern.name)
def test_strangers_are_sent_to_sign_in(pattern) -> None:
    url = address(pattern)
    answer = ask(Client(), pattern.name, url)
    assert (answer.status_code, answer.url) == (302, f"/account/login/?next={url}")


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: pattern.name)
def test_a_session_that_ended_takes_the_whole_window_to_sign_in(pattern) -> None:
    answer = ask(Client(), pattern.name, address(pattern), **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"], answer.content) == (
        200,
        "/account/login/",
        b"",
    )


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: pattern.name)
def test_users_without_a_role_are_refused(pattern) -> None:
    desk = open_desk(make_user(role=None))
    assert ask(desk.client, pattern.name, address(pattern)).status_code == 403


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: pattern.name)
def test_other_methods_are_not_known(pattern, desk) -> None:
    assert desk.client.put(address(pattern)).status_code == 405


@pytest.mark.parametrize("name", OF_A_CONVERSATION)
def test_a_foreign_conversation_is_not_there(name, desk, foreign) -> None:
    number = foreign.conversation_id
    answer = (desk.post if name in POSTS else desk.get)(name, number)
    assert answer.status_code == 404
    assert answer.headers["X-Error-Code"] == "not_found"
    assert foreign.conversation.customer.name not in answer.content.decode()


@pytest.mark.parametrize("name", ["tags", "transfer", "close", "messages"])
def test_nothing_is_done_to_a_foreign_conversation(name, desk, foreign) -> None:
    assert desk.post(name, foreign.conversation_id, body="Hello").status_code == 404
    foreign.conversation.refresh_from_db()
    assert foreign.conversation.is_open


@pytest.mark.parametrize("name", ONLY_ITS_AGENT)
def test_a_colleagues_conversation_is_seen_and_not_touched(name, queue, ana, talk) -> None:
    ben = open_desk(make_user(teams=[queue.team]))
    assert ben.get("conversation", talk.pk).status_code == 200
    answer = ben.post(name, talk.pk, seq=1)
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (403, "not_your_conversation")
    talk.refresh_from_db()
    assert (talk.agent, talk.is_open) == (ana.user, True)


def test_a_colleague_cannot_speak_in_it(queue, talk) -> None:
    ben = open_desk(make_user(teams=[queue.team]))
    answer = ben.post("messages", talk.pk, body="Hello from Ben")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (403, "not_your_conversation")


def test_a_supervisor_of_the_team_may_close_it(queue, talk) -> None:
    sofia = open_desk(make_user(Role.SUPERVISOR, teams=[queue.team]))
    assert sofia.post("close", talk.pk).status_code == 200
    talk.refresh_from_db()
    assert not talk.is_open


def test_a_supervisor_of_another_team_sees_nothing(talk) -> None:
    assert open_desk(make_user(Role.SUPERVISOR)).get("conversation", talk.pk).status_code == 404


def test_earlier_conversations_of_other_teams_are_not_listed(queue, ana, desk, foreign) -> None:
    customer = foreign.conversation.customer
    own = put_in_line(queue, customer=customer)
    details = desk.get("details", own.conversation_id).content.decode()
    assert "The first contact of this customer" in details
    assert f"/console/c/{foreign.conversation_id}/" not in details


def test_the_team_list_is_for_supervisors(desk) -> None:
    assert desk.get("team").status_code == 403


def test_without_a_csrf_token_nothing_is_done(ana, talk) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana.user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(reverse("console:close", args=[talk.pk])).status_code == 403
    page = client.get(reverse("console:desk"))
    token = page.content.decode().split('X-CSRFToken": "')[1].split('"')[0]
    headers = {"X-CSRFToken": token, "HX-Request": "true"}
    assert client.post(reverse("console:close", args=[talk.pk]), headers=headers).status_code == 200


def test_a_foreign_file_is_not_there(desk) -> None:
    assert desk.page("file", uuid.uuid4()).status_code == 404


def test_what_a_customer_wrote_stays_text(desk, queue) -> None:
    evil = '<img src=x onerror="alert(1)">'
    item = put_in_line(queue, customer=make_customer(name=evil, attributes={evil: evil}, external_id=evil))
    make_message(item.conversation, f'{evil} https://example.com/"><script>alert(1)</script>')
    page = desk.page("conversation", item.conversation_id).content.decode()
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "&lt;img src=x" in page


def test_nothing_on_the_page_needs_inline_script_or_style(desk, talk) -> None:
    answer = desk.page("conversation", talk.pk)
    page = answer.content.decode()
    assert " style=" not in page
    assert " onclick=" not in page
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    inline = [tag for tag in page.split("<script")[1:] if " src=" not in tag.split(">")[0]]
    assert all('type="application/json"' in tag.split(">")[0] for tag in inline)


def test_a_refusal_is_a_toast_and_lets_the_desk_look_again(desk) -> None:
    answer = desk.post("accept", 999_999)
    happens = events_of(answer)
    assert answer.status_code == 404
    assert answer.headers["HX-Reswap"] == "none"
    assert happens["desk:toast"] == {"kind": "danger", "text": "There is no such offer."}
    assert "desk:changed" in happens
