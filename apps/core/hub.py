"""All sockets of this process: one subscription to the live layer, handed out to the sockets of each group."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from channels.layers import get_channel_layer

from . import realtime

if TYPE_CHECKING:
    from .sockets import Socket

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
RECONNECT_SECONDS = 1.0


class Hub:
    """Lives on one event loop, the server's; everything here runs on it, so nothing here needs a lock."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self._groups: dict[str, set[Socket]] = defaultdict(set)
        self._strangers: Counter[str] = Counter()
        self._owners: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task] = []

    def attach(self, socket: Socket) -> None:
        """Called by every socket that opens; the first one on a loop starts the hub's own tasks there."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        self.sockets.add(socket)
        self._strangers[socket.network] += 1

    def introduce(self, socket: Socket) -> None:
        """From now on it is known whose socket this is."""
        _take_one(self._strangers, socket.network)
        self._owners[socket.owner] += 1

    def detach(self, socket: Socket) -> None:
        if socket not in self.sockets:
            return
        self.sockets.discard(socket)
        if socket.is_authenticated:
            _take_one(self._owners, socket.owner)
        else:
            _take_one(self._strangers, socket.network)
        for group in list(socket.groups):
            self.leave(group, socket)

    def close_all(self, code: int) -> None:
        """The server is about to end."""
        for socket in tuple(self.sockets):
            socket.close(code)

    def strangers_from(self, network: str) -> int:
        return self._strangers[network]

    def owned_by(self, owner: str) -> int:
        return self._owners[owner]

    def join(self, group: str, socket: Socket) -> None:
        self._groups[group].add(socket)
        socket.groups.add(group)

    def leave(self, group: str, socket: Socket) -> None:
        socket.groups.discard(group)
        members = self._groups.get(group)
        if members is not None:
            members.discard(socket)
            if not members:
                del self._groups[group]

    def hand_out(self, frames: list[tuple[str, str]]) -> None:
        for group, text in frames:
            for socket in tuple(self._groups.get(group, ())):
                try:
                    socket.receive_group(group, text)
                except Exception:
                    # One socket's trouble must not keep the frame from the others.
                    logger.exception("frame not handed to a %s", type(socket).__name__)

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """A process has one server loop; tests have one after another, and the old one's tasks must not go on."""
        old, tasks = self._loop, self._tasks
        for state in (self.sockets, self._groups, self._strangers, self._owners):
            state.clear()
        self._loop = loop
        realtime.use_loop(loop)
        self._tasks = [loop.create_task(self._read()), loop.create_task(self._beat())]
        if old is not None:
            with contextlib.suppress(RuntimeError):  # closed: its tasks are gone with it
                old.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])

    async def _read(self) -> None:
        while True:
            try:
                await self._read_from(get_channel_layer())
            except Exception as error:
                logger.warning("live layer lost (%s), trying again", type(error).__name__)
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _read_from(self, layer) -> None:
        channel = await layer.new_channel()
        try:
            await layer.group_add(realtime.LAYER_GROUP, channel)
            while True:
                message = await layer.receive(channel)
                self.hand_out(message["frames"])
        finally:
            # A channel nobody reads would go on filling.
            with contextlib.suppress(Exception):
                await layer.group_discard(realtime.LAYER_GROUP, channel)

    async def _beat(self) -> None:
        """Every few seconds each kind of socket looks after all of its own in this process, in a few queries."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self.beat_once()

    async def beat_once(self) -> None:
        kinds: dict[type[Socket], list[Socket]] = defaultdict(list)
        for socket in self.sockets:
            if socket.is_authenticated:
                kinds[type(socket)].append(socket)
        for kind, sockets in kinds.items():
            try:
                await kind.beat(sockets)
            except Exception as error:
                logger.warning("beat of %s failed: %s", kind.__name__, type(error).__name__)


def _take_one(counter: Counter[str], key: str) -> None:
    """Forget names whose count is zero: there are as many as there are customers."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


hub = Hub()
