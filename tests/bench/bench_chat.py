"""Chat, measured: messages per second stored and delivered to two other sockets each, beside the database's own limit.

300 sockets on 100 conversations: of each its customer, its agent and a second member of the team. Run it with
`make bench`; docs/performance.md keeps the table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect

from . import ground

CONVERSATIONS = 100
IDLE_SOCKETS = 1000
# One person may hold 20 sockets at most.
WATCHERS = 20
BODY = "I would like to know when the new card arrives, please."


@dataclass
class Count:
    """What the load generator saw."""

    acked: int = 0
    delivered: int = 0
    sent_at: dict[str, float] = field(default_factory=dict)
    ack_seconds: list[float] = field(default_factory=list)
    delivery_seconds: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="of full load (default: %(default)s)")
    options = parser.parse_args()
    with ground.durable_servers():
        ground.prepare_django(EML_CHAT_START_RATE="100000/min")
        keys = _people_and_conversations()
        port = ground.free_port()
        with ground.web_server(port) as server:
            limit = ground.commits_per_second()
            figures = asyncio.run(_measure(port, server.pid, keys, options.seconds))
            limit = (limit + ground.commits_per_second()) / 2
        _print(figures, limit)


def _people_and_conversations() -> list[tuple[str, int]]:
    """(visitor token, conversation) of conversations that an agent has; all in one team."""
    from django.utils import timezone

    from apps.core.events import SYSTEM
    from apps.messaging.models import Inbox
    from apps.messaging.services import conversations, visitors
    from apps.users.models import Team
    from apps.users.services import people

    now = timezone.now()
    team = Team.objects.create(name="Bench")
    inbox = Inbox.objects.create(name="Bench", slug="bench", team=team)
    watchers = [
        people.create(email=_email(n), name=f"Agent {n}", teams=[team], by=SYSTEM) for n in range(WATCHERS)
    ]
    keys = []
    for n in range(CONVERSATIONS):
        conversation, token = visitors.open_chat(
            inbox, claims=visitors.Claims(name=f"Customer {n}"), body=BODY, start_key=uuid.uuid4(), now=now
        )
        conversations.assign(conversation.pk, agent=watchers[0], by=SYSTEM, now=now)
        keys.append((token, conversation.pk))
    return keys


def _email(number: int) -> str:
    return f"agent-{number}@bench.invalid"


def _ticket(email: str) -> str:
    from django.utils import timezone

    from apps.users.models import User
    from apps.users.services import tickets

    return tickets.issue(User.objects.get(email=email), now=timezone.now())


async def _measure(port: int, pid: int, keys: list[tuple[str, int]], seconds: float) -> dict[str, float]:
    from apps.core import threads

    chat, desk = f"ws://127.0.0.1:{port}/ws/chat/", f"ws://127.0.0.1:{port}/ws/desk/"
    origin = f"http://127.0.0.1:{port}"
    count = Count()
    customers = [await _customer(chat, origin, token) for token, _ in keys]
    desks = []
    for n, (_, conversation) in enumerate(keys * 2):
        ticket = await threads.run(_ticket, _email(n % WATCHERS))
        desks.append(await _desk(desk, ticket, conversation))
    tasks = [asyncio.create_task(_listen(socket, count, is_sender=False)) for socket in desks]
    figures: dict[str, float] = {}
    figures |= await _full_load(customers, count, pid, seconds)
    listeners = [asyncio.create_task(_listen(socket, count, is_sender=True)) for socket in customers]
    for rate in (50, 200):
        figures |= await _fixed_rate(customers, count, rate)
    for task in (*tasks, *listeners):
        task.cancel()
    await asyncio.gather(*(socket.close() for socket in (*customers, *desks)))
    figures |= await _idle(chat, origin, keys, pid)
    return figures


async def _customer(url: str, origin: str, token: str) -> ClientConnection:
    socket = await connect(url, origin=origin, ping_interval=None, compression=None, max_queue=None)
    await socket.send(json.dumps({"type": "auth", "token": token, "after_seq": 0}))
    await _until(socket, '"replay"')
    return socket


async def _desk(url: str, ticket: str, conversation: int) -> ClientConnection:
    socket = await connect(url, ping_interval=None, compression=None, max_queue=None)
    await socket.send(json.dumps({"type": "auth", "ticket": ticket}))
    await _until(socket, '"ready"')
    await socket.send(json.dumps({"type": "watch", "conversation": conversation, "after_seq": 0}))
    await _until(socket, '"replay"')
    return socket


async def _until(socket: ClientConnection, mark: str) -> None:
    while mark not in await socket.recv():
        pass


def _message(key: str) -> str:
    return json.dumps({"type": "message", "client_msg_id": key, "body": BODY})


async def _full_load(
    customers: list[ClientConnection], count: Count, pid: int, seconds: float
) -> dict[str, float]:
    """Every customer sends the next message as soon as the last one is acknowledged."""
    stop = time.perf_counter() + seconds
    cpu, began, before = ground.cpu_seconds(pid), time.perf_counter(), count.delivered

    async def talk(socket: ClientConnection) -> None:
        while time.perf_counter() < stop:
            await socket.send(_message(str(uuid.uuid4())))
            while True:
                text = await socket.recv()
                if text.startswith('{"type":"ack"'):
                    break
                if text.startswith('{"type":"ping"'):
                    await socket.send('{"type":"pong"}')
            count.acked += 1

    await asyncio.gather(*(talk(socket) for socket in customers))
    took = time.perf_counter() - began
    for _ in range(100):
        if count.delivered - before >= 2 * count.acked:
            break
        await asyncio.sleep(0.1)
    return {
        "messages/s": count.acked / took,
        "undelivered": 2 * count.acked - (count.delivered - before),
        "server CPU ms/message": (ground.cpu_seconds(pid) - cpu) / count.acked * 1000,
    }


async def _listen(socket: ClientConnection, count: Count, *, is_sender: bool) -> None:
    async for text in socket:
        if text.startswith('{"type":"message"'):
            if is_sender:
                continue
            count.delivered += 1
            if count.sent_at and (began := count.sent_at.get(json.loads(text)["client_msg_id"])):
                count.delivery_seconds.append(time.perf_counter() - began)
        elif text.startswith('{"type":"ack"'):
            if began := count.sent_at.get(json.loads(text)["client_msg_id"]):
                count.ack_seconds.append(time.perf_counter() - began)
        elif text.startswith('{"type":"ping"'):
            await socket.send('{"type":"pong"}')


async def _fixed_rate(customers: list[ClientConnection], count: Count, rate: int) -> dict[str, float]:
    count.sent_at.clear(), count.ack_seconds.clear(), count.delivery_seconds.clear()
    began = time.perf_counter()
    for n in range(rate * 10):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        key = str(uuid.uuid4())
        count.sent_at[key] = time.perf_counter()
        await customers[n % len(customers)].send(_message(key))
    await asyncio.sleep(1)
    figures = {"lost": rate * 10 - len(count.ack_seconds)}
    for name, values in (("ack", count.ack_seconds), ("delivered", count.delivery_seconds)):
        figures |= {f"{name} p50 ms": ground.percentile(values, 0.5) * 1000}
        figures |= {f"{name} p99 ms": ground.percentile(values, 0.99) * 1000}
    return {f"{rate}/s: {name}": value for name, value in figures.items()}


async def _idle(url: str, origin: str, keys: list[tuple[str, int]], pid: int) -> dict[str, float]:
    """Memory of sockets that are open and quiet."""
    await asyncio.sleep(2)
    before = ground.resident_kib(pid)
    sockets = [await _customer(url, origin, keys[n % len(keys)][0]) for n in range(IDLE_SOCKETS)]
    await asyncio.sleep(2)
    used = (ground.resident_kib(pid) - before) / IDLE_SOCKETS
    await asyncio.gather(*(socket.close() for socket in sockets))
    return {f"KiB per idle socket ({IDLE_SOCKETS})": used}


def _print(figures: dict[str, float], limit: float) -> None:
    print(f"{'limit: commits/s, bare psycopg, 8 connections':48} {limit:10.0f}")
    for name, value in figures.items():
        print(f"{name:48} {value:10.2f}")
    print(f"{'messages/s ÷ limit':48} {figures['messages/s'] / limit:10.3f}")


if __name__ == "__main__":
    main()
