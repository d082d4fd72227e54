"""Roles that start at once: the program is loaded here, and forked whenever one is asked for.

Lines come by standard input (`notifier`, `worker`, `scheduler`), the new process's number goes to standard output. Each
is what its command runs; only leases and waits are short and ticks frequent, so that many rounds fit into an hour.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEASE = timedelta(seconds=5)
# Seconds until what is in doubt is tried again; as many tries as there really are.
WAITS = (1, 5, 10, 10, 10, 10)
TICK_SECONDS = 0.5


def notifier() -> None:
    from apps.notifications import retry
    from apps.notifications.notifier import Notifier
    from apps.notifications.services import claiming, sending

    claiming.LEASE, sending.RENEW_AFTER, retry._UNKNOWN = LEASE, LEASE / 3, WAITS
    Notifier().start()
    signal.pause()


def worker() -> None:
    from eml.celery import app

    app.worker_main(["worker", "--pool=solo", "--loglevel=CRITICAL", "--without-mingle", "--without-gossip"])


def scheduler() -> None:
    """The one tick of all reminders; it goes on when the broker is back."""
    from kombu.exceptions import OperationalError

    from eml.celery import app

    while True:
        with contextlib.suppress(OperationalError):
            app.send_task("notifications.advance", expires=2, retry=False)
        time.sleep(TICK_SECONDS)


ROLES: dict[str, Callable[[], None]] = {"notifier": notifier, "worker": worker, "scheduler": scheduler}


def main() -> None:
    import django

    django.setup()
    # So that no child has to load it.
    import apps.notifications.notifier  # noqa: F401
    import eml.celery  # noqa: F401

    # Nobody waits for those who were killed.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _become(ROLES[line.strip()])
        print(pid, flush=True)


def _become(role: Callable[[], None]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # What it says belongs to nobody's protocol; it dies with its nursery's pipes otherwise.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    try:
        role()
    finally:
        os._exit(1)


class Nursery:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._pids: dict[str, int] = {}
        if self._answer() != "ready":
            raise RuntimeError("the nursery did not start")

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def start(self, name: str) -> None:
        """`name` is a role and a number: notifier1."""
        assert self._process.stdin is not None
        self._process.stdin.write(name.rstrip("0123456789") + "\n")
        self._process.stdin.flush()
        self._pids[name] = int(self._answer())

    def kill(self, name: str) -> None:
        """kill -9; ProcessLookupError when it had ended by itself, which none of them may."""
        os.kill(self._pids.pop(name), signal.SIGKILL)

    def kill_all(self) -> None:
        for name in list(self._pids):
            self.kill(name)


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.nursery"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    made = Nursery(process)
    try:
        yield made
    finally:
        made.kill_all()
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    main()
