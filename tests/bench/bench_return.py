"""Everybody comes back at once: the web process is killed under its sockets and started again.

Customers keep to the rules of docs/websocket.md (a random pause, twice as long after each failure), each with a
conversation of his own. Run it with `python -m tests.bench.bench_return`; docs/performance.md keeps the table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from . import ground

FIRST_PAUSE, LONGEST_PAUSE = (0.5, 5.0), 15.0


@dataclass
class Customers:
    """`back_at` is when each was let in and had all messages; `refused` counts answers that are no websocket."""

    address: str
    back_at: dict[int, float] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)

    async def stay(self, number: int, token: str, chance: random.Random) -> None:
        """One of them, until he is cancelled."""
        failures = 0
        while True:
            try:
                await self._talk(number, token)
                failures = 0
            except InvalidStatus as error:
                self.refused[error.response.status_code] += 1
            except (OSError, EOFError, ConnectionClosed, TimeoutError):
                failures = 0 if number in self.back_at else failures
            self.back_at.pop(number, None)
            await asyncio.sleep(min(chance.uniform(*FIRST_PAUSE) * 2**failures, LONGEST_PAUSE))
            failures += 1

    async def _talk(self, number: int, token: str) -> None:
        origin = self.address.replace("ws://", "http://")
        async with connect(
            f"{self.address}/ws/chat/", origin=origin, ping_interval=None, compression=None
        ) as socket:
            await socket.send(json.dumps({"type": "auth", "token": token, "after_seq": 0}))
            async for text in socket:
                if text.startswith('{"type":"ping"'):
                    await socket.send('{"type":"pong"}')
                elif '"type":"replay"' in text[:40]:
                    self.back_at[number] = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ground.durable_servers():
        ground.prepare_django()
        tokens = _conversations(options.sockets)
        port = ground.free_port()
        asyncio.run(_measure(port, tokens, seed=options.seed))


def _conversations(how_many: int) -> list[str]:
    """The visitors' tokens."""
    from django.utils import timezone

    from apps.messaging.models import Inbox
    from apps.messaging.services import visitors
    from apps.users.models import Team

    inbox = Inbox.objects.create(name="Bench", slug="bench", team=Team.objects.create(name="Bench"))
    now = timezone.now()
    return [
        visitors.open_chat(
            inbox, claims=visitors.Claims(name=f"Customer {n}"), body="Hello", start_key=uuid.uuid4(), now=now
        )[1]
        for n in range(how_many)
    ]


async def _measure(port: int, tokens: list[str], *, seed: int) -> None:
    customers = Customers(f"ws://127.0.0.1:{port}")
    with ground.web_server(port) as server:
        tasks = [
            asyncio.create_task(customers.stay(number, token, random.Random(seed * 1_000_003 + number)))
            for number, token in enumerate(tokens)
        ]
        began = time.perf_counter()
        await _all_in(customers, len(tokens))
        print(f"{'sockets':44} {len(tokens):8}")
        print(f"{'first time: all in after s':44} {max(customers.back_at.values()) - began:8.1f}")
        server.kill()
        await asyncio.to_thread(server.wait)
    while customers.back_at:
        await asyncio.sleep(0.05)
    customers.refused.clear()
    with ground.web_server(port) as server:
        began = time.perf_counter()
        await _all_in(customers, len(tokens))
        waits = [at - began for at in customers.back_at.values()]
        print(f"{'after kill -9: half of them back after s':44} {ground.percentile(waits, 0.5):8.1f}")
        print(f"{'after kill -9: all back after s':44} {max(waits):8.1f}")
        print(f"{'processor time of the web process, ms each':44} {_cpu_each(server.pid, len(tokens)):8.2f}")
        print(
            f"{'answered with an error':44} {sum(customers.refused.values()):8} {dict(customers.refused) or ''}"
        )
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _all_in(customers: Customers, how_many: int) -> None:
    while len(customers.back_at) < how_many:
        await asyncio.sleep(0.05)


def _cpu_each(pid: int, how_many: int) -> float:
    return ground.cpu_seconds(pid) / how_many * 1000


if __name__ == "__main__":
    main()
