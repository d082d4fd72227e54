"""The customer's websocket, on a real server."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from apps.core import sockets
from apps.messaging.choices import CloseReason, Sender
from apps.messaging.models import Conversation, Message, VisitorSession
from apps.messaging.services import conversations, notes
from apps.users.services import customers, tickets
from tests import wire as wires
from tests.factories import make_conversation, make_customer, make_message, make_user, make_visitor
from tests.wire import beat, chat, eventually, wire

PATH = "/ws/chat/"
UUID = "5f0c3a86-3a5e-4f54-8ad9-8fba3a1a7a11"


@pytest.fixture
def conversation(transactional_db) -> Conversation:
    return make_conversation(body="one")


@pytest.fixture
def token(conversation) -> str:
    return make_visitor(conversation)[1]


@pytest.fixture
def socket(live_server_ws, token):
    with chat(live_server_ws, token) as socket:
        socket.wait_for("replay")
        yield socket


def _bodies(conversation: Conversation) -> list[str]:
    return list(Message.objects.filter(conversation=conversation).values_list("body", flat=True))


# The way it is meant


def test_ready_tells_the_state_and_replay_what_was_said(live_server_ws, conversation, token) -> None:
    make_message(conversation, "two")
    with wire(live_server_ws, PATH) as socket:
        socket.send({"type": "auth", "token": token})
        assert socket.next() == {
            "type": "ready",
            "conversation": conversation.pk,
            "status": "waiting",
            "last_seq": 2,
            "agent_name": None,
            "read_seq": 0,
        }
        replay = socket.next()
    assert (replay["type"], replay["last_seq"]) == ("replay", 2)
    assert [message["body"] for message in replay["messages"]] == ["one", "two"]


def test_replay_begins_after_what_the_client_knows(live_server_ws, conversation, token) -> None:
    make_message(conversation, "two")
    with chat(live_server_ws, token, after_seq=1) as socket:
        replay = socket.wait_for("replay")
    assert [message["seq"] for message in replay["messages"]] == [2]


def test_a_message_is_acknowledged_and_comes_back_to_both(
    live_server_ws, conversation, token, socket
) -> None:
    with chat(live_server_ws, token, after_seq=1) as other_tab:
        sent = socket.say("hi there")
        frames = {frame["type"]: frame for frame in (socket.next(), socket.next())}
        seen = other_tab.wait_for("message")
    assert (frames["ack"]["client_msg_id"], frames["ack"]["seq"]) == (sent, 2)
    assert frames["message"] == seen
    assert (seen["seq"], seen["body"], seen["client_msg_id"]) == (2, "hi there", sent)


def test_what_the_agent_says_and_reads_arrives(conversation, socket) -> None:
    agent = make_user(teams=[conversation.team], name="Ana Silva", email="ana@secret.example")
    conversations.assign(conversation.pk, agent=agent, by=agent, now=timezone.now())
    assert socket.wait_for("conversation.changed")["what"] == "assigned"
    make_message(conversation, "good morning", user=agent)
    said = socket.wait_for("message", sender="agent")
    conversations.mark_read(conversation.pk, side=Sender.AGENT, seq=1)
    assert socket.wait_for("read") == {
        "type": "read",
        "conversation": conversation.pk,
        "side": "agent",
        "seq": 1,
    }
    assert (said["name"], said["body"]) == ("Ana", "good morning")


def test_reading_moves_the_mark_and_never_back(conversation, socket) -> None:
    for seq in (1, 0, 99):
        socket.send({"type": "read", "seq": seq})
    socket.say("done")
    socket.wait_for("ack")
    conversation.refresh_from_db()
    assert conversation.customer_read_seq == 1


def test_resume_replays_what_is_asked_for(conversation, socket) -> None:
    make_message(conversation, "two")
    socket.send({"type": "resume", "after_seq": 0})
    replay = socket.wait_for("replay")
    assert [message["seq"] for message in replay["messages"]] == [1, 2]


def test_a_long_replay_comes_in_small_frames(live_server_ws, conversation, token) -> None:
    for _ in range(12):
        make_message(conversation, "ä" * 7000)
    with chat(live_server_ws, token) as socket:
        replays = [socket.wait_for("replay")]
        while replays[-1]["last_seq"] < 13:
            replays.append(socket.wait_for("replay"))
    assert len(replays) > 1
    assert [m["seq"] for replay in replays for m in replay["messages"]] == list(range(1, 14))
    assert all(replay["messages"][-1]["seq"] == replay["last_seq"] for replay in replays)


def test_who_is_too_far_behind_loads_everything_anew(
    live_server_ws, conversation, token, monkeypatch
) -> None:
    monkeypatch.setattr("apps.messaging.live.MOST_REPLAYED", 2)
    for _ in range(3):
        make_message(conversation)
    with wire(live_server_ws, PATH) as socket:
        socket.send({"type": "auth", "token": token})
        assert socket.wait_for("resync")["last_seq"] == 4


def test_ping_tells_the_newest_seq(conversation, socket, monkeypatch) -> None:
    monkeypatch.setattr(sockets, "PING_SECONDS", 0)
    beat()
    assert socket.wait_for("ping")["last_seq"] == {str(conversation.pk): 1}


def test_who_answers_no_ping_is_closed(socket, monkeypatch) -> None:
    monkeypatch.setattr(sockets, "SILENCE_SECONDS", -1)
    beat()
    assert socket.close_code() == 4408


# Bad input (B)


# Each test on a running server empties a whole database: what can be asked of one socket, is.


@pytest.fixture
def patient(monkeypatch) -> None:
    """More than five bad frames are answered."""
    monkeypatch.setattr(sockets, "BAD_FRAME_SECONDS", 0)


def test_b55_what_is_no_frame_is_answered_and_the_socket_stays(socket, patient) -> None:
    for frame in ("{", "hello", "", b"\x00\x01", "[]", "1", "null", '"x"', '{"type": 1}', "{}"):
        socket.send(frame)
        assert socket.next() == {
            "type": "error",
            "code": "bad_frame",
            "detail": "This frame is not understood.",
        }, frame
    socket.say()
    assert socket.wait_for("ack")


def test_b55_the_sixth_bad_frame_ends_it(socket) -> None:
    for _ in range(6):
        socket.send("{")
    assert socket.close_code() == 4400
    # Each was answered before the end.
    assert [frame["code"] for frame in socket.frames if frame["type"] == "error"] == ["bad_frame"] * 6


def test_b56_unknown_types_have_one_answer(socket) -> None:
    kinds = ["nope", "base", "connect", "websocket.receive", "__class__", "beat", "reply", "x" * 10_240]
    for kind in kinds:
        socket.send({"type": kind})
        assert socket.next() == {
            "type": "error",
            "code": "unknown_type",
            "detail": "There is no frame of this type.",
        }


def test_b57_a_frame_over_64_kib_ends_it(socket) -> None:
    socket.say("x" * (64 * 1024))
    assert socket.close_code() == 1009


def test_b57_many_bytes_in_few_characters_end_it(socket, monkeypatch) -> None:
    # Below the server's own limit, so that ours is seen.
    monkeypatch.setattr("apps.core.realtime.MAX_FRAME_BYTES", 30_000)
    socket.send('{"type":"message","body":"' + "€" * 12_000 + '"}')
    assert socket.close_code() == 4009


def test_b58_invalid_utf8_ends_it(socket) -> None:
    socket.connection.send(b'{"type": "\xff"}', text=True)
    assert socket.close_code() == 1007


def test_b59_json_that_other_parsers_take(socket, conversation, patient) -> None:
    bodies = ["NaN", "[" * 60_000, "1" * 5000, r'"\ud800"', r'"\u0000"', '"a", "body": "b"']
    for body in bodies:
        socket.send(f'{{"type": "message", "client_msg_id": "{UUID}", "body": {body}}}')
        assert socket.next()["code"] == "bad_frame", body[:20]
    assert _bodies(conversation) == ["one"]


def test_b60_a_message_needs_its_exact_fields(socket, conversation, patient) -> None:
    for fields in (
        {"body": "x"},
        {"client_msg_id": "x" * 1024, "body": "x"},
        {"client_msg_id": "no-uuid", "body": "x"},
        {"client_msg_id": UUID.replace("-", ""), "body": "x"},
        {"client_msg_id": 5, "body": "x"},
        {"client_msg_id": UUID},
        {"client_msg_id": UUID, "body": 5},
        {"client_msg_id": UUID, "body": ["x"]},
        {"client_msg_id": UUID, "body": "x", "seq": 9},
        {"client_msg_id": UUID, "body": "x", "attachments": UUID},
        {"client_msg_id": UUID, "body": "x", "attachments": [1]},
    ):
        socket.send({"type": "message", **fields})
        assert socket.next()["code"] == "bad_frame", fields
    assert _bodies(conversation) == ["one"]


def test_b60_the_same_id_twice_is_one_message(live_server_ws, conversation, token, socket) -> None:
    socket.say("once", client_msg_id=UUID)
    first = socket.wait_for("ack")
    socket.say("once", client_msg_id=UUID)
    again = socket.wait_for("ack")
    with chat(live_server_ws, token) as other_tab:
        other_tab.say("once", client_msg_id=UUID)
        elsewhere = other_tab.wait_for("ack")
    assert first == again == elsewhere
    assert _bodies(conversation) == ["one", "once"]


def test_b61_sending_to_a_closed_conversation(conversation, socket) -> None:
    conversations.close(conversation.pk, by=make_user(), now=timezone.now())
    sent = socket.say("too late")
    error = socket.wait_for("error")
    assert (error["code"], error["client_msg_id"]) == ("conversation_closed", sent)


def test_b61_a_retry_of_what_was_stored_is_acknowledged_after_the_end(conversation, socket) -> None:
    sent = socket.say("just in time")
    first = socket.wait_for("ack")
    conversations.close(conversation.pk, by=make_user(), now=timezone.now())
    socket.say("just in time", client_msg_id=sent)
    assert socket.wait_for("ack") == first


def test_messages_that_say_nothing_or_too_much_are_refused(socket, conversation) -> None:
    for body in ("", "  \n ", "x" * 8001):
        sent = socket.say(body)
        error = socket.wait_for("error", client_msg_id=sent)
        assert error["code"] in ("message_empty", "message_too_long")
    assert _bodies(conversation) == ["one"]


def test_b63_a_flood_is_slowed_down_then_ended(socket) -> None:
    for _ in range(250):
        socket.send({"type": "pong"})
    assert socket.close_code() == 4429
    codes = [frame["code"] for frame in socket.frames if frame["type"] == "error"]
    assert set(codes) == {"rate_limited"}
    assert len(codes) == sockets.MOST_LIMITED_FRAMES


def test_b64_whoever_does_not_say_who_he_is_goes(live_server_ws, monkeypatch) -> None:
    monkeypatch.setattr(sockets, "AUTH_SECONDS", 0.2)
    with wire(live_server_ws, PATH) as socket:
        assert socket.close_code() == 4401


def test_b64_strangers_of_one_address_are_limited_and_guests_unaffected(
    live_server_ws, socket, token, monkeypatch
) -> None:
    monkeypatch.setattr(sockets, "MOST_STRANGERS_PER_NETWORK", 2)
    with wire(live_server_ws, PATH), wire(live_server_ws, PATH) as second:
        with pytest.raises(InvalidStatus) as refused, wire(live_server_ws, PATH):
            pass
        assert refused.value.response.status_code == 403
        socket.say("still here")
        assert socket.wait_for("ack")
        # Whoever says who he is makes room for the next.
        second.send({"type": "auth", "token": token})
        second.wait_for("ready")
        with wire(live_server_ws, PATH) as third:
            third.send({"type": "auth", "token": token})
            assert third.wait_for("ready")


def test_b64_one_customer_has_so_many_sockets_and_not_more(
    live_server_ws, socket, token, monkeypatch
) -> None:
    monkeypatch.setattr(sockets, "MOST_SOCKETS_PER_OWNER", 2)
    with chat(live_server_ws, token), wire(live_server_ws, PATH) as third:
        third.send({"type": "auth", "token": token})
        assert third.close_code() == 4429
    assert eventually(lambda: wires.open_sockets() == 1)
    with chat(live_server_ws, token) as again:
        again.say()
        assert again.wait_for("ack")


def test_b66_typing_reaches_staff_once_in_a_while(conversation, socket, monkeypatch) -> None:
    told = []
    monkeypatch.setattr("apps.core.realtime.publish", lambda group, frame: told.append((group, frame)))
    for _ in range(20):
        socket.send({"type": "typing"})
    socket.say("done")
    socket.wait_for("ack")
    name = conversation.customer.name
    frame = {"type": "typing", "conversation": conversation.pk, "sender": "customer", "name": name}
    assert [entry for entry in told if entry[1]["type"] == "typing"] == [
        (f"conversation.{conversation.pk}.staff", frame)
    ]


# Who may (Z)


def test_z05_a_visitor_has_one_conversation_whatever_he_names(conversation, socket) -> None:
    other = make_conversation()
    for number in (other.pk, str(other.pk), [other.pk], conversation.pk + 1):
        socket.send({"type": "message", "client_msg_id": UUID, "body": "x", "conversation": number})
        assert socket.next()["code"] == "bad_frame"
    assert _bodies(other) == ["Hello"]


def test_z09_attachments_of_another_conversation_cannot_be_named(socket, conversation, upload) -> None:
    other = make_conversation(customer=conversation.customer)
    theirs = upload(other, by=make_visitor(other)[0])
    sent = socket.say("look", attachments=[str(theirs.pk)])
    error = socket.wait_for("error")
    assert (error["code"], error["client_msg_id"]) == ("attachment_unknown", sent)


def test_z18_visitors_see_no_notes_no_e_mail_and_no_ids_of_people(conversation, socket) -> None:
    agent = make_user(teams=[conversation.team], name="Ana Silva", email="ana@secret.example")
    conversations.assign(conversation.pk, agent=agent, by=agent, now=timezone.now())
    notes.add(conversation, body="a difficult one", by=agent, now=timezone.now())
    make_message(conversation, "hello", user=agent)
    socket.wait_for("message", sender="agent")
    socket.quiet()
    text = str(socket.frames)
    assert "difficult" not in text
    assert "secret" not in text
    assert "Silva" not in text
    assert "note" not in text
    assert all("user" not in frame and "agent" not in frame for frame in socket.frames)


def test_z20_other_origins_do_not_get_in(live_server_ws) -> None:
    for origin in (
        None,
        "null",
        "https://evil.example",
        "https://127.0.0.1",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:1",
    ):
        with pytest.raises(InvalidStatus) as refused, wire(live_server_ws, PATH, origin=origin):
            pass
        assert refused.value.response.status_code == 403, origin


def test_z24_nothing_before_auth(live_server_ws, conversation) -> None:
    for frame in (
        {"type": "message", "client_msg_id": UUID, "body": "x"},
        {"type": "read", "seq": 1},
        {"type": "typing"},
        {"type": "resume", "after_seq": 0},
        {"type": "pong"},
        {"type": "watch", "conversation": 1},
        {"type": "nope"},
    ):
        with wire(live_server_ws, PATH) as socket:
            socket.send(frame)
            assert socket.close_code() == 4401, frame
    assert _bodies(conversation) == ["one"]


def test_z25_other_keys_do_not_fit(live_server_ws, conversation, token) -> None:
    user = make_user(teams=[conversation.team])
    VisitorSession.objects.create(conversation=conversation, token_hash="0" * 64, expires_at=timezone.now())
    for wrong in (token[:-1], token.upper(), "", "x" * 5000, tickets.issue(user, now=timezone.now())):
        with wire(live_server_ws, PATH) as socket:
            socket.send({"type": "auth", "token": wrong})
            assert socket.close_code() == 4401


def test_z25_an_expired_key_does_not_fit(live_server_ws, conversation, token) -> None:
    VisitorSession.objects.update(expires_at=timezone.now())
    with wire(live_server_ws, PATH) as socket:
        socket.send({"type": "auth", "token": token})
        assert socket.close_code() == 4401


def test_b08_a_token_is_a_string(live_server_ws) -> None:
    for wrong in (True, 1, ["x"], {"$gt": ""}, None):
        with wire(live_server_ws, PATH) as socket:
            socket.send({"type": "auth", "token": wrong})
            assert socket.next()["code"] == "bad_frame"


def test_z26_a_token_in_the_address_is_worth_nothing(live_server_ws, token) -> None:
    with wire(live_server_ws, f"{PATH}?token={token}") as socket:
        socket.send({"type": "resume", "after_seq": 0})
        assert socket.close_code() == 4401


def test_z37_the_socket_ends_with_its_session(conversation, socket) -> None:
    conversations.close(
        conversation.pk, by=make_user(), now=timezone.now(), reason=CloseReason.ENDED_BY_CUSTOMER
    )
    VisitorSession.objects.update(expires_at=timezone.now())
    beat()
    assert socket.close_code() == 4401


def test_after_a_merge_he_speaks_for_the_record_that_stays(conversation, socket) -> None:
    keep = make_customer(teams=[conversation.team])
    customers.merge(keep, conversation.customer, by=make_user())
    conversations.move_to_customer(from_customer_id=conversation.customer_id, to_customer_id=keep.pk)
    beat()
    socket.say("still me", client_msg_id=str(uuid.uuid4()))
    socket.wait_for("ack")
    from apps.core.models import Event

    assert Event.objects.filter(type="messaging.message.sent").latest("id").actor == keep.actor_ref


def test_closed_sockets_leave_nothing_behind(live_server_ws, token) -> None:
    from apps.core.hub import hub

    with chat(live_server_ws, token):
        assert wires.open_sockets() == 1
    assert eventually(lambda: wires.open_sockets() == 0)
    assert not hub._groups
    assert not hub._owners
    assert not hub._strangers


def test_other_paths_are_refused_without_a_traceback(live_server_ws, caplog) -> None:
    for path in ("/ws/", "/ws/nope/", "/ws/chat", "/ws/chat/x/", "/"):
        with pytest.raises(InvalidStatus) as refused, wire(live_server_ws, path):
            pass
        assert refused.value.response.status_code == 403
    assert "Traceback" not in caplog.text
