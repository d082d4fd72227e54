"""Is the role in this container doing its work? Exit code 0 or 1; roles: see CHECKS."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import urllib.request
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 4


def web() -> str:
    """The health page answers, asked under a host name the program accepts."""
    allowed = os.environ.get("EML_ALLOWED_HOSTS", "").split(",")[0].strip(" .*")
    host = allowed or urlsplit(os.environ.get("EML_BASE_URL", "")).hostname or "127.0.0.1"
    request = urllib.request.Request("http://127.0.0.1:8000/health/", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=TIMEOUT):
        return ""


def worker(queue: str) -> str:
    """Somebody takes tasks from the queue. (A worker that hangs in a task is ended by the task's time limit.)"""
    from kombu import Connection

    with Connection(os.environ["BROKER_URL"], connect_timeout=TIMEOUT) as connection:
        consumers = connection.default_channel.queue_declare(queue, passive=True).consumer_count
    return "" if consumers else f"nobody takes tasks from {queue}"


def router() -> str:
    """Some router leads, this one or another that it stands by for."""
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=TIMEOUT) as connection:
        row = connection.execute("SELECT expires_at > now() FROM routing_routerlease").fetchone()
    return "" if row and row[0] else "no router leads"


def notifier() -> str:
    """Its threads were all heard of lately: then `manage.py notifier` touches this file every few seconds."""
    alive = Path(tempfile.gettempdir()) / "eml-notifier.alive"
    return "" if time.time() - alive.stat().st_mtime < 60 else "a sender hangs"


def scheduler() -> str:
    """Beat notes in the database which schedules ran, every three minutes."""
    import psycopg

    question = "SELECT max(last_run_at) > now() - interval '10 minutes' FROM django_celery_beat_periodictask"
    with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=TIMEOUT) as connection:
        row = connection.execute(question).fetchone()
    return "" if row and row[0] else "no schedule ran in the last ten minutes"


CHECKS = {
    "web": web,
    "worker": partial(worker, "eml.urgent"),
    "worker-bulk": partial(worker, "eml.bulk"),
    "router": router,
    "notifier": notifier,
    "scheduler": scheduler,
}

if __name__ == "__main__":
    try:
        problem = CHECKS[sys.argv[1]]()
    except Exception as error:  # whatever it is, the answer is "not healthy, because"
        problem = f"{type(error).__name__}: {error}"
    sys.exit(problem or 0)
