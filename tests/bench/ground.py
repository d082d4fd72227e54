"""What every benchmark stands on: private servers with durable commits, and the limit measured in the same run."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 8


@contextlib.contextmanager
def durable_servers() -> Iterator[None]:
    """PostgreSQL (fsync, synchronous_commit), Redis and RabbitMQ; their addresses in this process's environment."""
    with tempfile.TemporaryDirectory(prefix="eml-bench.") as folder:
        os.chmod(folder, 0o755)  # PostgreSQL runs under an account of its own
        os.environ |= {
            "EML_SERVERS_DIR": f"{folder}/servers",
            "EML_SERVERS_PORTS": "free",
            "EML_VAR": f"{folder}/var",
            "EML_ENV_FILE": "/dev/null",
        }
        try:
            lines = subprocess.run(
                ["tests/servers", "up", "--durable"], cwd=ROOT, check=True, capture_output=True, text=True
            ).stdout
            os.environ |= {
                name: value.strip("'\"")
                for name, value in re.findall(r"^export (\w+)=(.*)$", lines, re.MULTILINE)
            }
            yield
        finally:
            subprocess.run(["tests/servers", "down"], cwd=ROOT, check=False, capture_output=True)


def prepare_django(**environment: str) -> None:
    """Settings for the services profile, and a migrated database."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "eml.settings",
        "EML_SECRET_KEY": secrets.token_urlsafe(50),
        "EML_JWT_PRIVATE_KEY": _private_key(),
        "EML_LOG_LEVEL": "WARNING",
        **environment,
    }
    import django
    from django.core.management import call_command

    from tests import databases

    django.setup()
    if not databases.restore(os.environ["DATABASE_URL"]):
        call_command("migrate", verbosity=0)


def _private_key() -> str:
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def web_server(port: int) -> Iterator[subprocess.Popen]:
    """One web process on the services profile, as docker/compose.yml starts it."""
    command = [sys.executable, "manage.py", "serve"]
    environment = os.environ | {"EML_PORT": str(port), "EML_BASE_URL": f"http://127.0.0.1:{port}"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=environment)
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def _wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(300):
        if process.poll() is not None:
            sys.exit("The server did not start.")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    sys.exit("The server did not answer.")


def commits_per_second(seconds: float = 4.0) -> float:
    """The limit: bare psycopg, 8 connections, one INSERT + UPDATE per commit."""
    address = os.environ["DATABASE_URL"]
    with psycopg.connect(address, autocommit=True) as setup:
        setup.execute("DROP TABLE IF EXISTS bench_insert, bench_update")
        setup.execute("CREATE TABLE bench_insert (id bigserial PRIMARY KEY, body text, at timestamptz)")
        setup.execute("CREATE TABLE bench_update (id int PRIMARY KEY, seq int)")
        setup.execute("INSERT INTO bench_update SELECT n, 0 FROM generate_series(1, 100) n")
    done = [0] * CONNECTIONS
    stop = threading.Event()
    workers = [threading.Thread(target=_commit, args=(address, n, done, stop)) for n in range(CONNECTIONS)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    return sum(done) / (time.perf_counter() - began)


def _commit(address: str, number: int, done: list[int], stop: threading.Event) -> None:
    with psycopg.connect(address) as connection:
        while not stop.is_set():
            connection.execute("INSERT INTO bench_insert (body, at) VALUES (%s, now())", ("x" * 60,))
            row = number * 12 + done[number] % 12 + 1
            connection.execute("UPDATE bench_update SET seq = seq + 1 WHERE id = %s", (row,))
            connection.commit()
            done[number] += 1


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")
