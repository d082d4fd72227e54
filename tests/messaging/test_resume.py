"""Gap-free under loss: whatever the live layer drops, both sides end up with everything, once, in order (F40, F41)."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid

import pytest
from django.db import connection
from django.utils import timezone
from websockets.exceptions import ConnectionClosed

from apps.core import sockets
from apps.core.hub import Hub
from apps.messaging.models import Message
from apps.users.services import tickets
from tests.factories import make_conversation, make_user, make_visitor
from tests.wire import beat, wire

MESSAGES = 30


class Reader:
    """What the front ends do: order by seq, ignore the known, resume on a gap, retry what was not acknowledged."""

    def __init__(self, server, open_frame, *, path: str, origin, conversation: int) -> None:
        self.server, self.open_frame, self.path, self.origin = server, open_frame, path, origin
        self.conversation = conversation
        self.bodies: dict[int, str] = {}
        self.unacknowledged: dict[str, str] = {}
        self.resumes = self.connects = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    @property
    def after_seq(self) -> int:
        seq = 0
        while seq + 1 in self.bodies:
            seq += 1
        return seq

    def run(self) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                self.connect()
        # Tickets come from the database.
        connection.close()

    def connect(self) -> None:
        with wire(self.server, self.path, origin=self.origin) as self.socket:
            self.connects += 1
            self.socket.send(self.open_frame())
            self.socket.wait_for("ready")
            self.follow()

    def follow(self) -> None:
        self.opened()
        while not self.stop.is_set():
            for client_msg_id, body in list(self.unacknowledged.items()):
                self.socket.say(body, client_msg_id=client_msg_id, **self.fields())
            deadline = time.monotonic() + 0.3
            while (left := deadline - time.monotonic()) > 0:
                try:
                    self.take(self.socket.next(left))
                except TimeoutError:
                    break

    def opened(self) -> None:
        self.resume()

    def fields(self) -> dict:
        return {}

    def resume(self) -> None:
        self.resumes += 1
        self.socket.send({"type": "resume", "after_seq": self.after_seq, **self.fields()})

    def take(self, frame: dict) -> None:
        if frame["type"] == "ack":
            self.unacknowledged.pop(frame["client_msg_id"], None)
        elif frame["type"] == "message":
            if frame["seq"] > self.after_seq + 1:
                self.resume()
            self.keep(frame)
        elif frame["type"] == "replay":
            for message in frame["messages"]:
                self.keep(message)
        elif frame["type"] == "ping":
            self.socket.send({"type": "pong"})
            if frame["last_seq"].get(str(self.conversation), 0) > self.after_seq:
                self.resume()

    def keep(self, message: dict) -> None:
        known = self.bodies.setdefault(message["seq"], message["body"])
        assert known == message["body"]


class Desk(Reader):
    def opened(self) -> None:
        self.socket.send({"type": "watch", "conversation": self.conversation, "after_seq": self.after_seq})

    def fields(self) -> dict:
        return {"conversation": self.conversation}


@pytest.fixture
def lossy(monkeypatch) -> dict:
    """A fifth of all frames to clients is lost, whatever they say; now and then a whole socket is."""
    chance = random.Random(20)
    lost = {"frames": 0, "sockets": 0}
    push = sockets.Socket.push

    def lose_some(self, text: str) -> None:
        if self.is_authenticated and not text.startswith('{"type":"ready"'):
            if chance.random() < 0.01:
                lost["sockets"] += 1
                self.close(1000)
                return
            if chance.random() < 0.2:
                lost["frames"] += 1
                return
        push(self, text)

    monkeypatch.setattr(sockets.Socket, "push", lose_some)
    monkeypatch.setattr(sockets, "PING_SECONDS", 0)
    return lost


@pytest.mark.slow
def test_f40_a_fifth_of_all_frames_lost_leaves_no_gap_and_no_double(live_server_ws, lossy) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent, body="first")
    token = make_visitor(conversation)[1]
    customer = Reader(
        live_server_ws,
        lambda: {"type": "auth", "token": token, "after_seq": customer.after_seq},
        path="/ws/chat/",
        origin="same",
        conversation=conversation.pk,
    )
    desk = Desk(
        live_server_ws,
        lambda: {"type": "auth", "ticket": tickets.issue(agent, now=timezone.now())},
        path="/ws/desk/",
        origin=None,
        conversation=conversation.pk,
    )
    sides = (customer, desk)
    for side in sides:
        side.thread.start()
    for number in range(MESSAGES):
        for name, side in (("customer", customer), ("agent", desk)):
            side.unacknowledged[str(uuid.uuid4())] = f"{name} {number}"
        time.sleep(0.02)
    expected = 2 + 2 * MESSAGES
    until = time.monotonic() + 60
    while time.monotonic() < until and not all(
        s.after_seq == expected and not s.unacknowledged for s in sides
    ):
        beat()
        time.sleep(0.1)
    for side in sides:
        side.stop.set()
        side.thread.join(10)

    stored = dict(Message.objects.filter(conversation=conversation).values_list("seq", "body"))
    assert lossy["frames"] > 20
    assert list(stored) == list(range(1, expected + 1))
    assert customer.bodies == desk.bodies == stored
    said = sorted(body for body in stored.values() if body.startswith(("customer ", "agent ")))
    assert said == sorted(f"{name} {n}" for name in ("customer", "agent") for n in range(MESSAGES))


@pytest.mark.slow
def test_f41_a_dead_live_layer_is_healed_by_pings(live_server_ws, monkeypatch) -> None:
    """Nothing is handed out at all; the pings tell what is missing."""
    monkeypatch.setattr(Hub, "hand_out", lambda self, frames: None)
    monkeypatch.setattr(sockets, "PING_SECONDS", 0)
    conversation = make_conversation(body="first")
    with (
        wire(live_server_ws, "/ws/chat/") as one,
        wire(live_server_ws, "/ws/chat/") as two,
    ):
        for socket in (one, two):
            socket.send({"type": "auth", "token": make_visitor(conversation)[1]})
            socket.wait_for("replay")
        one.say("anybody?")
        one.wait_for("ack")
        beat()
        newest = two.wait_for("ping")["last_seq"][str(conversation.pk)]
        assert newest == 2
        two.send({"type": "resume", "after_seq": 1})
        assert two.wait_for("replay")["messages"][0]["body"] == "anybody?"
