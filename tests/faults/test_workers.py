"""Workers lose a child (F06), are told to stop (F07), and get what is no task of ours (F18): what follows is done."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Producer

from tests.faults.processes import Installation, assert_clean, needs_servers, wait_until, write_conversations

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.timeout(300),
    needs_servers,
]
QUEUE = "eml"
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


NO_TASKS = {
    "no JSON": (b"\xff\xfe", "application/json", {"task": "core.drain", "id": "1"}),
    "pickle": (b"\x80\x04N.", "application/x-python-serialize", {"task": "core.drain", "id": "2"}),
    "nothing": (b"", "application/json", {}),
    "an unknown task": (b"[[], {}, {}]", "application/json", {"task": "os.system", "id": "3"}),
    "other arguments": (b'[["x"], {"y": 1}, {}]', "application/json", {"task": "core.drain", "id": "4"}),
}


def test_f18_what_is_no_task_of_ours_is_thrown_away_and_the_queue_moves_on(
    installation: Installation, tmp_path: Path
) -> None:
    worker = installation["worker"]
    with Connection(installation.environment["BROKER_URL"]) as broker:
        producer = Producer(broker.channel(), exchange=Exchange(""), routing_key=QUEUE)
        for body, content_type, headers in NO_TASKS.values():
            producer.publish(body, content_type=content_type, content_encoding="binary", headers=headers)
    file = write_conversations(tmp_path / "turns.csv", how_many=4, turns=3, seed=18)
    with installation.replay(file, "--customers=4", "--agents=2", "--limit=0") as replay:
        assert_clean(replay.proof(seconds=200), conversations=4)
    assert worker.is_running
    with Connection(installation.environment["BROKER_URL"]) as broker:
        left = broker.channel().queue_declare(QUEUE, passive=True).message_count
    assert left < len(NO_TASKS), "they come back again and again"
