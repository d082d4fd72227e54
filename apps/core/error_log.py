"""The log handler that keeps errors in the database, from a thread of its own: no request waits for it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import structlog
from django.db import close_old_connections
from django.utils import timezone

if TYPE_CHECKING:
    from .incidents import Seen

# More kinds than this at once is one broken program; the count of what is known goes on.
MOST_KINDS_WAITING = 200
# Errors not added up yet, while the database keeps the thread waiting.
MOST_WAITING = 10_000
PAUSE_AFTER_FAILURE_SECONDS = 5.0
logger = logging.getLogger(__name__)


class Recorder(logging.Handler):
    """Takes down what happens; its thread adds it up and writes it as soon as the database takes it.

    Python logs errors while it collects garbage as well (a task that nobody awaited), which may be in the middle of
    this very code: whatever `emit` does must be able to begin anew while it is being done, so it takes no lock.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._seen: SimpleQueue[Seen] = SimpleQueue()
        # The writing thread's own.
        self._waiting: dict[str, Seen] = {}
        self._thread: threading.Thread | None = None
        self._pid = 0

    def emit(self, record: logging.LogRecord) -> None:
        # What goes wrong while writing errors down must not be written down.
        if threading.current_thread() is self._thread:
            return
        try:
            self._take_down(record)
        except Exception:
            self.handleError(record)

    def _take_down(self, record: logging.LogRecord) -> None:
        # Not at the top: logging is set up before there are models.
        from . import incidents

        self._ensure_thread()
        request_id = structlog.contextvars.get_contextvars().get("request_id", "")
        found = incidents.seen(record, at=timezone.now(), request_id=str(request_id)[:64])
        if self._seen.qsize() < MOST_WAITING:
            self._seen.put(found)

    def _ensure_thread(self) -> None:
        """Called with the handler's own lock held, which lets the thread in that holds it already."""
        # Servers fork after this was made: a thread of the parent does not exist in the child, its errors are not ours.
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._seen, self._waiting = SimpleQueue(), {}
            self._thread = threading.Thread(target=self._write_for_ever, name="error-log", daemon=True)
            self._thread.start()

    def _write_for_ever(self) -> None:
        while True:
            self._add(self._seen.get())
            while not self.write():
                time.sleep(PAUSE_AFTER_FAILURE_SECONDS)

    def _add(self, found: Seen) -> None:
        earlier = self._waiting.get(found.fingerprint)
        if earlier is None and len(self._waiting) >= MOST_KINDS_WAITING:
            return
        self._waiting[found.fingerprint] = earlier.and_then(found) if earlier else found

    def write(self) -> bool:
        """Write down what was taken down; what the database refuses waits for the next time."""
        with contextlib.suppress(Empty):
            while True:
                self._add(self._seen.get_nowait())
        while self._waiting:
            fingerprint, found = self._waiting.popitem()
            try:
                self._keep(found)
            except Exception as error:
                self._waiting[fingerprint] = found
                logger.warning("errors are kept later (%s)", type(error).__name__)
                return False
        return True

    def _keep(self, found: Seen) -> None:
        from . import incidents

        # A thread that lives for days meets connections that the database has closed.
        if threading.current_thread() is self._thread:
            close_old_connections()
        incidents.keep(found)
