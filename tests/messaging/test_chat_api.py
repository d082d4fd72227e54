"""The customer's REST door."""

from __future__ import annotations

import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from apps.core.events import SYSTEM
from apps.messaging.choices import Sender
from apps.messaging.models import Conversation, Message, VisitorSession
from apps.messaging.services import conversations, notes
from apps.users.models import Customer
from apps.users.services import tokens
from tests.factories import make_conversation, make_inbox, make_message, make_user, make_visitor

API = "/api/v1/chat/"


@pytest.fixture
def conversation(db) -> Conversation:
    return make_conversation(body="one")


@pytest.fixture
def visitor(conversation) -> APIClient:
    return _client(conversation)


def _client(conversation: Conversation) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Visitor {make_visitor(conversation)[1]}")
    return client


def _start(inbox, client: APIClient | None = None, **fields):
    body = {"start_key": str(uuid.uuid4()), "body": "Hello"} | fields
    return (client or APIClient()).post(f"{API}{inbox.slug}/start/", body)


def _message(**fields) -> dict:
    return {"client_msg_id": str(uuid.uuid4()), "body": "hi"} | fields


def _file(content: bytes = b"some words", name: str = "words.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def _upload(client: APIClient, **fields):
    return client.post(f"{API}attachments/", fields or {"file": _file()}, format="multipart")


def _assert_error(answer, status: int, code: str | None = None) -> dict:
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert set(body) == {"type", "code", "detail", "fields", "request_id"}
    assert code is None or body["code"] == code
    return body


# The way it is meant


def test_a_chat_from_start_to_rating(db) -> None:
    inbox = make_inbox()
    started = _start(inbox, name="Ada", email="ada@example.com")
    assert started.status_code == 201
    assert started["Cache-Control"] == "no-store"
    body = started.json()
    assert set(body) == {"token", "conversation", "status", "customer_name"}
    assert (body["status"], body["customer_name"]) == ("waiting", "Ada")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Visitor {body['token']}")
    sent = client.post(f"{API}messages/", _message())
    assert (sent.status_code, sent.json()["seq"], sent.json()["is_new"]) == (201, 2, True)
    assert client.post(f"{API}read/", {"seq": 2}).json() == {"seq": 2}
    ended = client.post(f"{API}end/").json()
    assert (ended["status"], ended["can_rate"]) == ("closed", True)
    rated = client.post(f"{API}rating/", {"rating": 5, "comment": "thanks"}).json()
    assert (rated["rating"], rated["can_rate"]) == (5, False)
    _assert_error(client.post(f"{API}rating/", {"rating": 1}), 409, "already_rated")
    _assert_error(client.post(f"{API}messages/", _message()), 409, "conversation_closed")
    _assert_error(client.post(f"{API}end/"), 409, "conversation_closed")


def test_the_state_of_the_conversation(conversation, visitor) -> None:
    agent = make_user(teams=[conversation.team], name="Ana Silva")
    conversations.assign(conversation.pk, agent=agent, by=agent, now=timezone.now())
    conversations.mark_read(conversation.pk, side=Sender.AGENT, seq=1)
    inbox = conversation.inbox
    assert visitor.get(f"{API}conversation/").json() == {
        "conversation": conversation.pk,
        "status": "active",
        "agent_name": "Ana",
        "last_seq": 2,
        "read_seq": 1,
        "can_rate": False,
        "rating": None,
        "is_left_message": False,
        "inbox": {
            "name": inbox.name,
            "slug": inbox.slug,
            "greeting": inbox.greeting,
            "away_text": inbox.away_text,
            "language": inbox.language,
        },
    }


def test_messages_after_a_seq(conversation, visitor) -> None:
    make_message(conversation, "two")
    body = visitor.get(f"{API}messages/", {"after_seq": 1}).json()
    assert (body["last_seq"], body["status"]) == (2, "waiting")
    (message,) = body["results"]
    assert (message["seq"], message["sender"], message["body"], message["name"]) == (2, "customer", "two", "")
    assert set(message) == {"seq", "sender", "name", "body", "at", "client_msg_id", "attachments"}


def test_long_conversations_come_in_portions(conversation, visitor, monkeypatch) -> None:
    monkeypatch.setattr("apps.messaging.api.chat.MOST_MESSAGES", 3)
    for n in range(4):
        make_message(conversation, str(n))
    body = visitor.get(f"{API}messages/").json()
    assert ([m["seq"] for m in body["results"]], body["last_seq"]) == ([1, 2, 3], 5)


def test_a_file_goes_up_into_a_message_and_down_again(conversation, visitor) -> None:
    stored = _upload(visitor).json()
    assert {key: stored[key] for key in ("name", "content_type", "size")} == {
        "name": "words.txt",
        "content_type": "text/plain",
        "size": 10,
    }
    visitor.post(f"{API}messages/", _message(body="", attachments=[stored["id"]]))
    last = visitor.get(f"{API}messages/").json()["results"][-1]
    assert last["attachments"] == [stored]
    answer = visitor.get(f"{API}attachments/{stored['id']}/")
    assert (answer.status_code, answer.content) == (200, b"some words")
    assert answer["Content-Disposition"] == 'attachment; filename="words.txt"'
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]


