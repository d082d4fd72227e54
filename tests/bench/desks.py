"""Desks that are open: sockets of agents that note when they are rung, in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence

from websockets.asyncio.client import connect


class Rung(threading.Event):
    """Set when a frame says that the agent is rung, and `at` when that was."""

    at = 0.0


@contextlib.contextmanager
def listening(port: int, agents: Sequence[int]) -> Iterator[dict[int, Rung]]:
    """By agent id. All sockets are open and greeted when it begins."""
    rung = {pk: Rung() for pk in agents}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="desks")
    thread.start()
    try:
        opened = [asyncio.run_coroutine_threadsafe(_open(port, pk), loop).result(20) for pk in agents]
        for pk, socket in zip(agents, opened, strict=True):
            asyncio.run_coroutine_threadsafe(_listen(socket, rung[pk]), loop)
        yield rung
        for socket in opened:
            asyncio.run_coroutine_threadsafe(socket.close(), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _open(port, pk):
    socket = await connect(f"ws://127.0.0.1:{port}/ws/desk/", ping_interval=None)
    ticket = await asyncio.to_thread(_ticket, pk)
    await socket.send(json.dumps({"type": "auth", "ticket": ticket}))
    while json.loads(await socket.recv())["type"] != "ready":
        continue
    return socket


def _ticket(agent_id: int) -> str:
    from django.db import connection
    from django.utils import timezone

    from apps.users.models import User
    from apps.users.services import tickets

    try:
        return tickets.issue(User.objects.get(agent=agent_id), now=timezone.now())
    finally:
        connection.close()


async def _listen(socket, rung: Rung) -> None:
    async for text in socket:
        frame = json.loads(text)
        if frame["type"] == "offer.made":
            rung.at = time.perf_counter()
            rung.set()
        elif frame["type"] == "ping":
            await socket.send('{"type": "pong"}')
