"""Base of all websockets: parse guard, authentication first, rate limit, fixed frame dictionary, orderly writing.

A socket is a plain ASGI application. A bad frame gets an error frame and leaves the socket open; six in ten seconds
end it. Handlers are looked up in `frames`, never by a client's string.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from . import realtime
from .errors import EMLError, Invalid
from .hub import hub
from .json import loads_strict
from .realtime import CloseCode, Frame

logger = logging.getLogger(__name__)

AUTH_SECONDS = 10.0
PING_SECONDS = 10.0
# A client that answers no ping for this long reads nothing: its unsent frames only fill our memory.
SILENCE_SECONDS = 25.0
MOST_UNSENT_FRAMES = 512
MOST_BAD_FRAMES, BAD_FRAME_SECONDS = 5, 10.0
FRAMES_PER_SECOND, FRAME_BURST, MOST_LIMITED_FRAMES = 30.0, 90.0, 100

Handler = Callable[[Any, dict[str, Any]], Awaitable[None]]


class Closed(Exception):
    """Ends the socket with a close code."""

    def __init__(self, code: int) -> None:
        self.code = code


class Socket:
    """One websocket; subclasses fill `frames` and implement `authenticate` and `beat`."""

    frames: ClassVar[dict[str, Handler]] = {}

    def __init__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        self.scope = scope
        self.groups: set[str] = set()
        self.is_authenticated = False
        self.last_pong = self.last_ping = time.monotonic()
        self._receive, self._send = receive, send
        self._unsent: asyncio.Queue[str | None] = asyncio.Queue(MOST_UNSENT_FRAMES)
        self._bad: deque[float] = deque(maxlen=MOST_BAD_FRAMES + 1)
        self._tokens, self._tokens_at, self._limited = FRAME_BURST, time.monotonic(), 0
        self._close_code: int | None = None

    @classmethod
    async def as_asgi(cls, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        await cls(scope, receive, send).run()

    # For subclasses

    async def authenticate(self, frame: dict[str, Any] | None) -> bool:
        """`None` when the socket opens (a session cookie may do); then the client's `auth` frame."""
        raise NotImplementedError

    @classmethod
    async def beat(cls, sockets: list[Socket]) -> None:
        """Every few seconds, for all sockets of this kind in this process: rights, leases, pings."""
        raise NotImplementedError

    def reply(self, frame: dict[str, Any]) -> None:
        self.push(realtime.encode(frame))

    def push(self, text: str) -> None:
        try:
            self._unsent.put_nowait(text)
        except asyncio.QueueFull:
            self.close(CloseCode.TOO_SLOW)

    def receive_group(self, group: str, text: str) -> None:
        """A frame published to a group this socket is in; subclasses may look at it first."""
        self.push(text)

    def ping(self, **state: Any) -> None:
        """Ask for a pong and tell the newest state; whoever stayed silent too long is closed instead."""
        now = time.monotonic()
        if now - self.last_pong > SILENCE_SECONDS:
            self.close(CloseCode.TOO_SLOW)
        elif now - self.last_ping >= PING_SECONDS - 1:
            self.last_ping = now
            self.reply({"type": Frame.PING, **state})

    def close(self, code: int) -> None:
        """End this socket; safe to call from anywhere on its loop, more than once."""
        if self._close_code is None:
            self._close_code = code
            self._task.cancel()

    # The machine

    async def run(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            return
        self._task = asyncio.current_task()
        await self._send({"type": "websocket.accept"})
        hub.attach(self)
        writer = asyncio.create_task(self._write())
        try:
            await self._converse()
        except Closed as closed:
            await self._say_goodbye(closed.code)
        except asyncio.CancelledError:
            if self._close_code is None:
                raise
            await self._say_goodbye(self._close_code)
        finally:
            hub.detach(self)
            writer.cancel()

    async def _converse(self) -> None:
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                await self._first_frames()
        except TimeoutError:
            raise Closed(CloseCode.UNAUTHENTICATED) from None
        while (event := await self._receive())["type"] == "websocket.receive":
            await self._take(event)

    async def _first_frames(self) -> None:
        self.is_authenticated = await self.authenticate(None)
        while not self.is_authenticated:
            event = await self._receive()
            if event["type"] != "websocket.receive":
                raise Closed(CloseCode.GONE)
            await self._take(event)

    async def _say_goodbye(self, code: int) -> None:
        try:
            await asyncio.wait_for(self._send({"type": "websocket.close", "code": code}), 5)
        except Exception:  # the peer is gone already
            logger.debug("socket was gone before it was closed")

    async def _write(self) -> None:
        while True:
            await self._send({"type": "websocket.send", "text": await self._unsent.get()})

    async def _take(self, event: dict[str, Any]) -> None:
        frame: dict[str, Any] = {}
        try:
            self._count_frame()
            frame = self._parse(event)
            await self._handle(frame)
        except EMLError as error:
            self.reply_error(error, frame)
            if error.code == "bad_frame":
                self._count_bad_frame()
        except (Closed, asyncio.CancelledError):
            raise
        except Exception:
            logger.exception("frame %s failed", frame.get("type"))
            self.reply(
                {
                    "type": Frame.ERROR,
                    "code": "server_error",
                    "detail": "Something went wrong.",
                    **_ref(frame),
                }
            )

    def reply_error(self, error: EMLError, frame: dict[str, Any]) -> None:
        self.reply({"type": Frame.ERROR, "code": error.code, "detail": str(error.detail), **_ref(frame)})

    @staticmethod
    def _parse(event: dict[str, Any]) -> dict[str, Any]:
        text = event.get("text")
        if not text:
            raise BadFrame
        if len(text) > realtime.MAX_FRAME_BYTES:
            raise Closed(CloseCode.TOO_BIG)
        try:
            frame = loads_strict(text, max_bytes=realtime.MAX_FRAME_BYTES)
        except Invalid as error:
            raise BadFrame from error
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            raise BadFrame
        return frame

    async def _handle(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "auth":
            if not self.is_authenticated:
                self.is_authenticated = await self.authenticate(frame)
            if not self.is_authenticated:
                raise Closed(CloseCode.UNAUTHENTICATED)
        elif not self.is_authenticated:
            raise Closed(CloseCode.UNAUTHENTICATED)
        elif kind == "pong":
            self.last_pong = time.monotonic()
        elif kind in self.frames:
            await self.frames[kind](self, frame)
        else:
            raise UnknownType

    def _count_frame(self) -> None:
        now = time.monotonic()
        self._tokens = min(FRAME_BURST, self._tokens + (now - self._tokens_at) * FRAMES_PER_SECOND)
        self._tokens_at = now
        if self._tokens < 1:
            self._limited += 1
            if self._limited > MOST_LIMITED_FRAMES:
                raise Closed(CloseCode.RATE_LIMITED)
            raise RateLimited
        self._tokens -= 1

    def _count_bad_frame(self) -> None:
        now = time.monotonic()
        self._bad.append(now)
        if len(self._bad) > MOST_BAD_FRAMES and now - self._bad[0] < BAD_FRAME_SECONDS:
            raise Closed(CloseCode.BAD_FRAMES)


def _ref(frame: dict[str, Any]) -> dict[str, Any]:
    """What lets the client match an error to its frame."""
    return {"client_msg_id": frame["client_msg_id"]} if isinstance(frame.get("client_msg_id"), str) else {}


class BadFrame(Invalid):
    code = "bad_frame"
    detail = "This frame is not understood."


class UnknownType(Invalid):
    code = "unknown_type"
    detail = "There is no frame of this type."


class RateLimited(EMLError):
    code = "rate_limited"
    status = 429
    detail = "Too many frames, slow down."
