"""docs/websocket.md against the sockets themselves: its frames are sent, and what it shows is what arrives."""

from __future__ import annotations

import json
import re
import uuid
from collections import defaultdict
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.utils import timezone

from apps.console.consumers import DeskSocket
from apps.core import dispatch, realtime, sockets
from apps.core.events import SYSTEM
from apps.core.realtime import CloseCode, Frame
from apps.messaging import live
from apps.messaging.choices import CloseReason
from apps.messaging.consumers import ChatSocket
from apps.messaging.models import Tag
from apps.messaging.services import attachments, conversations, notes
from apps.notifications.services import answers, notices
from apps.routing.choices import Chosen
from apps.routing.services import acceptance, agents, work
from apps.users.services import people, tickets
from tests.docs.pages import ROOT, blocks, differences, lines, prose
from tests.factories import (
    make_agent,
    make_delivery,
    make_inbox,
    make_notice,
    make_queue,
    make_reason,
    make_user,
    make_visitor,
    put_in_line,
    ring,
)
from tests.wire import Wire, beat, wire

PAGE = ROOT / "docs" / "websocket.md"
CUSTOMER, AGENT, SERVER = "Customer says", "Agent says", "Frames"


def _examples(section: str) -> dict[str, list[dict[str, Any]]]:
    """Frame type → its examples, in one section of the page."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for block in blocks(PAGE, "json"):
        if block.headings[2] == section:
            found[block.headings[3].strip("`")].append(json.loads(block.text))
    return found


def _fields(section: str) -> dict[str, set[str]]:
    """Frame type → the fields its table names."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in lines(PAGE):
        if len(line.headings) == 4 and line.headings[2] == section:
            names = found[line.headings[3].strip("`")]
            if line.fence is None and (match := re.match(r"\| `(\w+)` \|", line.text)):
                names.add(match[1])
    return found


@pytest.mark.parametrize(
    ("section", "types"),
    [
        (CUSTOMER, {"auth", "pong", *ChatSocket.frames}),
        (AGENT, {"auth", "pong", *DeskSocket.frames}),
        (SERVER, set(map(str, Frame))),
    ],
)
def test_every_frame_is_described_and_shown_and_no_other(section: str, types: set[str]) -> None:
    assert set(_fields(section)) == types
    assert set(_examples(section)) == types


@pytest.mark.parametrize("section", [CUSTOMER, AGENT, SERVER])
def test_examples_hold_the_fields_of_their_tables(section: str) -> None:
    fields = _fields(section)
    for kind, shown in _examples(section).items():
        assert all(frame["type"] == kind for frame in shown)
        assert {name for frame in shown for name in frame} - {"type"} == fields[kind], kind


def test_every_close_code_is_described_and_no_other_of_ours() -> None:
    ours = {value for name, value in vars(CloseCode).items() if name.isupper()}
    rows = [line.text for line in lines(PAGE) if line.headings[-1] == "Close codes"]
    described = {int(code) for row in rows for code in re.findall(r"\b\d{4}\b", row.partition(" | ")[0])}
    assert described - {1007, 1009} == ours


def test_limits_are_those_of_the_code() -> None:
    text = prose(PAGE)
    for words in (
        f"{realtime.MAX_FRAME_BYTES // 1024} KiB, no compression",
        f"within {sockets.AUTH_SECONDS:.0f} seconds",
        f"{sockets.FRAMES_PER_SECOND:.0f} a second, bursts of {sockets.FRAME_BURST:.0f}; "
        f"after {sockets.MOST_LIMITED_FRAMES} refused ones",
        f"six bad frames within {sockets.BAD_FRAME_SECONDS:.0f} seconds",
        f"| {sockets.MOST_UNSENT_FRAMES}, then 4408",
        f"per server process | {sockets.MOST_SOCKETS_PER_OWNER} |",
        f"per server process | {sockets.MOST_STRANGERS_PER_NETWORK} |",
        f"no ping for {sockets.SILENCE_SECONDS:.0f} seconds",
        f"| messages replayed | {live.MOST_REPLAYED:,}",
        f"at most {live.REPLAY_BYTES // 1000} kB",
        f"every {sockets.PING_SECONDS:.0f} seconds",
    ):
        assert words in text.replace("Every", "every"), words
    assert sockets.MOST_BAD_FRAMES == 5


# What is really said


