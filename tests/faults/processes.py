"""Installations to break: the program's real roles as child processes, in a folder and on ports of their own."""

from __future__ import annotations

import atexit
import contextlib
import csv
import functools
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import psycopg
import pytest

from eml.settings import env
from tests import databases

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180.0
OURS = ("EML_", "DATABASE_URL", "REDIS_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE")

needs_servers = pytest.mark.skipif(
    not os.environ.get("DATABASE_URL"), reason="needs PostgreSQL, Redis and RabbitMQ (tests/servers)"
)


def wait_until(is_so: Callable[[], bool], *, seconds: float, what: str) -> float:
    """Returns how long it took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """One role; may be killed and started again, always in the same place."""

    def __init__(
        self, installation: Installation, name: str, command: list[str], *, port: int | None
    ) -> None:
        self.installation, self.name, self.command, self.port = installation, name, command, port
        self.log = installation.folder / f"{name}.log"
        self._process: subprocess.Popen | None = None

    def start(self) -> Process:
        file: IO[bytes]
        port = {"EML_PORT": str(self.port)} if self.port else {}
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.installation.environment | port,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                # A group of its own: a worker's children go with it, pytest's Ctrl-C does not reach it.
                process_group=0,
            )
        return self

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        assert self.is_running, f"{self.name} ended by itself:\n{self.output()[-3000:]}"
        try:
            return httpx.get(f"{self.url}/health/", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def wait_ready(self, *, seconds: float = START_SECONDS) -> float:
        return wait_until(self.answers, seconds=seconds, what=f"{self.name} answers")

    def kill(self) -> None:
        """kill -9, with all its children."""
        assert self._process is not None
        assert self.is_running, f"{self.name} ended by itself:\n{self.output()[-3000:]}"
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 30) -> int:
        """Ask it to end; returns its exit code."""
        self.ask_to_stop(number)
        return self.ended(seconds=seconds)

    def ask_to_stop(self, number: int = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self, *, seconds: float) -> int:
        """Its exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(seconds)

    def end(self) -> None:
        """Whatever it takes; for cleaning up."""
        if self.is_running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(seconds=15)
        if self.is_running:
            self.kill()

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Installation:
    """A folder, an environment, and the processes that run in it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.environment = kept | {
            "EML_VAR": str(folder / "var"),
            "EML_ENV_FILE": "/dev/null",
            "EML_LOG_LEVEL": "WARNING",
            "EML_CHAT_START_RATE": "100000/min",
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        self.processes: list[Process] = []

    def __getitem__(self, name: str) -> Process:
        return next(process for process in self.processes if process.name == name)

    def role(self, name: str, *command: str, port: int | None = None) -> Process:
        """A role with this command line, not started."""
        process = Process(self, name, [sys.executable, *command], port=port)
        self.processes.append(process)
        return process

    def manage(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command of ours to its end."""
        return self.run("manage.py", *arguments, seconds=seconds)

    def run(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )

    def replay(self, file: Path, *arguments: str) -> Replay:
        """Through all doors that this installation has."""
        doors = [f"--server={process.url}" for process in self.processes if process.port]
        return Replay(self, ["manage.py", "replay", str(file), "--json", *doors, *arguments])

    def messages(self) -> int:
        """How many are stored; -1 while the database is away."""
        try:
            if address := self.environment.get("DATABASE_URL"):
                with psycopg.connect(address, connect_timeout=3) as database:
                    return _count(database)
            with sqlite3.connect(f"file:{self.folder}/var/db.sqlite3?mode=ro", uri=True) as database:
                return _count(database)
        except (psycopg.OperationalError, sqlite3.OperationalError):
            return -1

    def wait_for_messages(self, number: int, *, replay: Replay, seconds: float = 120) -> None:
        """Until so many are stored, which must happen while the replay runs."""

        def are_there() -> bool:
            assert replay.is_running, f"the replay ended before message {number}: {replay.proof(seconds=10)}"
            return self.messages() >= number

        wait_until(are_there, seconds=seconds, what=f"message {number} is stored")

    def assert_routing_in_order(self) -> None:
        done = self.manage("check_routing")
        assert done.returncode == 0, done.stdout + done.stderr

    def end(self) -> None:
        for process in reversed(self.processes):
            process.end()


def _count(database: sqlite3.Connection | psycopg.Connection) -> int:
    return database.execute("SELECT count(*) FROM messaging_message").fetchone()[0]


