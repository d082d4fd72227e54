"""The senders of a process: a few threads for each way. They take turns: one looks for what is due, sleeps until
something is or until it is woken, and claims it; while it sends that, it is the turn of the next.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta

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
            Lane(way, number, turn, self._stopping, self.listener)
            for way in ways or sending.ways()
            for turn in [threading.Lock()]
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
        self,
        way: str,
        number: int,
        turn: threading.Lock,
        stopping: threading.Event,
        listener: wake.Listener | None,
    ) -> None:
        super().__init__(name=f"sender-{way}-{number}", daemon=True)
        self.heard_at = time.monotonic()
        self._sender = sending.Sender(way)
        self._clock = DatabaseClock()
        self._turn, self._stopping, self._listener = turn, stopping, listener

    def run(self) -> None:
        while not self._stopping.is_set():
            self.heard_at = time.monotonic()
            try:
                if batch := self._next():
                    sending.send(self._sender, batch, clock=self._clock)
            except Exception as error:
                # Whatever it is: what was claimed comes back when its lease ends.
                logger.exception("sender %s failed: %s", self.name, type(error).__name__)
                self._stopping.wait(PAUSE_AFTER_FAILURE_SECONDS)
                close_old_connections()
        self._sender.close()
        connection.close()

    def _next(self) -> claiming.Batch | None:
        """Nobody else of this way looks meanwhile: two would wake for the same."""
        if not self._turn.acquire(blocking=False):
            # The connection goes back to the pool: who waits needs none.
            close_old_connections()
            if not self._turn.acquire(timeout=wake.LONGEST_SLEEP.total_seconds()):
                return None
        try:
            return None if self._stopping.is_set() else self._claim()
        finally:
            self._turn.release()

    def _claim(self) -> claiming.Batch | None:
        rings, now = wake.bell.rings, self._clock()
        waiting = claiming.look(self._sender.way, now=now)
        batch = claiming.take(waiting, most=self._sender.most, now=self._clock())
        if batch is None:
            self._rest(waiting, rings, now=now)
        return batch

    def _rest(self, waiting: list[claiming.Waiting], rings: int, *, now: datetime) -> None:
        """Until there is something, by what was seen `now`."""
        lease = claiming.first_lease(self._sender.way)
        if lease and lease < now and sending.recover(self._sender.way, now=now):
            return
        moment = claiming.soonest(waiting, lease, now=now)
        longest = wake.LONGEST_SLEEP if self._listener and self._listener.is_listening else wake.DEAF_SLEEP
        nap = longest if moment is None else min(moment - self._clock(), longest)
        if moment is not None and moment <= now:
            # Something that others hold at this moment is due, yet not to be had.
            nap = max(nap, timedelta(milliseconds=5))
        close_old_connections()
        wake.bell.wait(rings, seconds=max(nap.total_seconds(), 0))
