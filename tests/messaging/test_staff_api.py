"""The staff's REST door: lists scoped by team, writes by the same services as the console."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.messaging.models import CannedReply, Conversation, Disposition, Note, Tag
from apps.messaging.services import conversations, notes
from apps.users.choices import Role
from apps.users.models import User
from apps.users.services import tokens
from tests.factories import (
    make_conversation,
    make_customer,
    make_inbox,
    make_message,
    make_team,
    make_user,
    make_visitor,
)

API = "/api/v1/conversations/"


@pytest.fixture
def team(db):
    return make_team()


@pytest.fixture
def agent(team) -> User:
    return make_user(teams=[team])


@pytest.fixture
def conversation(team, agent) -> Conversation:
    return make_conversation(make_inbox(team), agent=agent)


@pytest.fixture
def as_(db) -> Callable[[User], APIClient]:
    def client(user: User) -> APIClient:
        api = APIClient()
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(user).access}")
        return api

    return client


def _url(conversation: Conversation, path: str = "") -> str:
    return f"{API}{conversation.pk}/{path}"


def _message(**fields) -> dict:
    return {"client_msg_id": str(uuid.uuid4()), "body": "hi"} | fields


def _key() -> dict:
    return {"HTTP_IDEMPOTENCY_KEY": str(uuid.uuid4())}


def _ids(answer) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


# Reading


def test_one_conversation(conversation, agent, as_) -> None:
    conversation.tags.add(Tag.objects.create(name="refund"))
    body = as_(agent).get(_url(conversation)).json()
    assert body["agent"] == {"id": agent.pk, "name": agent.name}
    assert body["customer"]["id"] == conversation.customer_id
    assert [tag["name"] for tag in body["tags"]] == ["refund"]
    assert (body["status"], body["last_seq"], body["unread"]) == ("active", 2, 2)


def test_lists_can_be_asked_for_what_matters(team, agent, conversation, as_) -> None:
    waiting = make_conversation(make_inbox(team), customer=make_customer(name="Grace Hopper"))
    api = as_(agent)
    assert _ids(api.get(API)) == [waiting.pk, conversation.pk]
    for query, found in [
        ({"status": "waiting"}, [waiting]),
        ({"mine": "true"}, [conversation]),
        ({"mine": "false"}, [waiting]),
        ({"agent": agent.pk}, [conversation]),
        ({"inbox": waiting.inbox_id}, [waiting]),
        ({"customer": waiting.customer_id}, [waiting]),
        ({"search": "grace"}, [waiting]),
        ({"search": str(conversation.pk)}, [conversation]),
        ({"search": "nobody"}, []),
    ]:
        assert _ids(api.get(API, query)) == [c.pk for c in found], query


def test_lists_come_in_pages_that_do_not_count(team, agent, as_) -> None:
    for _ in range(3):
        make_conversation(make_inbox(team))
    page = as_(agent).get(API, {"page_size": 2}).json()
    assert len(page["results"]) == 2
    rest = as_(agent).get(page["next"]).json()
    assert (len(rest["results"]), rest["next"]) == (1, None)


@pytest.mark.parametrize("path", ["", "?search=customer", "{first}/notes/", "{first}/timeline/"])
def test_lists_ask_as_often_for_many_as_for_few(team, agent, as_, path) -> None:
    api, inbox = as_(agent), make_inbox(team)
    first = make_conversation(inbox, agent=agent)
    url = API + path.format(first=first.pk)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert api.get(url).status_code == 200
        return len(captured)

    def more() -> None:
        other = make_conversation(inbox, agent=make_user())
        other.tags.add(Tag.objects.create(name=str(other.pk)))
        notes.add(first, body="x", by=make_user(), now=timezone.now())

    more()
    few = queries()
    for _ in range(10):
        more()
    assert queries() == few


def test_messages_are_the_same_as_the_customer_sees(conversation, agent, as_) -> None:
    make_message(conversation, "hello", user=agent)
    customer = APIClient()
    customer.credentials(HTTP_AUTHORIZATION=f"Visitor {make_visitor(conversation)[1]}")
    mine = as_(agent).get(_url(conversation, "messages/")).json()
    assert mine == customer.get("/api/v1/chat/messages/").json()
    assert [m["seq"] for m in mine["results"]] == [1, 2, 3]


def test_the_timeline_tells_what_happened(conversation, agent, as_) -> None:
    rows = as_(agent).get(_url(conversation, "timeline/")).json()["results"]
    assert [row["type"] for row in rows][:3] == [
        "messaging.conversation.started",
        "messaging.message.sent",
        "messaging.conversation.assigned",
    ]
    assert set(rows[0]) == {"id", "type", "at", "actor", "payload"}


def test_dispositions_and_ready_texts(team, agent, as_) -> None:
    Disposition.objects.create(name="Solved")
    Disposition.objects.create(name="Old", is_active=False)
    for shortcut, owner in (("all", None), ("ours", team), ("theirs", make_team())):
        CannedReply.objects.create(shortcut=shortcut, title=shortcut, body="x", team=owner)
    api = as_(agent)
    assert [row["name"] for row in api.get("/api/v1/dispositions/").json()["results"]] == ["Solved"]
    replies = api.get("/api/v1/canned-replies/").json()["results"]
    assert [row["shortcut"] for row in replies] == ["all", "ours"]


# Writing


def test_an_agent_answers_and_a_retry_is_stored_once(conversation, agent, as_) -> None:
    message = _message(body="good morning")
    one, two = (as_(agent).post(_url(conversation, "messages/"), message) for _ in range(2))
    assert (one.status_code, one.json()["is_new"], two.json()["is_new"]) == (201, True, False)
    assert one.json()["seq"] == two.json()["seq"] == 3


def test_b24_notes_need_a_key_and_are_written_once(conversation, agent, as_) -> None:
    api, url = as_(agent), _url(conversation, "notes/")
    assert api.post(url, {"body": "x"}).json()["code"] == "idempotency_key_required"
    key = _key()
    one, two = (api.post(url, {"body": "careful"}, **key) for _ in range(2))
    assert one.status_code == two.status_code == 201
    assert one.json() == two.json()
    assert api.post(url, {"body": "other"}, **key).status_code == 422
    assert Note.objects.get().body == "careful"
    assert api.get(url).json()["results"][0]["author"]["name"] == agent.name


def test_tags_are_set_and_unknown_ones_refused(conversation, agent, as_) -> None:
    tag = Tag.objects.create(name="refund")
    url = _url(conversation, "tags/")
    assert as_(agent).put(url, {"tags": [tag.pk]}).json()["tags"] == [{"id": tag.pk, "name": "refund"}]
    for wrong in ([tag.pk + 999], ["1"], [True], "1", {"$gt": ""}, [1] * 51):
        assert as_(agent).put(url, {"tags": wrong}).status_code == 400
    assert list(conversation.tags.all()) == [tag]


def test_close_with_a_disposition(conversation, agent, as_) -> None:
    solved = Disposition.objects.create(name="Solved")
    off = Disposition.objects.create(name="Old", is_active=False)
    api, url = as_(agent), _url(conversation, "close/")
    for wrong in (off.pk, solved.pk + 99, str(solved.pk), True):
        assert api.post(url, {"disposition": wrong}).status_code == 400
    body = api.post(url, {"disposition": solved.pk}).json()
    assert (body["status"], body["close_reason"], body["disposition"]["name"]) == (
        "closed",
        "resolved",
        "Solved",
    )
    again = api.post(url, {})
    assert (again.status_code, again.json()["code"]) == (409, "conversation_closed")


def test_a_file_of_an_agent(conversation, agent, as_) -> None:
    api = as_(agent)
    file = SimpleUploadedFile("a.txt", b"words")
    stored = api.post(_url(conversation, "attachments/"), {"file": file}, format="multipart")
    assert stored.status_code == 201, stored.content
    sent = api.post(_url(conversation, "messages/"), _message(attachments=[stored.json()["id"]]))
    assert sent.status_code == 201
    answer = api.get(f"/api/v1/attachments/{stored.json()['id']}/")
    assert (answer.status_code, answer.content) == (200, b"words")
    assert "attachment" in answer["Content-Disposition"]


def test_only_the_agent_of_a_conversation_reads_for_it(conversation, agent, team, as_) -> None:
    assert as_(agent).post(_url(conversation, "read/"), {"seq": 2}).json() == {"seq": 2}
    boss = make_user(Role.SUPERVISOR, teams=[team])
    answer = as_(boss).post(_url(conversation, "read/"), {"seq": 2})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_your_conversation")


# Who may (Z01): rows of the matrix are actors, columns what they do with a conversation of team X in agent AX's hands.

ACTIONS = {
    "list": lambda api, c: api.get(API),
    "retrieve": lambda api, c: api.get(_url(c)),
    "messages": lambda api, c: api.get(_url(c, "messages/")),
    "send": lambda api, c: api.post(_url(c, "messages/"), _message()),
    "notes": lambda api, c: api.get(_url(c, "notes/")),
    "add_note": lambda api, c: api.post(_url(c, "notes/"), {"body": "x"}, **_key()),
    "tags": lambda api, c: api.put(_url(c, "tags/"), {"tags": []}),
    "read": lambda api, c: api.post(_url(c, "read/"), {"seq": 1}),
    "timeline": lambda api, c: api.get(_url(c, "timeline/")),
    "attach": lambda api, c: api.post(
        _url(c, "attachments/"), {"file": SimpleUploadedFile("a.txt", b"x")}, format="multipart"
    ),
    "close": lambda api, c: api.post(_url(c, "close/"), {}),
}
EXPECTED = {
    #       list retrieve messages send notes add_note tags read timeline attach close
    "AN": (401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401),
    "VA": (401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401),
    "AX": (200, 200, 200, 201, 200, 201, 200, 200, 200, 201, 200),
    "AX2": (200, 200, 200, 403, 200, 201, 200, 403, 200, 403, 403),
    "AY": (200, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404),
    "SX": (200, 200, 200, 403, 200, 201, 200, 403, 200, 403, 200),
    "AD": (200, 200, 200, 404, 200, 403, 403, 403, 200, 403, 200),
    "NO": (403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403),
    "DX": (401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401),
}


@pytest.mark.parametrize("actor", EXPECTED)
def test_z01_z03_who_may_do_what(actor, conversation, agent, team, as_) -> None:
    api = _actor(actor, conversation, agent, team, as_)
    got = tuple(act(api, conversation).status_code for act in ACTIONS.values())
    assert dict(zip(ACTIONS, got, strict=True)) == dict(zip(ACTIONS, EXPECTED[actor], strict=True))


def _actor(name: str, conversation, agent, team, as_) -> APIClient:
    if name == "AN":
        return APIClient()
    if name == "VA":
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Visitor {make_visitor(conversation)[1]}")
        return client
    people = {
        "AX": lambda: agent,
        "AX2": lambda: make_user(teams=[team]),
        "AY": lambda: make_user(teams=[make_team()]),
        "SX": lambda: make_user(Role.SUPERVISOR, teams=[team]),
        "AD": lambda: make_user(Role.ADMIN),
        "NO": lambda: make_user(None, teams=[team]),
        "DX": lambda: make_user(teams=[team]),
    }
    user = people[name]()
    client = as_(user)
    if name == "DX":
        user.is_active = False
        user.save(update_fields=["is_active"])
    return client


def test_z03_foreign_conversations_are_not_even_hinted_at(conversation, as_) -> None:
    stranger = as_(make_user(teams=[make_team()]))
    for query in (
        {},
        {"search": str(conversation.pk)},
        {"search": conversation.customer.name},
        {"customer": conversation.customer_id},
        {"inbox": conversation.inbox_id},
    ):
        answer = stranger.get(API, query)
        assert answer.status_code == 200
        assert answer.json()["results"] == []
    missing = stranger.get(f"{API}999999999/")
    foreign = stranger.get(_url(conversation))
    assert missing.status_code == foreign.status_code == 404
    assert missing.json()["detail"] == foreign.json()["detail"]


def test_z06_rights_end_with_the_team(conversation, agent, as_) -> None:
    api = as_(agent)
    agent.teams.clear()
    assert api.get(_url(conversation)).status_code == 404
    assert api.post(_url(conversation, "messages/"), _message()).status_code == 404


def test_z09_files_of_foreign_conversations_are_not_found(conversation, upload, as_) -> None:
    file = upload(conversation, by=make_visitor(conversation)[0])
    url = f"/api/v1/attachments/{file.pk}/"
    assert as_(make_user(teams=[conversation.team])).get(url).status_code == 200
    assert as_(make_user(teams=[make_team()])).get(url).status_code == 404


# Bad input (B)


@pytest.mark.parametrize(
    "query",
    [
        "status=nope",
        "inbox=abc",
        "agent=%00",
        "customer=1.5",
        "mine=1",
        "mine=yes",
        "search=" + "x" * 201,
        "ordering=-password",
        "team__secret=1",
        "page_size=0",
        "page_size=1000000000",
        "cursor=junk",
    ],
)
def test_b18_b21_lists_refuse_what_they_do_not_know(agent, as_, query) -> None:
    answer = as_(agent).get(f"{API}?{query}")
    assert answer.status_code == 400, (query, answer.content)
    assert set(answer.json()) == {"type", "code", "detail", "fields", "request_id"}


@pytest.mark.parametrize("text", ["%", "_", "\\", "a & | !", "'", "x" * 200, "a", "١٢", "9" * 200])
def test_b23_any_search_is_answered(agent, conversation, as_, text) -> None:
    assert as_(agent).get(API, {"search": text}).status_code == 200


@pytest.mark.parametrize("number", ["0", "9" * 18, "9" * 30, "-1", "1e3", "x", "1.0"])
def test_b20_numbers_that_are_none(agent, as_, number) -> None:
    assert as_(agent).get(f"{API}{number}/").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [{"seq": 5}, {"sender": "system"}, {"conversation": 1}, {"at": "2026-01-01T00:00:00Z"}, {"user": 1}],
)
def test_b10_server_owned_fields_are_refused(conversation, agent, as_, fields) -> None:
    answer = as_(agent).post(_url(conversation, "messages/"), _message(**fields))
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")
    conversation.refresh_from_db()
    assert conversation.last_seq == 2


def test_b25_other_verbs(conversation, agent, as_) -> None:
    api = as_(agent)
    for answer in (api.put(API, {}), api.delete(_url(conversation)), api.patch(_url(conversation), {})):
        assert answer.status_code == 405


def test_a_closed_conversation_takes_notes_but_no_messages(conversation, agent, as_) -> None:
    conversations.close(conversation.pk, by=agent, now=timezone.now())
    api = as_(agent)
    assert api.post(_url(conversation, "messages/"), _message()).json()["code"] == "conversation_closed"
    assert api.post(_url(conversation, "notes/"), {"body": "x"}, **_key()).status_code == 201