def test_a_repeated_start_and_a_repeated_message_change_nothing(conversation, visitor) -> None:
    inbox, key = make_inbox(), str(uuid.uuid4())
    first, again = _start(inbox, start_key=key), _start(inbox, start_key=key)
    assert first.status_code == again.status_code == 201
    assert first.json()["conversation"] == again.json()["conversation"]
    assert first.json()["token"] != again.json()["token"]
    message = _message()
    one, two = (visitor.post(f"{API}messages/", message).json() for _ in range(2))
    assert (one["seq"], one["is_new"], two["is_new"]) == (two["seq"], True, False)


# Bad input (B)


@pytest.mark.parametrize(
    "fields",
    [
        {"start_key": "x"},
        {"start_key": 5},
        {"start_key": None},
        {"body": ""},
        {"body": "   "},
        {"body": 5},
        {"body": ["x"]},
        {"body": "x" * 8001},
        {"body": "e\u0301" * 4001},
        {"name": "x" * 101},
        {"name": "a\r\nb"},
        {"name": "😀" * 101},
        {"email": "nope"},
        {"email": "a@b.example\r\nBcc: x@y.example"},
        {"phone": "112"},
        {"phone": "x" * 300},
        {"time_zone": "Europe/Foo"},
        {"time_zone": "../../etc/passwd"},
        {"language": "x" * 11},
        {"language": "en;q=1"},
        {"leave_message": "true"},
        {"leave_message": 1},
        {"previous_token": 5},
        {"previous_token": {"$gt": ""}},
        {"team": 1},
        {"status": "closed"},
        {"id": 1},
        {"created_at": "2026-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_b08_b10_b14_a_start_takes_what_is_meant_and_nothing_else(db, fields) -> None:
    _assert_error(_start(make_inbox(), **fields), 400)
    assert not Conversation.objects.exists()
    assert not Customer.objects.exists()


def test_b10_unknown_fields_have_their_code(db) -> None:
    body = _assert_error(_start(make_inbox(), role="admin"), 400, "unknown_field")
    assert list(body["fields"]) == ["role"]


@pytest.mark.parametrize("raw", ["", "null", "[]", '"x"', "1", "{", '{"a":1}x', "\ufeff{}"])
def test_b01_b02_no_object(db, raw) -> None:
    answer = APIClient().generic("POST", f"{API}{make_inbox().slug}/start/", raw, "application/json")
    _assert_error(answer, 400)


@pytest.mark.parametrize("body", [r'"\u0000"', r'"\ud800"', "NaN", "1e999", "[" * 40 + "]" * 40])
def test_b03_b06_json_that_other_parsers_take(visitor, conversation, body) -> None:
    raw = f'{{"client_msg_id": "{uuid.uuid4()}", "body": {body}}}'
    _assert_error(visitor.generic("POST", f"{API}messages/", raw, "application/json"), 400)
    assert Message.objects.count() == 1


def test_b16_other_content_types(visitor) -> None:
    _assert_error(visitor.generic("POST", f"{API}messages/", "{}", "text/plain"), 415)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "Ω≈ç√", "👩‍👩‍👧", "\u202ertl", "' OR 1=1 --", "z" * 8000]
)
def test_b13_what_was_said_comes_back_as_it_was(visitor, text) -> None:
    assert visitor.post(f"{API}messages/", _message(body=text)).status_code == 201
    assert visitor.get(f"{API}messages/").json()["results"][-1]["body"] == text


@pytest.mark.parametrize("seq", ["-1", "x", "1.0", "9" * 10, "9" * 5000, "٣", "", "1 "])
def test_b18_after_seq_is_a_number(visitor, seq) -> None:
    _assert_error(visitor.get(f"{API}messages/", {"after_seq": seq}), 400)


def test_b20_unknown_parameters_are_refused(visitor) -> None:
    _assert_error(visitor.get(f"{API}messages/", {"conversation": 1}), 400, "unknown_parameter")


@pytest.mark.parametrize("seq", [-1, True, "1", 1.0, None, 2**31, 10**4000])
def test_b07_b08_a_read_mark_is_a_number(visitor, seq) -> None:
    raw = (
        f'{{"seq": {"true" if seq is True else "null" if seq is None else seq!r}}}'.replace("'", '"')
        if seq != 10**4000
        else '{"seq": 1' + "0" * 4000 + "}"
    )
    _assert_error(visitor.generic("POST", f"{API}read/", raw, "application/json"), 400)


@pytest.mark.parametrize("rating", [0, 6, "5", 4.5, True, None])
def test_ratings_are_one_to_five(conversation, visitor, rating) -> None:
    conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
    _assert_error(visitor.post(f"{API}rating/", {"rating": rating}), 400)


def test_b40_one_file_in_its_field(visitor, settings) -> None:
    settings.ATTACHMENT_MAX_BYTES = 100_000
    two = {"file": [_file(), _file()]}
    for fields, code in [
        ({"other": _file()}, "file_missing"),
        ({"file": _file(), "more": "x"}, "file_missing"),
        (two, "file_missing"),
        ({"file": "text"}, "file_missing"),
        ({"file": _file(b"")}, None),
    ]:
        _assert_error(_upload(visitor, **fields), 400, code)
    _assert_error(_upload(visitor, file=_file(b"x" * 100_001)), 413, "file_too_large")
    _assert_error(_upload(visitor, file=_file(b"x" * 300_000)), 413, "file_too_large")


def test_b42_pages_are_refused_under_any_name(visitor) -> None:
    for name in ("x.html", "x.png", "x.txt"):
        _assert_error(_upload(visitor, file=_file(b"<html><script>", name)), 400, "file_refused")


def test_b46_the_eleventh_upload_of_an_hour(visitor) -> None:
    for _ in range(10):
        assert _upload(visitor).status_code == 201
    answer = _upload(visitor)
    _assert_error(answer, 429)
    assert int(answer["Retry-After"]) > 0


def test_starts_are_limited_by_network(db, settings, monkeypatch) -> None:
    from rest_framework.settings import api_settings

    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "chat-start", "2/hour")
    inbox = make_inbox()
    assert [_start(inbox).status_code for _ in range(3)] == [201, 201, 429]