class Replay:
    """`manage.py replay`, running beside the faults."""

    def __init__(self, installation: Installation, command: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=installation.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def proof(self, *, seconds: float) -> dict[str, Any]:
        """Its last line; a run without one failed before it could prove anything."""
        try:
            out, err = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the replay did not end within {seconds:.0f} s") from None
        assert out.strip(), err[-3000:]
        proof = json.loads(out.splitlines()[-1])
        assert self._process.returncode == (1 if proof["faults"] else 0), err[-3000:]
        return proof

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self._process.kill()
        self._process.communicate()


@functools.cache
def _migrated() -> Path:
    """An empty database with all tables, and the keys it was made with: that takes longer than most tests."""
    if databases.IS_MIGRATED:
        return Path(os.environ["EML_VAR"])
    folder = Path(tempfile.mkdtemp(prefix="eml-migrated."))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Installation(folder).manage("migrate", "--noinput", seconds=300)
    assert made.returncode == 0, made.stderr[-3000:]
    return folder / "var"


def _copy(installed: Path, var: Path) -> None:
    shutil.copytree(installed, var, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sqlite3*"))
    databases.copy(installed / "db.sqlite3", var / "db.sqlite3")


@contextlib.contextmanager
def embedded(
    folder: Path, *, migrated: bool = True, **settings: str
) -> Iterator[tuple[Installation, Process]]:
    """`manage.py up` on SQLite, not started."""
    port = free_port()
    installation = Installation(folder, EML_PORT=str(port), **settings)
    if migrated:
        _copy(_migrated(), folder / "var")
    try:
        yield installation, installation.role("up", "manage.py", "up", port=port)
    finally:
        installation.end()


class Servers:
    """Private PostgreSQL (durable), Redis and RabbitMQ that may be crashed one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = os.environ | {"EML_SERVERS_DIR": str(folder), "EML_SERVERS_PORTS": "free"}
        lines = self._do("up", "--durable")
        self.addresses = dict(re.findall(r"^export (\w+)=(.*)$", lines, re.MULTILINE))

    def kill(self, name: str) -> None:
        self._do("kill", name)

    def stop(self, name: str) -> None:
        self._do("stop", name)

    def start(self, name: str) -> None:
        self._do("start", name)

    def down(self) -> None:
        self._do("down")

    def _do(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(ROOT / "tests" / "servers"), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, f"tests/servers {' '.join(arguments)}: {done.stderr[-3000:]}"
        return done.stdout


def services(folder: Path, servers: Servers, **settings: str) -> Installation:
    """The services profile, migrated, with the roles of docker/compose.yml; none of them is started."""
    installation = Installation(
        folder,
        EML_SECRET_KEY=secrets.token_urlsafe(50),
        EML_JWT_PRIVATE_KEY=env.ec_private_key(),
        **servers.addresses,
        **settings,
    )
    if not databases.restore(servers.addresses["DATABASE_URL"]):
        migrated = installation.manage("migrate", "--noinput", seconds=300)
        assert migrated.returncode == 0, migrated.stderr[-3000:]
    for name in ("web1", "web2"):
        installation.role(name, "manage.py", "serve", port=free_port())
    celery = ["-m", "celery", "-A", "eml"]
    for name, queue in (("worker", "urgent"), ("worker-bulk", "bulk")):
        names = (f"--queues=eml.{queue}", f"--hostname={queue}@%h")
        installation.role(name, *celery, "worker", *names, "--loglevel=WARNING", "--concurrency=2")
    installation.role("router", "manage.py", "router")
    installation.role("notifier", "manage.py", "notifier")
    installation.role("scheduler", *celery, "beat", "--loglevel", "WARNING", "--pidfile=")
    return installation


# REST answers that a replay may get while something is broken.
ALLOWED = {200, 201, 204, 404, 409, 429, 503}


def assert_clean(proof: dict[str, Any], *, conversations: int) -> None:
    print(proof)
    assert proof["faults"] == []
    assert proof["conversations"] == conversations
    assert proof["sent"] == proof["acknowledged"] == proof["stored"] == proof["received"]
    assert {int(status) for status in proof["answers"]} <= ALLOWED


def write_conversations(file: Path, *, how_many: int, turns: int, seed: int) -> Path:
    """A CSV of invented customers, the same for the same seed."""
    chance = random.Random(seed)
    words = [
        "card",
        "account",
        "please",
        "when",
        "transfer",
        "arrive",
        "ümlaut",
        '"quoted, text"',
        "thanks",
        "🙂",
    ]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["conversationId", "turn", "utterance"])
        for conversation in range(how_many):
            for turn in range(chance.randint(2, turns)):
                writer.writerow([f"c{conversation}", turn * 2, " ".join(chance.choices(words, k=6))])
    return file
