"""PostgreSQL, Redis and RabbitMQ go away while people talk, and come back: F09, F10, F14, F17.

Nothing that was acknowledged is lost, nothing is there twice, health says what is missing, and nobody has to help:
the same processes go on.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.faults.chat import Chat, chat_with, started
from tests.faults.processes import (
    Installation,
    Servers,
    assert_clean,
    needs_servers,
    wait_until,
    write_conversations,
)

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.timeout(300),
    needs_servers,
]

CONVERSATIONS = 10
BODY_KEYS = {"type", "code", "detail", "fields", "request_id"}
# After it is back: what is noticed by the next request, and what somebody has to connect to again.
SOON, LATER = 10.0, 60.0


def health(installation: Installation, name: str = "web1") -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{installation[name].url}/health/", timeout=10)
    return answer.status_code, answer.json()


def is_ok(installation: Installation) -> bool:
    return all(health(installation, name) == (200, OK) for name in ("web1", "web2"))


OK = {"status": "ok", "checks": {"database": "ok", "cache": "ok", "broker": "ok"}}


def lacks(what: str) -> dict[str, Any]:
    status = "unavailable" if what == "database" else "degraded"
    return {"status": status, "checks": OK["checks"] | {what: "down"}}


@contextmanager
def talking(installation: Installation, folder: Path, *, seed: int) -> Iterator[Callable[[int], None]]:
    """People talk meanwhile; gives a way to wait until they have said so much. At the end everything must add up."""
    file = write_conversations(folder / "turns.csv", how_many=CONVERSATIONS, turns=5, seed=seed)
    before = installation.messages()
    with installation.replay(file, "--customers=8", "--agents=4", "--limit=0", "--rate=8") as replay:
        yield lambda number: installation.wait_for_messages(before + number, replay=replay)
        assert_clean(replay.proof(seconds=200), conversations=CONVERSATIONS)
    assert all(process.is_running for process in installation.processes)
    installation.assert_routing_in_order()


def recovered(installation: Installation, *, seconds: float) -> None:
    took = wait_until(lambda: is_ok(installation), seconds=seconds, what="health is ok again")
    print(f"healthy {took:.1f} s after it was back")


@contextmanager
def away(servers: Servers, name: str, how: str = "killed") -> Iterator[None]:
    """Back again whatever happens: the next test needs it."""
    servers.stop(name) if how == "stopped" else servers.kill(name)
    try:
        yield
    finally:
        servers.start(name)


@pytest.fixture(scope="module")
def inbox(installation: Installation) -> str:
    """Where customers come in who are not the replay's."""
    made = installation.manage("shell", "-c", MAKE_INBOX)
    assert made.returncode == 0, made.stderr[-2000:]
    return "outages"


MAKE_INBOX = """
from apps.messaging.models import Inbox
from apps.users.models import Team
Inbox.objects.create(name="Outages", slug="outages", team=Team.objects.create(name="Outages"))
"""


@pytest.fixture
def chat(installation: Installation, inbox: str) -> Iterator[Chat]:
    with chat_with(installation["web1"], inbox) as made:
        yield made


# PostgreSQL


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_f09_f10_everything_goes_on_after_the_database_was_away(
    installation: Installation, servers: Servers, inbox: str, tmp_path: Path, how: str
) -> None:
    with talking(installation, tmp_path, seed=9) as wait_for:
        wait_for(15)
        with away(servers, "postgres", how):
            assert health(installation) == (503, lacks("database"))
            # Alive all the same: whoever restarted what can do nothing about it would only make it worse.
            assert httpx.get(f"{installation['web1'].url}/health/live/").is_success
            refused = started(installation["web2"], inbox)
            assert (refused.status_code, set(refused.json())) == (503, BODY_KEYS)
            assert int(refused.headers["Retry-After"]) > 0
        recovered(installation, seconds=SOON)


def test_f09_a_killed_backend_is_recovered_from(installation: Installation, tmp_path: Path) -> None:
    """PostgreSQL throws everybody out when one of its processes dies, and recovers by itself."""
    with talking(installation, tmp_path, seed=10) as wait_for:
        wait_for(15)
        with psycopg.connect(installation.environment["DATABASE_URL"]) as database:
            pids = database.execute(OTHERS).fetchall()
        os.kill(pids[0][0], signal.SIGKILL)
        wait_until(lambda: installation.messages() >= 0, seconds=LATER, what="PostgreSQL has recovered")
        recovered(installation, seconds=SOON)