# Who may (Z)

READS = ["conversation/", "messages/", "attachments/00000000-0000-4000-8000-000000000000/"]
WRITES = ["messages/", "attachments/", "read/", "end/", "rating/"]


@pytest.mark.parametrize("path", READS)
def test_z25_nobody_reads_without_a_key(conversation, path) -> None:
    _assert_error(APIClient().get(API + path), 401)


@pytest.mark.parametrize("path", WRITES)
def test_z25_nobody_writes_without_a_key(conversation, path) -> None:
    _assert_error(APIClient().post(API + path, {}), 401)


@pytest.mark.parametrize("kind", ["wrong", "expired", "user", "bearer", "query", "cookie"])
def test_z25_z26_other_keys_do_not_fit(conversation, kind) -> None:
    token = make_visitor(conversation)[1]
    client, query = APIClient(), {}
    if kind == "wrong":
        client.credentials(HTTP_AUTHORIZATION=f"Visitor {token[:-1]}")
    elif kind == "expired":
        VisitorSession.objects.update(expires_at=timezone.now())
        client.credentials(HTTP_AUTHORIZATION=f"Visitor {token}")
    elif kind == "user":
        access = tokens.issue(make_user(teams=[conversation.team])).access
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    elif kind == "bearer":
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    elif kind == "query":
        query = {"token": token}
    else:
        client.cookies["token"] = token
    answer = client.get(f"{API}conversation/", query)
    _assert_error(answer, 401)
    assert answer["WWW-Authenticate"] == "Visitor"


