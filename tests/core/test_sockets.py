"""The machine under all websockets, without a server: orderly writing, ends, limits."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from apps.core import frame_fields, sockets
from apps.core.errors import Conflict
from apps.core.hub import hub
from apps.core.origins import SameOriginOnly
from apps.core.realtime import CloseCode
from apps.core.sockets import BadFrame, Socket


class Echo(Socket):
    async def authenticate(self, frame: dict[str, Any] | None) -> bool:
        self.owner = "user:1"
        if frame and frame.get("fail"):
            raise OperationalError("secret dsn")
        return bool(frame and frame.get("key") == "right")

    async def welcome(self, frame: dict[str, Any] | None) -> None:
        self.reply({"type": "ready"})

    async def echo(self, frame: dict[str, Any]) -> None:
        self.reply(frame)

    async def refuse(self, frame: dict[str, Any]) -> None:
        raise Conflict

    async def crash(self, frame: dict[str, Any]) -> None:
        raise ZeroDivisionError("secret words")

    async def unplug(self, frame: dict[str, Any]) -> None:
        raise OperationalError("secret dsn")

    async def sleep(self, frame: dict[str, Any]) -> None:
        await asyncio.sleep(60)

    frames = {"echo": echo, "refuse": refuse, "crash": crash, "unplug": unplug, "sleep": sleep}


class Peer:
    """The ASGI server's side of one socket."""

    def __init__(self, kind: type[Socket] = Echo, **scope: Any) -> None:
        self.incoming: asyncio.Queue = asyncio.Queue()
        self.outgoing: list[dict] = []
        self.send_blocks = asyncio.Event()
        self.send_blocks.set()
        self.send_fails = False
        self.socket = kind({"headers": [], "client": ["9.9.9.9", 1]} | scope, self.incoming.get, self._sent)
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(self.socket.run())

    async def _sent(self, event: dict) -> None:
        if event["type"] == "websocket.send":
            await self.send_blocks.wait()
            if self.send_fails:
                raise ConnectionError
        self.outgoing.append(event)

    def say(self, frame: Any) -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame)
        self.incoming.put_nowait({"type": "websocket.receive", "text": text})

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0.001)

    async def ended(self) -> int | None:
        await asyncio.wait_for(asyncio.wait([self.task]), 8)
        closes = [event["code"] for event in self.outgoing if event["type"] == "websocket.close"]
        return closes[-1] if closes else None

    @property
    def heard(self) -> list[dict]:
        return [json.loads(event["text"]) for event in self.outgoing if event["type"] == "websocket.send"]


@pytest.fixture
async def peer():
    peer = Peer()
    peer.say({"type": "auth", "key": "right"})
    await peer.settle()
    assert peer.heard == [{"type": "ready"}]
    yield peer
    peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await peer.ended()
    for task in hub._tasks:
        task.cancel()
    hub._loop = None


async def test_errors_are_told_and_the_socket_stays(peer) -> None:
    for kind in ("refuse", "crash", "unplug"):
        peer.say({"type": kind, "client_msg_id": "abc"})
    peer.say({"type": "echo", "x": 1})
    await peer.settle()
    codes = [frame.get("code") for frame in peer.heard[1:]]
    assert codes == ["conflict", "server_error", "unavailable", None]
    assert all(frame["client_msg_id"] == "abc" for frame in peer.heard[1:4])
    assert "secret" not in str(peer.heard)
    assert "Zero" not in str(peer.heard)


async def test_a_long_reference_is_not_echoed(peer) -> None:
    peer.say({"type": "refuse", "client_msg_id": "x" * 1000})
    await peer.settle()
    assert "client_msg_id" not in peer.heard[-1]


async def test_a_second_auth_changes_nothing(peer) -> None:
    peer.say({"type": "auth", "key": "wrong"})
    peer.say({"type": "echo"})
    await peer.settle()
    assert peer.heard == [{"type": "ready"}, {"type": "echo"}]


async def test_what_was_said_before_the_end_is_sent(peer) -> None:
    for number in range(5):
        peer.socket.reply({"type": "n", "n": number})
    peer.socket.close(CloseCode.RESTART)
    peer.socket.reply({"type": "too late"})
    assert await peer.ended() == CloseCode.RESTART
    assert [frame.get("n") for frame in peer.heard[1:]] == [0, 1, 2, 3, 4]


async def test_close_interrupts_a_handler_and_may_be_called_twice(peer) -> None:
    peer.say({"type": "sleep"})
    await peer.settle()
    peer.socket.close(CloseCode.UNAUTHENTICATED)
    peer.socket.close(CloseCode.GONE)
    assert await peer.ended() == CloseCode.UNAUTHENTICATED
    assert peer.socket not in hub.sockets


async def test_who_does_not_read_is_ended_and_not_waited_for(peer, monkeypatch) -> None:
    peer.send_blocks.clear()
    for _ in range(sockets.MOST_UNSENT_FRAMES + 2):
        peer.socket.reply({"type": "x"})
    assert await peer.ended() == CloseCode.TOO_SLOW


async def test_a_stuck_peer_is_not_waited_for_at_the_end(peer, monkeypatch) -> None:
    monkeypatch.setattr(sockets, "GOODBYE_SECONDS", 0.05)
    peer.send_blocks.clear()
    peer.socket.reply({"type": "x"})
    peer.socket.close(CloseCode.RESTART)
    await peer.ended()
    assert peer.task.done()
    assert peer.socket not in hub.sockets