OTHERS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


def test_f10_a_socket_stays_open_says_so_and_takes_the_message_afterwards(
    installation: Installation, servers: Servers, chat: Chat
) -> None:
    message = {"type": "message", "client_msg_id": str(uuid.uuid4()), "body": "while it was away"}
    before = installation.messages()
    with away(servers, "postgres"):
        chat.send(**message)
        refused = chat.wait_for("ack", "error")
        assert (refused["type"], refused["code"]) == ("error", "unavailable")
    recovered(installation, seconds=SOON)
    assert installation.messages() == before
    acknowledged = said_until_taken(chat, message)
    chat.send(**message)
    assert chat.wait_for("ack", "error") == acknowledged
    assert installation.messages() == before + 1


def said_until_taken(chat: Chat, message: dict[str, str], *, times: int = 3) -> dict[str, Any]:
    """As every client does: "not available, try again" is tried again. A connection of before may cost one try."""
    for _ in range(times):
        chat.send(**message)
        answer = chat.wait_for("ack", "error")
        if answer["type"] == "ack":
            return answer
        assert answer["code"] == "unavailable"
        time.sleep(1)
    raise AssertionError(f"not taken in {times} tries: {answer}")


# Redis


def test_f14_messages_are_stored_without_redis_and_reach_everybody_after(
    installation: Installation, servers: Servers, tmp_path: Path
) -> None:
    with talking(installation, tmp_path, seed=14) as wait_for:
        wait_for(15)
        with away(servers, "redis"):
            assert health(installation) == (200, lacks("cache"))
            wait_for(25)
        recovered(installation, seconds=SOON)


def test_f14_without_redis_nobody_signs_in_and_everybody_else_goes_on(
    installation: Installation, servers: Servers, inbox: str, chat: Chat
) -> None:
    def sign_in() -> httpx.Response:
        tried = {"email": "nobody@example.com", "password": "wrong horse battery"}
        return httpx.post(f"{installation['web1'].url}/api/v1/auth/token/", json=tried, timeout=15)

    with away(servers, "redis"):
        refused = sign_in()
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert started(installation["web1"], inbox).status_code == 201
        assert chat.say("still here")["type"] == "ack"
    # A dead cache is not asked for some seconds.
    wait_until(lambda: sign_in().status_code == 401, seconds=SOON, what="signing in works again")


# RabbitMQ


@contextmanager
def hanging(servers: Servers) -> Iterator[None]:
    """It takes connections and answers nothing, as when it has run out of memory."""
    group = int((servers.folder / "rabbitmq.pid").read_text())
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_f17_nobody_waits_for_rabbitmq_and_what_was_not_done_is_done_after(
    installation: Installation, servers: Servers, inbox: str, tmp_path: Path, how: str
) -> None:
    with talking(installation, tmp_path, seed=17) as wait_for:
        wait_for(15)
        usual = seconds_of(started, installation["web1"], inbox)
        with away(servers, "rabbitmq") if how == "killed" else hanging(servers):
            assert health(installation) == (200, lacks("broker"))
            without = seconds_of(started, installation["web1"], inbox)
            print(f"a start took {usual:.3f} s with, {without:.3f} s without RabbitMQ")
            # Whoever waited for it would do so for the seconds after which Celery gives up, at least.
            assert without < max(1.0, 3 * usual)
        recovered(installation, seconds=LATER)
    wait_until(lambda: waiting(installation) == 0, seconds=LATER, what="what followed from events is done")


def seconds_of(function: Callable[..., Any], *arguments: Any, times: int = 7) -> float:
    """How long one call takes, usually."""

    def one() -> float:
        began = time.perf_counter()
        function(*arguments)
        return time.perf_counter() - began

    return statistics.median(one() for _ in range(times))


def waiting(installation: Installation) -> int:
    """Events whose consequences are still to come."""
    with psycopg.connect(installation.environment["DATABASE_URL"]) as database:
        return database.execute("SELECT count(*) FROM core_handling").fetchone()[0]
