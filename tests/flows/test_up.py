"""`manage.py up`, as somebody meets it who tries the program for the first time."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from apps.core.realtime import CloseCode
from eml.settings.env import ec_private_key
from tests.conftest import LiveServer
from tests.faults.processes import Installation, Process, embedded, free_port, wait_until
from tests.wire import wire

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.embedded, pytest.mark.timeout(240)]
STOP_SECONDS = 10.0
# What a database server asks for, so that only the setting under test is wrong.
SECRETS = {"EML_SECRET_KEY": "x" * 50, "EML_JWT_PRIVATE_KEY": ec_private_key()}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[tuple[Installation, Process]]:
    with embedded(tmp_path, migrated=False) as made:
        yield made


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[tuple[Installation, Process]]:
    """The same with all tables, for those whom migrating only costs time."""
    with embedded(tmp_path) as made:
        yield made


def test_up_on_a_fresh_folder_serves_everything_and_starts_again_with_the_same_data(fresh) -> None:
    installation, server = fresh
    server.start().wait_ready()
    for path in ("/", "/chat/support/", "/api/v1/schema/", "/static/js/chat/main.js"):
        assert httpx.get(server.url + path).status_code == 200, path
    assert "ana@demo.example" in server.output()
    assert _rows(installation, "users_user") == 5
    assert server.stop() == 0
    first = server.output()
    seconds = server.start().wait_ready()
    assert seconds < 30, "the second start takes a few seconds, on a busy machine some more"
    assert _rows(installation, "users_user") == 5
    assert "Demo data created." in first
    assert server.output().count("Demo data created.") == 1


def _rows(installation: Installation, table: str) -> int:
    with sqlite3.connect(installation.folder / "var" / "db.sqlite3") as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_on_a_signal_with_0_and_without_a_traceback(installed, number: int) -> None:
    _, server = installed
    server.start().wait_ready()
    with httpx.Client() as client:
        # An idle keep-alive connection must not hold it.
        client.get(server.url + "/")
        code = server.stop(number, seconds=STOP_SECONDS * _busy())
    assert code == 0
    assert "Traceback" not in server.output()
    assert "Stopping" in server.output()


def _busy() -> float:
    """Promises in seconds hold for a machine that has time; where many wait for it, they take turns."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_up_ends_on_ctrl_c_while_it_still_starts(fresh) -> None:
    installation, server = fresh
    database = installation.folder / "var" / "db.sqlite3"
    server.start()
    wait_until(database.exists, seconds=60, what="it migrates")
    assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.output()
    # What was half done is done by the next start.
    server.start().wait_ready()
    assert _rows(installation, "users_user") == 5


def test_up_on_a_port_in_use_says_so_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = Installation(tmp_path, EML_PORT=str(port)).manage("up")
    assert done.returncode == 1
    (sentence,) = done.stderr.strip().splitlines()
    assert f"Port {port} on 127.0.0.1 is not free" in sentence
    assert "EML_PORT" in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EML_PORT", "eighty"),
        ("EML_PORT", "99999"),
        ("EML_BASE_URL", "example.com"),
        ("EML_DEMO", "perhaps"),
        ("EML_API_RATE", "fast"),
        ("EML_CHAT_START_RATE", "5/year"),
        ("EML_EMAIL_URL", "post office"),
        ("EML_LANGUAGE", "xx"),
        ("EML_TIME_ZONE", "Mars/Olympus"),
        ("EML_VAR", "/dev/null/var"),
        ("EML_JWT_PRIVATE_KEY", "secret"),
        ("DATABASE_URL", "mysql://x/y"),
        ("DATABASE_URL", "postgres://"),
        ("REDIS_URL", "http://localhost"),
        ("BROKER_URL", "redis://localhost"),
    ],
)
def test_up_with_a_wrong_setting_names_it_in_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    installation = Installation(tmp_path, **SECRETS | {"EML_PORT": str(free_port()), name: value})
    # `up` reads the settings before anything else; on a busy machine Django itself takes seconds to load.
    done = installation.run("-c", "import eml.settings")
    assert done.returncode == 1
    (sentence,) = done.stderr.strip().splitlines()
    assert name in sentence


@pytest.mark.parametrize(("name", "value"), [("EML_PORT", "eighty"), ("EML_HOST", "nowhere.invalid")])
def test_up_itself_with_a_wrong_setting_ends_with_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    done = Installation(tmp_path, **{"EML_PORT": str(free_port()), name: value}).manage("up")
    assert done.returncode == 1
    (sentence,) = done.stderr.strip().splitlines()
    assert name in sentence


def test_up_without_its_database_says_so(tmp_path: Path) -> None:
    address = f"postgres://nobody@127.0.0.1:{free_port()}/eml"
    installation = Installation(tmp_path, DATABASE_URL=address, EML_PORT=str(free_port()), **SECRETS)
    done = installation.manage("up")
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_f02_up_tells_open_sockets_to_come_back_before_it_ends(installed) -> None:
    _, server = installed
    server.start().wait_ready()
    with httpx.Client(base_url=server.url) as client:
        # Its connection stays open, without a request.
        started = client.post(
            "/api/v1/chat/support/start/", json={"start_key": str(uuid.uuid4()), "body": "hello"}
        ).json()
        live = LiveServer("127.0.0.1", server.port)
        with wire(live, "/ws/chat/") as socket:
            socket.send({"type": "auth", "token": started["token"]})
            socket.wait_for("ready", seconds=30)
            server.ask_to_stop()
            assert socket.close_code(seconds=30) == CloseCode.RESTART
    assert server.ended(seconds=STOP_SECONDS * _busy()) == 0
