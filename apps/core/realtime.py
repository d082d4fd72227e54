"""The live protocol in one place: every frame type, every group name, and how a frame is published.

Frames are small JSON objects with a `type`. They are hints: whoever misses one notices at the next `ping`, which
carries the last `seq` of each conversation watched, and resumes. docs/websocket.md describes each frame in full.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES = 64 * 1024
LAYER_GROUP = "frames"
# Frames waiting for a slow Redis; the oldest are dropped first and found again by `resume`.
MOST_WAITING_FRAMES = 20_000
# Frames that go to the layer as one message, and how long a Redis that does not answer may hold up the next ones.
MOST_FRAMES_AT_ONCE = 500
PUBLISH_SECONDS = 3.0


class Frame(StrEnum):
    """Server to client."""

    READY = "ready"
    PING = "ping"
    ACK = "ack"
    ERROR = "error"
    MESSAGE = "message"
    REPLAY = "replay"
    RESYNC = "resync"
    TYPING = "typing"
    READ = "read"
    CONVERSATION_CHANGED = "conversation.changed"
    NOTE_ADDED = "note.added"
    ANSWER_CHANGED = "answer.changed"
    QUEUE_CHANGED = "queue.changed"
    OFFER_MADE = "offer.made"
    OFFER_ENDED = "offer.ended"
    PRESENCE_CHANGED = "presence.changed"
    NOTICE_PUT = "notice.put"
    REAUTH = "reauth"


class CloseCode:
    """Why the server ends a socket. The client may reconnect after any but UNAUTHENTICATED.

    Applications may use 1000 and 4000–4999 only: daphne refuses to send others. (1007 and 1009 are the server's own.)
    """

    GONE = 1000
    TOO_BIG = 4009
    RESTART = 4012
    BAD_FRAMES = 4400
    UNAUTHENTICATED = 4401
    TOO_SLOW = 4408
    RATE_LIMITED = 4429


def conversation_group(conversation_id: int) -> str:
    """What the customer and the staff of a conversation both see."""
    return f"conversation.{conversation_id}"


def staff_group(conversation_id: int) -> str:
    """What only the staff of a conversation sees: notes, routing, customer record."""
    return f"conversation.{conversation_id}.staff"


def user_group(user_id: int) -> str:
    return f"user.{user_id}"


# `json.dumps` would make one for every frame.
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(frame: dict[str, Any]) -> str:
    return _encoder.encode(frame)


def publish(group: str, frame: dict[str, Any]) -> None:
    """Send one frame to every socket in `group`, in whatever process. From any thread; never blocks, never raises."""
    publish_encoded([(group, encode(frame))])


def publish_encoded(frames: Iterable[tuple[str, str]]) -> None:
    """Like `publish`, for frames that are already JSON text: serialised once for all receivers."""
    _publisher().put(frames)


class Publisher:
    """Hands frames to the channel layer from one event loop; what piles up meanwhile goes as one message."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, owns_loop: bool = False) -> None:
        self._loop = loop
        self._owns_loop = owns_loop
        self._frames: deque[tuple[str, str]] = deque(maxlen=MOST_WAITING_FRAMES)
        self._wake = asyncio.Event()
        # It was woken and has not looked yet: waking a loop costs more than a frame does.
        self._is_woken = False
        self._task = loop.create_task(self._run())

    def put(self, frames: Iterable[tuple[str, str]]) -> None:
        self._frames.extend(frames)
        if self._is_woken:
            return
        self._is_woken = True
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:
            # The loop is closed: the process is going down, and its sockets with it.
            self._is_woken = False
            self._frames.clear()

    @property
    def is_usable(self) -> bool:
        return not self._loop.is_closed()

    def retire(self, *, heir: Publisher) -> None:
        """Another loop publishes from now on; what still waits here goes to it."""
        with contextlib.suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(self._end, heir)

    def _end(self, heir: Publisher) -> None:
        # On the loop that empties it, so nobody else takes frames meanwhile.
        heir.put([self._frames.popleft() for _ in range(len(self._frames))])
        self._task.cancel()
        if self._owns_loop:
            # When the task has ended: one that is thrown away before is an error, at whatever moment that is noticed.
            self._task.add_done_callback(lambda _task: self._loop.stop())

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            # Before looking: whoever puts a frame from now on wakes it again.
            self._is_woken = False
            while self._frames:
                waiting = min(len(self._frames), MOST_FRAMES_AT_ONCE)
                await self._send([self._frames.popleft() for _ in range(waiting)])

    async def _send(self, frames: list[tuple[str, str]]) -> None:
        try:
            # Before the clock runs: the first call in a process loads the client, which may take seconds.
            layer = get_channel_layer()
            async with asyncio.timeout(PUBLISH_SECONDS):
                await layer.group_send(LAYER_GROUP, {"type": "frames", "frames": frames})
        except Exception as error:
            logger.warning("live layer not reached (%s); screens will resync", type(error).__name__)


_lock = threading.Lock()
_current: Publisher | None = None
_pid: int | None = None


def use_loop(loop: asyncio.AbstractEventLoop, *, owns_loop: bool = False) -> None:
    """The server's own loop publishes from now on (called by the hub, inside that loop)."""
    global _current, _pid
    old, is_ours = _current, _pid == os.getpid()
    _current, _pid = Publisher(loop, owns_loop=owns_loop), os.getpid()
    if old is not None and is_ours:
        old.retire(heir=_current)


def _publisher() -> Publisher:
    with _lock:
        if _current is None or _pid != os.getpid() or not _current.is_usable:
            _start_own_loop()
        assert _current is not None
        return _current


def _start_own_loop() -> None:
    """Workers and WSGI processes have no loop: one daemon thread publishes for them."""
    started = threading.Event()

    def use_loop_and_tell(loop: asyncio.AbstractEventLoop) -> None:
        use_loop(loop, owns_loop=True)
        started.set()

    def run() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.call_soon(use_loop_and_tell, loop)
        loop.run_forever()
        loop.close()

    threading.Thread(target=run, name="publisher", daemon=True).start()
    started.wait(5)
