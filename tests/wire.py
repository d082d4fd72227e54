"""A plain client of the websockets: sends frames, waits for frames, reads close codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.core.hub import hub

SECONDS = 8.0


class Wire:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[dict[str, Any]] = []

    def send(self, frame: dict[str, Any] | str | bytes) -> None:
        self.connection.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    def say(self, body: str = "hello", **more: Any) -> str:
        """Send a message; returns its client_msg_id."""
        client_msg_id = more.pop("client_msg_id", None) or str(uuid.uuid4())
        self.send({"type": "message", "client_msg_id": client_msg_id, "body": body} | more)
        return client_msg_id

    def next(self, seconds: float = SECONDS) -> dict[str, Any]:
        frame = json.loads(self.connection.recv(timeout=seconds))
        self.frames.append(frame)
        return frame

    def wait_for(self, kind: str, seconds: float = SECONDS, **values: Any) -> dict[str, Any]:
        """The next frame of this type with these values; others are kept in `frames` and skipped."""
        until = time.monotonic() + seconds
        while True:
            frame = self.next(max(0.01, until - time.monotonic()))
            if frame["type"] == kind and values.items() <= frame.items():
                return frame

    def quiet(self, seconds: float = 0.4) -> list[dict[str, Any]]:
        """Whatever arrives within this time."""
        arrived = []
        until = time.monotonic() + seconds
        with contextlib.suppress(TimeoutError):
            while (left := until - time.monotonic()) > 0:
                arrived.append(self.next(left))
        return arrived

    def close_code(self, seconds: float = SECONDS) -> int:
        """Reads to the end; how the server closed."""
        until = time.monotonic() + seconds
        try:
            while True:
                self.next(max(0.01, until - time.monotonic()))
        except ConnectionClosed as closed:
            # 1006 is what browsers report when a connection breaks without a close frame.
            return closed.rcvd.code if closed.rcvd else 1006


@contextlib.contextmanager
def wire(server: Any, path: str, *, origin: str | None = "same", **options: Any) -> Iterator[Wire]:
    options = {
        "compression": None,
        "ping_interval": None,
        "open_timeout": SECONDS,
        "close_timeout": 1,
    } | options
    origin = server.url if origin == "same" else origin
    with connect(server.ws_url + path, origin=origin, **options) as connection:
        yield Wire(connection)


@contextlib.contextmanager
def chat(server: Any, token: str, *, after_seq: int = 0) -> Iterator[Wire]:
    """A customer's socket, authenticated and caught up."""
    with wire(server, "/ws/chat/") as socket:
        socket.send({"type": "auth", "token": token, "after_seq": after_seq})
        socket.wait_for("ready")
        yield socket


def beat() -> None:
    """What the hub does every few seconds, now."""
    assert hub._loop is not None
    asyncio.run_coroutine_threadsafe(hub.beat_once(), hub._loop).result(SECONDS)


def open_sockets() -> int:
    return len(hub.sockets)


def eventually(is_true: Callable[[], bool], seconds: float = SECONDS) -> bool:
    until = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
