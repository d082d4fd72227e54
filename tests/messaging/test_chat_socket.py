"""The customer's websocket, on a real server."""

from __future__ import annotations

import pytest

from tests.factories import make_conversation, make_message, make_visitor
from tests.wire import chat, wire

PATH = "/ws/chat/"


@pytest.fixture
def conversation(transactional_db):
    return make_conversation(body="one")


@pytest.fixture
def token(conversation) -> str:
    return make_visitor(conversation)[1]


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
    assert replay["type"] == "replay"
    assert replay["last_seq"] == 2
    assert [message["body"] for message in replay["messages"]] == ["one", "two"]


def test_a_message_is_acknowledged_and_comes_back(live_server_ws, conversation, token) -> None:
    with chat(live_server_ws, token) as socket:
        sent = socket.say("hi there")
        ack = socket.wait_for("ack")
        message = socket.wait_for("message") if not _seen(socket, "message") else _seen(socket, "message")
    assert (ack["client_msg_id"], ack["seq"]) == (sent, 2)
    assert (message["seq"], message["body"], message["client_msg_id"]) == (2, "hi there", sent)


def _seen(socket, kind):
    return next((frame for frame in socket.frames if frame["type"] == kind), None)
