"""B55–B61 over every frame of both sockets: whatever is sent, the socket stays, and nothing is stored but what was
acknowledged."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, seed, settings

from apps.console.consumers import DeskSocket
from apps.core import realtime, sockets
from apps.messaging.consumers import ChatSocket
from apps.messaging.models import Conversation, Message
from apps.users.services import tickets
from tests.factories import make_conversation, make_inbox, make_team, make_user, make_visitor
from tests.wire import Wire, chat, wire

from .harm import frames

EXAMPLES = 80


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bad frame is answered, and hundreds are no flood."""
    monkeypatch.setattr(sockets, "BAD_FRAME_SECONDS", 0)
    monkeypatch.setattr(sockets, "FRAMES_PER_SECOND", 10_000.0)


@pytest.fixture
def conversation(transactional_db: None) -> Conversation:
    team = make_team()
    return make_conversation(make_inbox(team), agent=make_user(teams=[team]), body="one")


@pytest.fixture
def customer(live_server_ws: Any, conversation: Conversation) -> Iterator[Wire]:
    with chat(live_server_ws, make_visitor(conversation)[1]) as socket:
        yield socket


@pytest.fixture
def agent(live_server_ws: Any, conversation: Conversation) -> Iterator[Wire]:
    with wire(live_server_ws, "/ws/desk/", origin=None) as socket:
        socket.send({"type": "auth", "ticket": tickets.issue(conversation.agent, now=timezone.now())})
        socket.wait_for("ready")
        socket.send({"type": "watch", "conversation": conversation.pk})
        socket.wait_for("replay")
        yield socket


def good_frames(conversation: Conversation | None) -> dict[str, dict[str, Any]]:
    """What the sockets want to hear; an agent says in which conversation."""
    where = {"conversation": conversation.pk} if conversation else {}
    message = {"client_msg_id": str(uuid.UUID(int=7)), "body": "hello", "attachments": []}
    return {
        "message": where | message,
        "typing": where,
        "read": where | {"seq": 1},
        "resume": where | {"after_seq": 0},
    }


def answers(socket: Wire, frame: str) -> list[dict[str, Any]]:
    """What it says to this frame: everything before its answer to the next one."""
    mark = str(uuid.uuid4())
    socket.send(frame)
    socket.send({"type": "mark", "client_msg_id": mark})
    said = []
    while (answer := socket.next()).get("client_msg_id") != mark:
        said.append(answer)
    return said


def send_all(socket: Wire, good: dict[str, dict[str, Any]], *, number: int) -> None:
    acknowledged: set[int] = set()
    before = Message.objects.count()

    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        # A smaller frame would meet what the larger one has left behind.
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(frame=frames(good))
    def send(frame: str) -> None:
        if len(frame.encode()) > realtime.MAX_FRAME_BYTES:
            return
        said = answers(socket, frame)
        assert "server_error" not in [answer.get("code") for answer in said], frame
        errors = [answer for answer in said if answer["type"] == "error"]
        assert all(error["code"] and error["detail"] for error in errors), frame
        acknowledged.update(answer["seq"] for answer in said if answer["type"] == "ack")

    send()
    assert Message.objects.count() - before == len(acknowledged)
    for kind, fields in good.items():
        said = answers(socket, json.dumps({"type": kind} | fields))
        assert "error" not in [answer["type"] for answer in said], kind


def test_every_frame_is_harmed() -> None:
    assert ChatSocket.frames.keys() == good_frames(None).keys()
    assert DeskSocket.frames.keys() == good_frames(Conversation(pk=1)).keys() | {"watch", "unwatch"}


def test_b55_to_b61_whatever_a_customer_sends(customer: Wire) -> None:
    send_all(customer, good_frames(None), number=1)


def test_b55_to_b61_whatever_an_agent_sends(agent: Wire, conversation: Conversation) -> None:
    where = {"conversation": conversation.pk}
    watch = {"watch": where | {"after_seq": 0}}
    send_all(agent, watch | good_frames(conversation) | {"unwatch": where}, number=2)
