"""One subscription per process, handed out to groups; and the publisher that feeds it, from any thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest

from apps.core import hub as hubs
from apps.core import realtime
from apps.core.hub import Hub


class Ear:
    """As much of a socket as a hub needs."""

    def __init__(self, *, network: str = "ip:1", owner: str = "") -> None:
        self.groups: set[str] = set()
        self.network, self.owner = network, owner
        self.is_authenticated = False
        self.heard: list[tuple[str, str]] = []

    def receive_group(self, group: str, text: str) -> None:
        self.heard.append((group, text))


@pytest.fixture
async def hub():
    hub = Hub()
    yield hub
    # Redis' client may swallow a cancellation that meets it in the middle of something: ask until all have ended.
    while pending := [task for task in hub._tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)


async def _until(is_true, seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not is_true():
            await asyncio.sleep(0.01)


async def _ready(hub: Hub, *ears: Ear) -> None:
    """The hub is subscribed when a first frame arrives."""
    for ear in ears:
        hub.attach(ear)
    probe = Ear()
    hub.attach(probe)
    hub.join("probe", probe)
    async with asyncio.timeout(5):
        while not probe.heard:
            realtime.publish("probe", {"type": "x"})
            await asyncio.sleep(0.02)
    hub.detach(probe)


async def test_frames_reach_the_members_of_a_group_and_nobody_else(hub) -> None:
    one, two, other = Ear(), Ear(), Ear()
    await _ready(hub, one, two, other)
    hub.join("a", one)
    hub.join("a", two)
    hub.join("b", other)
    realtime.publish("a", {"type": "hi"})
    await _until(lambda: one.heard and two.heard)
    assert one.heard == two.heard == [("a", '{"type":"hi"}')]
    assert other.heard == []


async def test_a_frame_from_a_plain_thread_arrives_quickly(hub) -> None:
    ear = Ear()
    await _ready(hub, ear)
    hub.join("a", ear)
    began = time.monotonic()
    await asyncio.to_thread(realtime.publish, "a", {"type": "hi"})
    await _until(lambda: ear.heard)
    assert time.monotonic() - began < 0.3


async def test_order_is_kept_through_a_burst(hub) -> None:
    ear = Ear()
    await _ready(hub, ear)
    hub.join("a", ear)
    count = realtime.MOST_FRAMES_AT_ONCE * 2 + 3
    realtime.publish_encoded([("a", str(n)) for n in range(count)])
    await _until(lambda: len(ear.heard) == count)
    assert [int(text) for _, text in ear.heard] == list(range(count))


async def test_who_left_hears_nothing_and_leaves_nothing(hub) -> None:
    ear = Ear()
    await _ready(hub, ear)
    hub.join("a", ear)
    hub.join("b", ear)
    hub.leave("a", ear)
    hub.detach(ear)
    hub.detach(ear)
    hub.hand_out([("a", "x"), ("b", "x")])
    assert ear.heard == []
    assert not hub._groups
    assert not hub._strangers
    assert not ear.groups


async def test_one_socket_that_fails_keeps_nothing_from_the_others(hub, caplog) -> None:
    class Broken(Ear):
        def receive_group(self, group: str, text: str) -> None:
            raise ZeroDivisionError

    ears = [Ear(), Broken(), Ear()]
    await _ready(hub, *ears)
    for ear in ears:
        hub.join("a", ear)
    hub.hand_out([("a", "x")])
    assert ears[0].heard == ears[2].heard == [("a", "x")]
    assert "frame not handed" in caplog.text


async def test_sockets_are_counted_by_network_then_by_owner(hub) -> None:
    ears = [Ear(network="ip:1", owner="user:1") for _ in range(3)]
    for ear in ears:
        hub.attach(ear)
    assert (hub.strangers_from("ip:1"), hub.owned_by("user:1")) == (3, 0)
    ears[0].is_authenticated = True
    hub.introduce(ears[0])
    assert (hub.strangers_from("ip:1"), hub.owned_by("user:1")) == (2, 1)
    for ear in ears:
        hub.detach(ear)
    assert (hub.strangers_from("ip:1"), hub.owned_by("user:1")) == (0, 0)
    assert not hub._owners


async def test_each_kind_beats_once_for_all_its_authenticated_sockets(hub, caplog) -> None:
    beaten: list[Any] = []

    class Kind(Ear):
        @classmethod
        async def beat(cls, sockets: list) -> None:
            beaten.append((cls, set(sockets)))

    class Failing(Kind):
        @classmethod
        async def beat(cls, sockets: list) -> None:
            raise ZeroDivisionError

    ears = [Failing(), Kind(), Kind(), Kind()]
    for ear in ears:
        hub.attach(ear)
        ear.is_authenticated = ear is not ears[3]
    await hub.beat_once()
    assert beaten == [(Kind, set(ears[1:3]))]
    assert "beat of Failing failed" in caplog.text


async def test_a_lost_layer_is_come_back_to(hub, monkeypatch, caplog) -> None:
    monkeypatch.setattr(hubs, "RECONNECT_SECONDS", 0.01)
    real = hubs.get_channel_layer
    failures = iter([True, True])

    def flaky():
        if next(failures, False):
            raise ConnectionError
        return real()

    monkeypatch.setattr(hubs, "get_channel_layer", flaky)
    ear = Ear()
    await _ready(hub, ear)
    assert caplog.text.count("live layer lost (ConnectionError)") == 2


async def test_a_channel_that_is_not_read_any_more_is_given_up(hub, monkeypatch) -> None:
    """Otherwise it would go on filling after each reconnect."""
    monkeypatch.setattr(hubs, "RECONNECT_SECONDS", 0.01)
    ear = Ear()
    await _ready(hub, ear)
    discarded = []
    layer = hubs.get_channel_layer()
    discard = layer.group_discard

    async def note(group: str, channel: str) -> None:
        discarded.append(group)
        await discard(group, channel)

    monkeypatch.setattr(layer, "group_discard", note, raising=False)
    realtime.publish_encoded([None])  # no frame: reading it fails
    await _until(lambda: discarded)
    # A slow Redis hands the bad frame to the next channel too, which is given up likewise.
    assert set(discarded) == {realtime.LAYER_GROUP}


async def test_a_layer_that_does_not_answer_holds_up_one_batch_only(hub, monkeypatch, caplog) -> None:
    ear = Ear()
    await _ready(hub, ear)
    hub.join("a", ear)
    monkeypatch.setattr(realtime, "PUBLISH_SECONDS", 0.05)

    class Hanging:
        async def group_send(self, group: str, message: dict) -> None:
            await asyncio.sleep(60)

    with monkeypatch.context() as broken:
        broken.setattr(realtime, "get_channel_layer", Hanging)
        realtime.publish("a", {"type": "lost"})
        await _until(lambda: "live layer not reached (TimeoutError)" in caplog.text)
    realtime.publish("a", {"type": "kept"})
    await _until(lambda: ear.heard)
    assert ear.heard == [("a", '{"type":"kept"}')]


def test_a_process_without_a_loop_publishes_from_a_thread_of_its_own(monkeypatch) -> None:
    sent: list = []

    class Layer:
        async def group_send(self, group: str, message: dict) -> None:
            sent.extend(message["frames"])
            try:
                await asyncio.sleep(30)
            finally:
                # Whoever is interrupted hangs up first.
                await asyncio.sleep(0.01)

    monkeypatch.setattr(realtime, "get_channel_layer", Layer)
    monkeypatch.setattr(realtime, "_current", None)
    realtime.publish("a", {"type": "hi"})
    until = time.monotonic() + 5
    while not sent and time.monotonic() < until:
        time.sleep(0.01)
    assert sent == [("a", '{"type":"hi"}')]
    assert [thread.name for thread in threading.enumerate()].count("publisher") >= 1
    # The server's loop takes over, and the thread ends.
    mine = realtime._current
    asyncio.run(_take_over())
    until = time.monotonic() + 5
    while mine.is_usable and time.monotonic() < until:
        time.sleep(0.01)
    assert not mine.is_usable
    # Thrown away before, it would be logged as an error by whoever collects it.
    assert mine._task.done()


async def _take_over() -> None:
    realtime.use_loop(asyncio.get_running_loop())
    heir = realtime._current
    await asyncio.sleep(0.1)
    heir._task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await heir._task


async def test_publishing_never_raises_when_the_loop_is_gone(monkeypatch) -> None:
    loop = asyncio.new_event_loop()
    publisher = realtime.Publisher.__new__(realtime.Publisher)
    publisher._loop, publisher._frames = loop, realtime.deque()
    publisher._wake, publisher._is_woken = asyncio.Event(), False
    loop.close()
    publisher.put([("a", "x")])
    assert not publisher._frames
