"""Workers lose a child (F06), are told to stop (F07), get what is no task of ours or too much (F18): they go on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from amqp.exceptions import NotFound
from kombu import Connection, Producer
from kombu.transport.pyamqp import Channel

from tests.faults.processes import Installation, assert_clean, needs_servers, wait_until, write_conversations

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.timeout(300),
    needs_servers,
]
URGENT, BULK, DEAD = "eml.urgent", "eml.bulk", "eml.dead"
# The worker and its children.
CHILDREN = 2


def children(pid: int) -> list[int]:
    """Of all its threads: the one that replaces a dead child is not the one that started the first."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may end while it is looked at.
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


def is_replaced(pid: int, victim: int) -> bool:
    """A dead child is listed until its parent has taken note of it."""
    now = children(pid)
    return victim not in now and len(now) == CHILDREN


@pytest.mark.parametrize("how", ["child killed", "SIGTERM", "SIGQUIT"])
def test_f06_f07_a_worker_in_mid_work_loses_nothing(
    installation: Installation, tmp_path: Path, how: str
) -> None:
    file = write_conversations(tmp_path / "turns.csv", how_many=10, turns=4, seed=6)
    worker, before = installation["worker"], installation.messages()
    with installation.replay(file, "--customers=8", "--agents=4", "--limit=0", "--rate=8") as replay:
        installation.wait_for_messages(before + 15, replay=replay)
        if how == "child killed":
            victim = random.Random(6).choice(children(worker.pid))
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: is_replaced(worker.pid, victim), seconds=60, what="there is another child")
        else:
            assert worker.stop(getattr(signal, how), seconds=30) == 0
            worker.start()
        assert_clean(replay.proof(seconds=200), conversations=10)
    assert worker.is_running
    installation.assert_routing_in_order()


JSON, OURS = "application/json", {"task": "core.drain", "id": "1"}
NO_TASKS = {
    "no JSON": (b"\xff\xfe", JSON, OURS),
    "pickle": (b"\x80\x04N.", "application/x-python-serialize", OURS),
    "nothing": (b"", JSON, {}),
    "JSON of somebody else": (b'{"order": 5}', JSON, {}),
    "an unknown task": (b"[[], {}, {}]", JSON, {"task": "os.system", "id": "3"}),
    # These end Celery's own consumer.
    "no envelope": (b"5", JSON, OURS),
    "no envelope either": (b'"args"', JSON, OURS),
    "a number that is none": (b"[[], {}, {}]", JSON, OURS | {"timelimit": 7}),
}
# It is called, and fails; that is no reason to park it.
OTHER_ARGUMENTS = (b'[["x"], {"y": 1}, {}]', JSON, OURS)


def test_f18_what_is_no_task_of_ours_is_parked_and_the_queue_moves_on(
    installation: Installation, broker: Channel, tmp_path: Path
) -> None:
    for body, content_type, headers in (*NO_TASKS.values(), OTHER_ARGUMENTS):
        Producer(broker, routing_key=URGENT).publish(
            body, content_type=content_type, content_encoding="binary", headers=headers
        )
    file = write_conversations(tmp_path / "turns.csv", how_many=4, turns=3, seed=18)
    with installation.replay(file, "--customers=4", "--agents=2", "--limit=0") as replay:
        assert_clean(replay.proof(seconds=200), conversations=4)
    assert installation["worker"].is_running
    wait_until(
        lambda: messages_in(broker, DEAD) >= len(NO_TASKS), seconds=30, what="what is no task is parked"
    )
    assert sorted(parked(broker)) == sorted(body for body, _, _ in NO_TASKS.values())


def test_f18_what_fells_its_worker_again_and_again_is_parked(
    installation: Installation, broker: Channel, only_ours_in_bulk: None
) -> None:
    """As often as the queue allows, which only the broker counts: a felled worker remembers nothing."""
    Producer(broker, routing_key=BULK).publish(b"[[], {}, {}]", content_type=JSON, headers=OURS)
    felled = 0
    while messages_in(broker, DEAD) == 0 and felled < 20:
        # Its connection ends with the message in hand.
        with Connection(installation.environment["BROKER_URL"]) as line:
            felled += line.channel().basic_get(BULK) is not None
        time.sleep(0.2)
    assert felled == 6, "five more tries, and then it is parked"
    assert parked(broker) == [b"[[], {}, {}]"]


def test_f18_ticks_that_nobody_took_in_time_are_no_dead_letters(
    broker: Channel, only_ours_in_bulk: None
) -> None:
    tick = Producer(broker, routing_key=BULK)
    tick.publish(b"[[], {}, {}]", content_type=JSON, headers=OURS, expiration=0.1)
    wait_until(lambda: messages_in(broker, BULK) == 0, seconds=20, what="it expires")
    assert messages_in(broker, DEAD) == 0


def test_f18_what_is_urgent_does_not_wait_for_bulk(
    installation: Installation, broker: Channel, tmp_path: Path
) -> None:
    """All workers of bulk hang at campaigns that somebody has locked, and hundreds of such ticks lie before them."""
    ticks, file = 300, write_conversations(tmp_path / "turns.csv", how_many=4, turns=3, seed=19)
    with psycopg.connect(installation.environment["DATABASE_URL"]) as database:
        database.execute("LOCK TABLE notifications_campaign IN ACCESS EXCLUSIVE MODE")
        for number in range(ticks):
            Producer(broker, routing_key=BULK).publish(
                b"[[], {}, {}]",
                content_type=JSON,
                headers={"task": "notifications.campaigns", "id": str(number)},
            )
        with installation.replay(file, "--customers=4", "--agents=2", "--limit=0") as replay:
            assert_clean(replay.proof(seconds=200), conversations=4)
        # Had they been worked off meanwhile, this would show nothing.
        assert messages_in(broker, BULK) > ticks / 2
    broker.queue_purge(BULK)
    installation.assert_routing_in_order()


@pytest.fixture
def broker(installation: Installation) -> Iterator[Channel]:
    """A channel to a broker without dead letters."""
    with Connection(installation.environment["BROKER_URL"]) as connection:
        channel = connection.channel()
        for queue in (URGENT, BULK, DEAD):
            wait_until(partial(exists, connection, queue), seconds=60, what=f"a worker declares {queue}")
        channel.queue_purge(DEAD)
        yield channel


@pytest.fixture
def only_ours_in_bulk(installation: Installation, broker: Channel) -> Iterator[None]:
    """Nobody takes from it, and the scheduler puts nothing in."""
    others = installation["scheduler"], installation["worker-bulk"]
    for process in others:
        process.stop()
    broker.queue_purge(BULK)
    yield
    for process in others:
        process.start()


def exists(connection: Connection, queue: str) -> bool:
    try:
        with connection.channel() as channel:
            channel.queue_declare(queue, passive=True)
    except NotFound:
        return False
    return True


def messages_in(broker: Channel, queue: str) -> int:
    return broker.queue_declare(queue, passive=True).message_count


def parked(broker: Channel) -> list[bytes]:
    found = []
    while (message := broker.basic_get(DEAD, no_ack=True)) is not None:
        body = message.body
        found.append(body.encode() if isinstance(body, str) else bytes(body))
    return found
