"""A websocket as a good client keeps it: authenticates, answers pings, notices silence, reconnects after every loss."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.typing import Origin

from .address import Address

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
# The server pings every ten seconds; after this silence the connection is dead, whatever TCP believes.
SILENCE_SECONDS = 26.0


class Line:
    """Give it how to say hello and what to do with each frame."""

    def __init__(
        self,
        address: Address,
        path: str,
        *,
        hello: Callable[[], Awaitable[dict]],
        on_frame: Callable[[dict], Awaitable[None]],
        sends_origin: bool = False,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self._address, self._path = address, path
        self._hello, self._on_frame, self._on_loss = hello, on_frame, on_loss
        self._sends_origin = sends_origin
        self._socket: ClientConnection | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._is_over = False

    async def run(self) -> None:
        """Until `hang_up`; a lost connection is opened again with jitter, at the next door."""
        while not self._is_over:
            # TimeoutError is silence; InvalidMessage a server that dies while it shakes hands.
            with contextlib.suppress(
                OSError, EOFError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError
            ):
                await self._talk()
            self._socket = None
            if not self._is_over:
                self._on_loss()
                self._address.move_on()
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    async def _talk(self) -> None:
        hello = await self._hello()
        origin = Origin(self._address.http) if self._sends_origin else None
        # The server's own pings tell whether it lives; the protocol's would only add noise.
        async with connect(
            self._address.ws + self._path, origin=origin, ping_interval=None, max_queue=None, close_timeout=1
        ) as socket:
            await socket.send(json.dumps(hello))
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    text = await socket.recv()
                # Only now is it known that somebody answers there, and that he let us in.
                self._socket, self._pause = socket, FIRST_PAUSE_SECONDS
                await self._take(json.loads(text))

    async def say(self, frame: dict) -> bool:
        """Whether the frame went out; a caller who needs an answer says it again until he has one."""
        if self._socket is None:
            return False
        try:
            await self._socket.send(json.dumps(frame))
        except ConnectionClosed:
            return False
        return True

    async def drop(self) -> None:
        """Lose the connection, as a tunnel or a closed lid does it: no goodbye."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def hang_up(self) -> None:
        self._is_over = True
        if self._socket is not None:
            await self._socket.close()

    async def _take(self, frame: dict) -> None:
        if frame["type"] == "ping":
            await self.say({"type": "pong"})
        await self._on_frame(frame)