async def test_a_socket_that_cannot_be_written_to_ends(peer) -> None:
    peer.send_fails = True
    peer.socket.reply({"type": "x"})
    await peer.ended()
    assert peer.socket not in hub.sockets


async def test_the_server_going_down_is_not_swallowed(peer) -> None:
    peer.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await peer.task
    assert peer.socket not in hub.sockets


async def test_an_earlier_burst_is_forgiven(peer, monkeypatch) -> None:
    clock = [1000.0]
    # Only the socket's clock: the event loop's goes on.
    monkeypatch.setattr(sockets, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    peer.socket._tokens_at = clock[0]
    for _ in range(3):
        for _ in range(150):
            peer.say({"type": "pong"})
        await peer.settle()
        clock[0] += 10
        peer.say({"type": "pong"})
        await peer.settle()
    assert not peer.task.done()
    assert peer.socket._limited == 0


async def test_a_database_that_is_away_does_not_let_in(peer) -> None:
    stranger = Peer()
    stranger.say({"type": "auth", "fail": True})
    await stranger.settle()
    assert stranger.heard[-1]["code"] == "unavailable"
    stranger.say({"type": "echo"})
    assert await stranger.ended() == CloseCode.UNAUTHENTICATED


async def test_a_client_that_leaves_before_auth_leaves_nothing(peer) -> None:
    stranger = Peer()
    await stranger.settle()
    stranger.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
    await stranger.ended()
    assert hub.sockets == {peer.socket}


async def test_addresses_behind_our_proxy_are_told_apart(peer, settings) -> None:
    settings.TRUSTED_PROXIES = 1
    header = [(b"x-forwarded-for", b"1.1.1.1, 2001:db8::7")]
    assert Echo({"headers": header, "client": ["9.9.9.9", 1]}, None, None).network == "ip:2001:db8::/64"
    settings.TRUSTED_PROXIES = 0
    assert Echo({"headers": header, "client": ["9.9.9.9", 1]}, None, None).network == "ip:9.9.9.9"
    assert Echo({"headers": [], "client": None}, None, None).network == "ip:0.0.0.0"


# Fields


def test_fields_are_read_by_name_and_type() -> None:
    frame = {"type": "x", "seq": 3, "body": "b"}
    fields = frame_fields.read(
        frame, seq=frame_fields.number, body=frame_fields.text, optional={"more": (frame_fields.text, "-")}
    )
    assert fields == {"seq": 3, "body": "b", "more": "-"}


@pytest.mark.parametrize("value", [True, -1, 2**31, 1.0, "1", None, [1]])
def test_what_is_no_number(value) -> None:
    with pytest.raises(BadFrame):
        frame_fields.number(value)


@pytest.mark.parametrize(
    "value", [1, None, "x", "{5f0c3a86-3a5e-4f54-8ad9-8fba3a1a7a11}", "5" * 32, "g" * 36]
)
def test_what_is_no_uuid(value) -> None:
    with pytest.raises(BadFrame):
        frame_fields.uuid(value)


@pytest.mark.parametrize("frame", [{}, {"seq": 1, "x": 1}, {"x": 1}])
def test_missing_and_unknown_fields(frame) -> None:
    with pytest.raises(BadFrame):
        frame_fields.read({"type": "x"} | frame, seq=frame_fields.number)


# Origins (Z20)


def _headers(origin: str | None, host: str = "chat.example.com", more: tuple = ()) -> list:
    own = [] if origin is None else [(b"origin", origin.encode())]
    return [(b"host", host.encode()), *own, *more]


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        ("https://chat.example.com", True),
        ("https://listed.example", True),
        ("http://chat.example.com", False),
        ("https://chat.example.com.evil.example", False),
        ("https://chat.example.com:8443", False),
        ("https://chat.example.com/path", False),
        ("https://evil.example", False),
        ("null", False),
        ("http://[", False),
        ("", False),
        (None, False),
    ],
)
async def test_z20_only_our_own_and_listed_origins(settings, origin, is_let_in) -> None:
    settings.BASE_URL = "https://chat.example.com"
    settings.ALLOWED_HOSTS = ["chat.example.com"]
    settings.CORS_ALLOWED_ORIGINS = ["https://listed.example"]
    settings.CSRF_TRUSTED_ORIGINS = []
    assert await _is_let_in(_headers(origin)) is is_let_in


async def test_z20_two_origins_or_a_foreign_host_are_refused(settings) -> None:
    settings.BASE_URL = "https://chat.example.com"
    settings.ALLOWED_HOSTS = ["chat.example.com"]
    ours = "https://chat.example.com"
    assert not await _is_let_in(_headers(ours, more=((b"origin", ours.encode()),)))
    assert not await _is_let_in(_headers("https://evil.example", host="evil.example"))


async def test_z20_programs_have_no_origin_and_then_no_cookie(settings) -> None:
    headers = _headers(None, more=((b"cookie", b"session=x"),))
    seen: list = []
    assert await _is_let_in(headers, seen=seen, may_lack_origin=True)
    assert b"cookie" not in dict(seen[0]["headers"])


async def _is_let_in(headers: list, *, seen: list | None = None, may_lack_origin: bool = False) -> bool:
    reached = [] if seen is None else seen
    sent: list = []

    async def app(scope: dict, receive: Any, send: Any) -> None:
        reached.append(scope)

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(event: dict) -> None:
        sent.append(event)

    await SameOriginOnly(app, may_lack_origin=may_lack_origin)({"headers": headers}, receive, send)
    assert bool(reached) != bool(sent)
    return bool(reached)
