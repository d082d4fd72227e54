"""All sockets of this process: one subscription to the live layer, handed out to the sockets of each group."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from channels.layers import get_channel_layer

from . import realtime

if TYPE_CHECKING:
    from .sockets import Socket

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0


class Hub:
    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self._groups: dict[str, set[Socket]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task] = []

    def attach(self, socket: Socket) -> None:
        """Called by every socket that opens; the first one on a loop starts the hub's own tasks there."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self.sockets.clear()
            self._groups.clear()
            realtime.use_loop(loop)
            self._tasks = [loop.create_task(self._read()), loop.create_task(self._beat())]
        self.sockets.add(socket)

    def detach(self, socket: Socket) -> None:
        self.sockets.discard(socket)
        for group in list(socket.groups):
            self.leave(group, socket)

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
                socket.receive_group(group, text)

    async def _read(self) -> None:
        while True:
            try:
                layer = get_channel_layer()
                channel = await layer.new_channel()
                await layer.group_add(realtime.LAYER_GROUP, channel)
                while True:
                    message = await layer.receive(channel)
                    self.hand_out(message["frames"])
            except Exception as error:
                logger.warning("live layer lost (%s), trying again", type(error).__name__)
                await asyncio.sleep(1)

    async def _beat(self) -> None:
        """Every few seconds each kind of socket looks after all of its own in this process, in a few queries."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            kinds: dict[type[Socket], list[Socket]] = defaultdict(list)
            for socket in self.sockets:
                kinds[type(socket)].append(socket)
            for kind, sockets in kinds.items():
                try:
                    await kind.beat(sockets)
                except Exception as error:
                    logger.warning("beat of %s failed: %s", kind.__name__, type(error).__name__)


hub = Hub()