def test_z37_a_visitor_key_opens_no_door_of_the_staff(conversation, visitor) -> None:
    number = conversation.pk
    for path in ("", f"{number}/", f"{number}/messages/", f"{number}/notes/", f"{number}/timeline/"):
        _assert_error(visitor.get(f"/api/v1/conversations/{path}"), 401)
    for path in ("/api/v1/customers/", "/api/v1/users/", "/api/v1/me/", "/api/v1/canned-replies/"):
        _assert_error(visitor.get(path), 401)


def test_z09_b47_files_of_other_conversations_are_not_found(conversation, visitor, upload) -> None:
    other = make_conversation(customer=conversation.customer)
    theirs = upload(other, by=make_visitor(other)[0])
    _assert_error(visitor.get(f"{API}attachments/{theirs.pk}/"), 404)
    _assert_error(visitor.get(f"{API}attachments/00000000-0000-4000-8000-000000000000/"), 404)
    sent = visitor.post(f"{API}messages/", _message(attachments=[str(theirs.pk)]))
    _assert_error(sent, 400, "attachment_unknown")


def test_z18_a_visitor_reads_no_notes_and_no_e_mail_of_agents(conversation, visitor) -> None:
    agent = make_user(teams=[conversation.team], name="Ana Silva", email="ana@secret.example")
    conversations.assign(conversation.pk, agent=agent, by=agent, now=timezone.now())
    notes.add(conversation, body="difficult", by=agent, now=timezone.now())
    make_message(conversation, "hi", user=agent)
    text = b"".join(visitor.get(API + path).content for path in ("conversation/", "messages/"))
    for word in (b"difficult", b"secret", b"Silva"):
        assert word not in text


def test_an_inbox_that_is_off_or_unknown_starts_nothing(db) -> None:
    off = make_inbox(is_active=False)
    _assert_error(_start(off), 404)
    off.slug = "unknown"
    _assert_error(_start(off), 404)


def test_z32_no_cookie_is_set(db) -> None:
    answer = _start(make_inbox())
    assert not answer.cookies


@pytest.mark.parametrize("origin", ["https://evil.example", "https://listed.example.evil.example", "null"])
def test_z32_foreign_origins_are_told_nothing(origin, db, settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://listed.example"]
    address = f"/api/v1/chat/{make_inbox().slug}/availability/"
    foreign = APIClient().get(address, headers={"origin": origin})
    listed = APIClient().get(address, headers={"origin": "https://listed.example"})
    assert "Access-Control-Allow-Origin" not in foreign
    assert listed["Access-Control-Allow-Origin"] == "https://listed.example"
    for answer in (foreign, listed):
        assert "Access-Control-Allow-Credentials" not in answer
