"""The senders of a process: a few threads for each way. Each sends until nothing is due, then sleeps until something
will be, or until it is woken.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from django.db import close_old_connections, connection

from . import wake
from .clock import DatabaseClock
from .services import claiming, defaults, sending

logger = logging.getLogger(__name__)

# While one waits for the database or the provider the other works. SQLite has one writer anyway.
THREADS_PER_WAY = 2
# The database is away, or a mistake of ours: not in a tight loop.
PAUSE_AFTER_FAILURE_SECONDS = 1.0
STOP_SECONDS = 20.0


class Notifier:
    """Start it once per process; `stop` lets what is being sent end."""

    def __init__(self, ways: list[str] | None = None, *, threads: int | None = None) -> None:
        is_sqlite = connection.vendor == "sqlite"
        count = threads or (1 if is_sqlite else THREADS_PER_WAY)
        self.listener = None if is_sqlite else wake.Listener()
        self._stopping = threading.Event()
        self.lanes = [
            Lane(way, number, self._stopping, self.listener)
            for way in ways or sending.ways()
            for number in range(count)
        ]

    def start(self) -> None:
        defaults.create_queues()
        defaults.create_gateways()
        if self.listener:
            self.listener.start()
        for lane in self.lanes:
            lane.start()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping.set()
        if self.listener:
            self.listener.stop()
        wake.bell.ring()

    def wait(self, seconds: float = STOP_SECONDS) -> None:
        until = time.monotonic() + seconds
        for lane in self.lanes:
            lane.join(max(until - time.monotonic(), 0))

    def silent_seconds(self) -> float:
        """How long the laziest thread has not been heard of."""
        return time.monotonic() - min(lane.heard_at for lane in self.lanes)


class Lane(threading.Thread):
    def __init__(
        self, way: str, number: int, stopping: threading.Event, listener: wake.Listener | None
    ) -> None:
        super().__init__(name=f"sender-{way}-{number}", daemon=True)
        self.heard_at = time.monotonic()
        self._sender = sending.Sender(way)
        self._clock = DatabaseClock()
        self._stopping, self._listener = stopping, listener

    def run(self) -> None:
        while not self._stopping.is_set():
            self.heard_at = time.monotonic()
            rings = wake.bell.rings
            try:
                if not self._work():
                    self._sleep(rings)
            except Exception as error:
                # Whatever it is: what was claimed comes back when its lease ends.
                logger.exception("sender %s failed: %s", self.name, type(error).__name__)
                self._stopping.wait(PAUSE_AFTER_FAILURE_SECONDS)
                close_old_connections()
        self._sender.close()
        connection.close()

    def _work(self) -> bool:
        return bool(sending.send_batch(self._sender, clock=self._clock)) or bool(
            sending.recover(self._sender.way, now=self._clock())
        )

    def _sleep(self, rings: int) -> None:
        now = self._clock()
        moment = claiming.next_moment(self._sender.way, now=now)
        longest = wake.LONGEST_SLEEP if self._listener and self._listener.is_listening else wake.DEAF_SLEEP
        nap = longest if moment is None else min(moment - now, longest)
        # The connection goes back to the pool: who sleeps needs none.
        close_old_connections()
        # Something that others hold at this moment is due, yet not to be had.
        least = timedelta(milliseconds=5) if nap <= timedelta() else timedelta(milliseconds=1)
        wake.bell.wait(rings, seconds=max(nap, least).total_seconds())
