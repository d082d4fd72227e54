"""A websocket as a good client keeps it: authenticates, answers pings, reconnects after every loss."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

LONGEST_PAUSE_SECONDS = 5.0


class Line:
    """Subclass-free: give it how to say hello and what to do with each frame."""

    def __init__(
        self,
        url: str,
        *,
        hello: Callable[[], Awaitable[dict]],
        on_frame: Callable[[dict], Awaitable[None]],
        origin: str | None = None,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self._url, self._hello, self._on_frame, self._origin, self._on_loss = (
            url,
            hello,
            on_frame,
            origin,
            on_loss,
        )
        self._socket: ClientConnection | None = None
        self._is_over = False

    async def run(self) -> None:
        """Until `hang_up`; a lost connection is opened again with jitter."""
        pause = 0.2
        while not self._is_over:
            try:
                # The server's own pings tell whether it lives; the protocol's would only add noise.
                async with connect(
                    self._url, origin=self._origin, ping_interval=None, max_queue=None
                ) as socket:
                    pause = 0.2
                    await socket.send(json.dumps(await self._hello()))
                    self._socket = socket
                    async for text in socket:
                        await self._take(json.loads(text))
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                pass
            self._socket = None
            if not self._is_over:
                self._on_loss()
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def say(self, frame: dict) -> bool:
        """Whether the frame went out; a caller who needs an answer says it again until he has one."""
        if self._socket is None:
            return False
        try:
            await self._socket.send(json.dumps(frame))
        except ConnectionClosed:
            return False
        return True

    async def hang_up(self) -> None:
        self._is_over = True
        if self._socket is not None:
            await self._socket.close()

    async def _take(self, frame: dict) -> None:
        if frame["type"] == "ping":
            await self.say({"type": "pong"})
        await self._on_frame(frame)
