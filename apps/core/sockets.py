"""Base of all websockets: parse guard, authentication first, limits, fixed frame dictionary, orderly writing.

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

from django.db import Error as DatabaseFailure
from django.utils.translation import gettext_lazy as _

from . import realtime
from .errors import EMLError, Invalid, Unavailable
from .hub import hub
from .json import TooLarge, loads_strict
from .networks import network_of_socket
from .realtime import CloseCode, Frame

logger = logging.getLogger(__name__)

AUTH_SECONDS = 10.0
PING_SECONDS = 10.0
# A client that answers no ping for this long reads nothing: its unsent frames only fill our memory.
SILENCE_SECONDS = 25.0
MOST_UNSENT_FRAMES = 512
GOODBYE_SECONDS = 5.0
MOST_BAD_FRAMES, BAD_FRAME_SECONDS = 5, 10.0
FRAMES_PER_SECOND, FRAME_BURST, MOST_LIMITED_FRAMES = 30.0, 90.0, 100
# Per process. Whoever is nobody yet shares his address with strangers; whoever is somebody has only so many tabs.
MOST_STRANGERS_PER_NETWORK = 500
MOST_SOCKETS_PER_OWNER = 20

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
        # Whose socket it is ("user:5"), for the limit per person; set by `authenticate`.
        self.owner = ""
        self.last_pong = self.last_ping = time.monotonic()
        self.network = network_of_socket(scope)
        self._receive, self._send = receive, send
        self._unsent: asyncio.Queue[str | None] = asyncio.Queue(MOST_UNSENT_FRAMES)
        self._bad: deque[float] = deque(maxlen=MOST_BAD_FRAMES + 1)
        self._tokens, self._tokens_at, self._limited = FRAME_BURST, time.monotonic(), 0
        self._close_code: int | None = None
        self._task: asyncio.Task | None = None

    @classmethod
    async def as_asgi(cls, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        await cls(scope, receive, send).run()

    # For subclasses

    async def authenticate(self, frame: dict[str, Any] | None) -> bool:
        """`None` when the socket opens (a session cookie may do); then the client's `auth` frame."""
        raise NotImplementedError

    async def welcome(self, frame: dict[str, Any] | None) -> None:
        """First frames after authentication: what the client starts from."""

    @classmethod
    async def beat(cls, sockets: list[Socket]) -> None:
        """Every few seconds, for all sockets of this kind in this process: rights, leases, pings."""
        raise NotImplementedError

    def reply(self, frame: dict[str, Any]) -> None:
        self.push(realtime.encode(frame))

    def push(self, text: str) -> None:
        if self._close_code is not None:
            return
        try:
            self._unsent.put_nowait(text)
        except asyncio.QueueFull:
            self.close(CloseCode.TOO_SLOW)

    def receive_group(self, group: str, text: str) -> None:
        """A frame published to a group this socket is in; subclasses may look at it first."""
        self.push(text)

    @property
    def is_closing(self) -> bool:
        return self._close_code is not None

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
            if self._task is not None:
                self._task.cancel()

    # The machine

    async def run(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            return
        self._task = asyncio.current_task()
        if hub.strangers_from(self.network) >= MOST_STRANGERS_PER_NETWORK:
            # Before the handshake, where refusing is cheapest: the client sees 403 and comes back later.
            await self._send({"type": "websocket.close", "code": CloseCode.RATE_LIMITED})
            return
        hub.attach(self)
        writer = asyncio.create_task(self._write())
        try:
            await self._send({"type": "websocket.accept"})
            await self._converse()
        except Closed as closed:
            self._close_code = self._close_code or closed.code
            await self._say_goodbye(writer)
        except asyncio.CancelledError:
            if self._close_code is None:
                raise
            await self._say_goodbye(writer)
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
        try:
            await self._enter(None)
        except DatabaseFailure as error:
            logger.warning("socket not authenticated: %s", type(error).__name__)
            raise Closed(CloseCode.RESTART) from None
        while not self.is_authenticated:
            event = await self._receive()
            if event["type"] != "websocket.receive":
                raise Closed(CloseCode.GONE)
            await self._take(event)

    async def _enter(self, frame: dict[str, Any] | None) -> None:
        if not await self.authenticate(frame):
            return
        if hub.owned_by(self.owner) >= MOST_SOCKETS_PER_OWNER:
            raise Closed(CloseCode.RATE_LIMITED)
        self.is_authenticated = True
        hub.introduce(self)
        await self.welcome(frame)

    async def _say_goodbye(self, writer: asyncio.Task) -> None:
        """Send what was said before the end, then the end; a peer that is gone or stuck is not waited for."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                if self._close_code != CloseCode.TOO_SLOW and not self._unsent.full():
                    self._unsent.put_nowait(None)
                    await asyncio.wait([writer])
                await self._send({"type": "websocket.close", "code": self._close_code})
        except Exception:  # the peer is gone already
            logger.debug("socket was gone before it was closed")

    async def _write(self) -> None:
        try:
            while (text := await self._unsent.get()) is not None:
                await self._send({"type": "websocket.send", "text": text})
        except Exception as error:  # servers tell in their own ways that the peer is gone
            logger.info("frame not sent: %s", type(error).__name__)
            # A socket that cannot be written to must not go on as if it could.
            self.close(CloseCode.GONE)

    async def _take(self, event: dict[str, Any]) -> None:
        frame: dict[str, Any] = {}
        try:
            self._count_frame()
            frame = self._parse(event)
            await self._handle(frame)
        except EMLError as error:
            self.reply_error(error, frame)
            if isinstance(error, BadFrame):
                self._count_bad_frame()
        except (Closed, asyncio.CancelledError):
            raise
        except DatabaseFailure as error:
            logger.warning("frame %s not handled: %s", frame.get("type"), type(error).__name__)
            self.reply_error(Unavailable(), frame)
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
        try:
            frame = loads_strict(text, max_bytes=realtime.MAX_FRAME_BYTES)
        except TooLarge:
            raise Closed(CloseCode.TOO_BIG) from None
        except Invalid as error:
            raise BadFrame from error
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            raise BadFrame
        return frame

    async def _handle(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "auth" and not self.is_authenticated:
            await self._enter(frame)
        if not self.is_authenticated:
            raise Closed(CloseCode.UNAUTHENTICATED)
        if kind == "pong":
            self.last_pong = time.monotonic()
        elif kind in self.frames:
            await self.frames[kind](self, frame)
        elif kind != "auth":
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
        if self._tokens == FRAME_BURST:
            # Quiet for seconds: an earlier burst is forgiven.
            self._limited = 0
        self._tokens -= 1

    def _count_bad_frame(self) -> None:
        now = time.monotonic()
        self._bad.append(now)
        if len(self._bad) > MOST_BAD_FRAMES and now - self._bad[0] < BAD_FRAME_SECONDS:
            raise Closed(CloseCode.BAD_FRAMES)


def _ref(frame: dict[str, Any]) -> dict[str, Any]:
    """What lets the client match an error to its frame."""
    client_msg_id = frame.get("client_msg_id")
    is_echoed = isinstance(client_msg_id, str) and len(client_msg_id) <= 36
    return {"client_msg_id": client_msg_id} if is_echoed else {}


class BadFrame(Invalid):
    code = "bad_frame"
    detail = _("This frame is not understood.")


class UnknownType(Invalid):
    code = "unknown_type"
    detail = _("There is no frame of this type.")


class RateLimited(EMLError):
    code = "rate_limited"
    status = 429
    detail = _("Too many frames, slow down.")