class Story:
    """A customer and Ana, and every frame that their sockets got."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.queue = make_queue(steps=[(0, {})])
        self.ana = make_agent(user=make_user(teams=[self.queue.team], name="Ana Silva"))
        self.item = put_in_line(self.queue)
        self.conversation = self.item.conversation
        self.token = make_visitor(self.conversation)[1]
        self.heard: list[dict[str, Any]] = []

    def play(self) -> None:
        with wire(self.server, "/ws/chat/") as customer, wire(self.server, "/ws/desk/", origin=None) as desk:
            self.customer, self.desk = customer, desk
            self._arrive()
            self._offer()
            self._talk()
            self._look_back()
            self._end()
            self._part()
            self.heard = customer.frames + desk.frames

    def say(self, socket: Wire, frame: dict[str, Any]) -> None:
        """An example of the page, with the ids of this story."""
        real = {"conversation": self.conversation.pk, "token": self.token}
        real["ticket"] = tickets.issue(self.ana.user, now=timezone.now()) if "ticket" in frame else ""
        socket.send({name: real.get(name, value) for name, value in frame.items()})

    def _customer(self, kind: str) -> None:
        self.say(self.customer, _examples(CUSTOMER)[kind][0])

    def _agent(self, kind: str) -> None:
        self.say(self.desk, _examples(AGENT)[kind][0])

    def _arrive(self) -> None:
        self._customer("auth")
        self.customer.wait_for("replay")
        self._agent("auth")
        self.desk.wait_for("ready")
        other = make_queue(steps=[(0, {})], team=self.queue.team)
        work.transfer_to_queue(self.conversation.pk, to=other, by=self.ana.user, now=timezone.now())
        self.customer.wait_for("queue.changed")
        self.item.refresh_from_db()

    def _offer(self) -> None:
        offer = ring(self.item, self.ana)
        assert self.desk.wait_for("offer.made")["offer"] == offer.pk
        acceptance.accept(offer.pk, by=self.ana.user, now=timezone.now())
        self.desk.wait_for("offer.ended", how="accepted")
        self.customer.wait_for("conversation.changed", what="assigned")
        self._agent("watch")
        self.desk.wait_for("replay")

    def _talk(self) -> None:
        self._customer("typing")
        self.desk.wait_for("typing", sender="customer")
        self._customer("message")
        self.customer.wait_for("ack")
        self.desk.wait_for("message", sender="customer")
        self._customer("read")
        self.desk.wait_for("read", side="customer")
        self._agent("typing")
        self.customer.wait_for("typing", sender="agent")
        self._agent("message")
        self.desk.wait_for("ack")
        self._agent("read")
        self.customer.wait_for("read", side="agent")
        self._send_a_file()

    def _send_a_file(self) -> None:
        file = SimpleUploadedFile("receipt.txt", b"One parcel, 12.50")
        stored = attachments.store(self.conversation, file, by=self.ana.user, now=timezone.now())
        shown = _examples(AGENT)["message"][0]
        new_id = str(uuid.uuid4())
        self.say(self.desk, shown | {"client_msg_id": new_id, "attachments": [str(stored.pk)]})
        assert self.customer.wait_for("message", client_msg_id=new_id)["attachments"]

    def _look_back(self) -> None:
        with wire(self.server, "/ws/desk/", origin=None) as second:
            self.say(second, _examples(AGENT)["auth"][0])
            assert second.wait_for("ready")["conversations"]
            self.desk.frames += second.frames
        self._customer("resume")
        self.customer.wait_for("replay")
        self._agent("resume")
        self.desk.wait_for("replay")
        beat()
        for socket, say in ((self.customer, self._customer), (self.desk, self._agent)):
            socket.wait_for("ping")
            say("pong")
        self.customer.send("no frame")
        self.customer.wait_for("error", code="bad_frame")
        self.customer.say("   ")
        self.customer.wait_for("error", code="message_empty")

    def _end(self) -> None:
        team, now = self.queue.team, timezone.now()
        notes.add(self.conversation, body="A parcel", by=self.ana.user, now=now)
        self.desk.wait_for("note.added")
        conversations.set_tags(self.conversation.pk, tags=[Tag.objects.create(name="vip")], by=self.ana.user)
        self.desk.wait_for("conversation.changed", what="tagged")
        self._hear_of_an_answer()
        self._agent("unwatch")
        agents.choose(self.ana.user, chosen=Chosen.NOT_READY, reason=make_reason(), now=now, by=self.ana.user)
        self.desk.wait_for("presence.changed")
        notices.put_many([make_notice(self.ana.user)])
        self.desk.wait_for("notice.put")
        conversations.close(
            self.conversation.pk, by=self.conversation.customer, now=now, reason=CloseReason.ENDED_BY_CUSTOMER
        )
        self.customer.wait_for("conversation.changed", what="closed")
        dispatch.drain()
        self.desk.wait_for("presence.changed", state="not_ready")
        people.set_teams(self.ana.user, teams=[team, make_inbox().team], by=SYSTEM)
        self.desk.wait_for("reauth")

    def _hear_of_an_answer(self) -> None:
        message = self.conversation.messages.get(seq=3)
        delivery = make_delivery(to=self.conversation.customer, cause=answers.cause_of(message.pk))
        with transaction.atomic():
            answers.moved([(delivery, "sent")], by=SYSTEM)
        self.desk.wait_for("answer.changed", seq=3)

    def _part(self) -> None:
        assert self.desk.close_code() == CloseCode.RESTART


@pytest.fixture
def heard(live_server_ws, monkeypatch) -> list[dict[str, Any]]:
    monkeypatch.setattr(sockets, "PING_SECONDS", 0.0)
    story = Story(live_server_ws)
    story.play()
    return story.heard


def test_examples_are_what_is_said_and_heard(heard) -> None:
    """Each frame on the page is one that really arrives, and each one that arrives looks like one on the page."""
    shown = _examples(SERVER)
    del shown["resync"]  # the next test
    by_type: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for frame in heard:
        by_type[frame["type"]].append(frame)
    assert set(by_type) == set(shown)
    for kind, frames in by_type.items():
        for example in shown[kind]:
            found = [differences(example, frame) for frame in frames]
            assert [] in found, f"{example} never arrived: {min(found, key=len)}"
        for frame in frames:
            keys = [example.keys() for example in shown[kind]]
            assert frame.keys() in keys, f"{frame} is not shown"


def test_resync_is_as_shown(live_server_ws, monkeypatch) -> None:
    monkeypatch.setattr(live, "MOST_REPLAYED", 0)
    story = Story(live_server_ws)
    with wire(live_server_ws, "/ws/chat/") as customer:
        story.say(customer, _examples(CUSTOMER)["auth"][0])
        assert not differences(_examples(SERVER)["resync"][0], customer.wait_for("resync"))
