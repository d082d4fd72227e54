"""Processes die at any moment (F01, F05, F08) and sockets drop (F40): nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from apps.messaging.choices import Sender
from apps.messaging.models import Conversation, Message
from apps.users.services import tickets
from eml.replay.address import Address
from eml.replay.journal import Journal, Seen
from eml.replay.line import Line
from eml.replay.speaker import Speaker
from eml.replay.stage import patiently
from tests.factories import make_conversation, make_user, make_visitor
from tests.faults.processes import (
    Installation,
    Process,
    assert_clean,
    embedded,
    needs_servers,
    wait_until,
    write_conversations,
)

SEED = int(os.environ.get("EML_TEST_SEED", 0)) or random.SystemRandom().randrange(1, 10**6)

pytestmark = pytest.mark.alone
slow = pytest.mark.slow


@pytest.fixture
def chance() -> random.Random:
    print(f"EML_TEST_SEED={SEED}")
    return random.Random(SEED)


# The embedded profile


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[Installation, Process]]:
    with embedded(tmp_path) as made:
        yield made


@slow
@pytest.mark.embedded
@pytest.mark.timeout(600)
def test_f01_the_only_process_killed_twice_in_mid_conversation_loses_nothing(
    alone: tuple[Installation, Process], tmp_path: Path, chance: random.Random
) -> None:
    installation, server = alone
    file = write_conversations(tmp_path / "turns.csv", how_many=40, turns=6, seed=SEED)
    server.start().wait_ready()
    with installation.replay(file, "--customers=10", "--agents=5", "--limit=0") as replay:
        # 40 conversations hold 250 messages and more.
        for moment in (chance.randint(20, 90), chance.randint(110, 200)):
            installation.wait_for_messages(moment, replay=replay)
            server.kill()
            server.start().wait_ready()
        proof = replay.proof(seconds=400)
    assert_clean(proof, conversations=40)
    assert proof["reconnects"] >= 10, "nobody noticed that the server was away"
    installation.assert_routing_in_order()


@slow
@pytest.mark.embedded
@pytest.mark.timeout(300)
def test_f02_a_server_that_is_stopped_in_mid_conversation_comes_back_unnoticed(
    alone: tuple[Installation, Process], tmp_path: Path, chance: random.Random
) -> None:
    installation, server = alone
    file = write_conversations(tmp_path / "turns.csv", how_many=15, turns=5, seed=SEED)
    server.start().wait_ready()
    with installation.replay(file, "--customers=8", "--agents=3", "--limit=0") as replay:
        installation.wait_for_messages(chance.randint(15, 50), replay=replay)
        assert server.stop(signal.SIGTERM) == 0
        server.start().wait_ready()
        assert_clean(replay.proof(seconds=240), conversations=15)
    assert "Traceback" not in server.output()


# The services profile: each role is a process


@slow
@pytest.mark.services
@needs_servers
@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ["web1", "worker", "scheduler"])
def test_f01_f05_f08_a_role_killed_in_mid_conversation_loses_nothing(
    installation: Installation, tmp_path: Path, chance: random.Random, role: str
) -> None:
    file = write_conversations(tmp_path / "turns.csv", how_many=30, turns=6, seed=SEED)
    before = installation.messages()
    with installation.replay(file, "--customers=10", "--agents=5", "--limit=0") as replay:
        installation.wait_for_messages(before + chance.randint(20, 80), replay=replay)
        installation[role].kill()
        if role == "web1":
            # Everybody goes on at the other door, before somebody starts this one again.
            installation.wait_for_messages(before + 90, replay=replay)
        installation[role].start()
        assert_clean(replay.proof(seconds=400), conversations=30)
    assert all(process.is_running for process in installation.processes)
    installation.assert_routing_in_order()


# Sockets


class Side:
    """The customer or the agent of one conversation, on a line that breaks again and again."""

    def __init__(self, url: str, path: str, hello: dict | None, *, sender: Sender, conversation: int) -> None:
        self.conversation, self.seen = conversation, Seen()
        self._fixed_hello = hello
        self.line = Line(
            Address([url]), path, hello=self.hello, on_frame=self.take, sends_origin=sender == Sender.CUSTOMER
        )
        self.journal = Journal()
        self.speaker = Speaker(self.line, self.journal, sender=sender)
        self.breaks = 0

    async def hello(self) -> dict:
        return {**(self._fixed_hello or {}), "after_seq": self.seen.last}

    async def resume(self) -> None:
        await self.line.say({"type": "resume", "after_seq": self.seen.last})

    async def take(self, frame: dict) -> None:
        match frame["type"]:
            case "ready":
                await self.opened()
            case "ack":
                self.speaker.acknowledged(frame)
            case "message":
                await self.see(frame)
            case "replay":
                for message in frame["messages"]:
                    await self.see(message)
            case "ping" if frame["last_seq"].get(str(self.conversation), 0) > self.seen.last:
                await self.resume()

    async def opened(self) -> None:
        """The greeting named what is known; the replay follows by itself."""

    async def see(self, message: dict) -> None:
        if not self.seen.take(message) and message["seq"] > self.seen.last:
            await self.resume()

    async def talk(self, count: int, chance: random.Random, break_at: set[int]) -> None:
        for number in range(count):
            if number in break_at:
                self.breaks += 1
                await self.line.drop()
            saying = asyncio.create_task(self.speaker.say(self.conversation, f"{number} {chance.random()}"))
            if number in break_at and chance.random() < 0.5:
                # Half of the breaks come when the words are on their way and the answer is not.
                await asyncio.sleep(0)
                await self.line.drop()
            assert await saying


class Desk(Side):
    def __init__(self, url: str, user, conversation: int) -> None:
        super().__init__(url, "/ws/desk/", None, sender=Sender.AGENT, conversation=conversation)
        self._user = user

    async def hello(self) -> dict:
        # On SQLite twenty desks that come back at once may find it busy; whoever asks again wastes a ticket.
        ticket = await patiently(tickets.issue, self._user, now=timezone.now())
        return {"type": "auth", "ticket": ticket}

    async def opened(self) -> None:
        await self.watch()

    async def resume(self) -> None:
        await self.watch()

    async def watch(self) -> None:
        await self.line.say({"type": "watch", "conversation": self.conversation, "after_seq": self.seen.last})


CONVERSATIONS, MESSAGES_EACH, BREAKS_EACH = 10, 100, 10


@slow
@pytest.mark.timeout(400)
def test_f40_sockets_dropped_200_times_during_2000_messages_leave_no_gap_and_no_double(
    live_server_ws, chance: random.Random
) -> None:
    sides: list[Side] = []
    for _ in range(CONVERSATIONS):
        agent = make_user()
        conversation = make_conversation(agent=agent, body="first")
        auth = {"type": "auth", "token": make_visitor(conversation)[1]}
        sides.append(
            Side(live_server_ws.url, "/ws/chat/", auth, sender=Sender.CUSTOMER, conversation=conversation.pk)
        )
        sides.append(Desk(live_server_ws.url, agent, conversation.pk))
    asyncio.run(_talk(sides, chance))
    assert sum(side.breaks for side in sides) == 200
    _compare(sides)


async def _talk(sides: list[Side], chance: random.Random) -> None:
    plans = [set(chance.sample(range(MESSAGES_EACH), BREAKS_EACH)) for _ in sides]
    # A line that fails ends the talks, which would wait for its answers for ever.
    async with asyncio.TaskGroup() as lines:
        for side in sides:
            lines.create_task(side.line.run())
        await asyncio.gather(
            *(side.talk(MESSAGES_EACH, chance, plan) for side, plan in zip(sides, plans, strict=True))
        )
        await _everything_is_seen(sides)
        for side in sides:
            await side.line.hang_up()


async def _everything_is_seen(sides: list[Side]) -> None:
    newest = await patiently(lambda: dict(Conversation.objects.values_list("id", "last_seq")))
    async with asyncio.timeout(60):
        # A ping comes every ten seconds and tells what is still missing.
        while any(side.seen.last < newest[side.conversation] for side in sides):
            await asyncio.sleep(0.1)


def _compare(sides: list[Side]) -> None:
    stored: dict[int, list[Message]] = defaultdict(list)
    for row in Message.objects.order_by("conversation_id", "seq"):
        stored[row.conversation_id].append(row)
    said = sum(row.sender != Sender.SYSTEM for rows in stored.values() for row in rows)
    assert said == len(sides) * MESSAGES_EACH + CONVERSATIONS  # and the first words
    for side in sides:
        rows = stored[side.conversation]
        assert [row.seq for row in rows] == side.seen.order == list(range(1, len(rows) + 1))
        assert {row.seq: (row.sender, row.body) for row in rows} == side.seen.bodies
        of_this_side = {str(row.client_msg_id): row.seq for row in rows}
        assert {key: of_this_side[key] for key in side.journal.sent} == side.journal.acked


def test_a_wait_that_never_ends_is_a_failure() -> None:
    with pytest.raises(AssertionError, match="not within"):
        wait_until(lambda: False, seconds=0.1, what="it happens")
