"""Wakes the senders: something is due now, or sooner than they know.

In this process by a counter; on PostgreSQL every process that listens is told after the commit (NOTIFY). A wake that is
lost costs time, never a delivery: a sender sleeps LONGEST_SLEEP at most.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.db import connection, transaction

logger = logging.getLogger(__name__)

CHANNEL = "eml_deliveries"
# What is due later than that needs no wake: by then the senders have looked by themselves.
LONGEST_SLEEP = timedelta(seconds=60)
# Without NOTIFY nobody hears of other processes (a command beside `up` on SQLite; a lost connection).
DEAF_SLEEP = timedelta(seconds=5)
RECONNECT_SECONDS = 1.0
LISTEN_SECONDS = 2.0


class Bell:
    """Counts rings, so that one between looking and sleeping is not lost."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.rings = 0

    def ring(self) -> None:
        with self._condition:
            self.rings += 1
            self._condition.notify_all()

    def wait(self, seen: int, *, seconds: float) -> None:
        """Until somebody rings after `seen` was read, or the time is over."""
        with self._condition:
            self._condition.wait_for(lambda: self.rings != seen, timeout=seconds)


bell = Bell()


def after_commit(*, due_at: datetime, now: datetime) -> None:
    """Inside a transaction that makes something due: tell the senders when it is committed."""
    if due_at - now >= LONGEST_SLEEP:
        return
    transaction.on_commit(_ring, robust=True)


def _ring() -> None:
    """After the commit: inside of it NOTIFY would make all commits queue for one lock. Who dies in between leaves it to
    the senders' next look."""
    bell.ring()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


class Listener(threading.Thread):
    """PostgreSQL's notifications ring this process's bell; reconnects for ever."""

    def __init__(self) -> None:
        super().__init__(name="notifier-wake", daemon=True)
        self._stopping = threading.Event()
        self.is_listening = False

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                logger.warning("not told of new deliveries (%s); looked for instead", type(error).__name__)
            self.is_listening = False
            self._stopping.wait(RECONNECT_SECONDS)

    def _listen(self) -> None:
        with psycopg.connect(**_parameters(), autocommit=True) as listening:
            listening.execute(f"LISTEN {CHANNEL}")
            self.is_listening = True
            # What came before may have been missed.
            bell.ring()
            while not self._stopping.is_set():
                for _ in listening.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                    bell.ring()


def _parameters() -> dict[str, Any]:
    """Of a connection of its own: this one waits, which the pool and its time limits are not for."""
    settings = connection.settings_dict
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    given = {ours: settings[name] for name, ours in names.items() if settings[name]}
    own = {"pool", "options", "isolation_level", "server_side_binding", "assume_role"}
    others = {name: value for name, value in settings["OPTIONS"].items() if name not in own}
    return others | given | {"keepalives": 1, "keepalives_idle": 15, "connect_timeout": 5}
