"""The log handler that keeps errors in the database, from a thread of its own: no request waits for it."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

import structlog
from django.db import close_old_connections
from django.utils import timezone

if TYPE_CHECKING:
    from .incidents import Seen

# More kinds than this at once is one broken program; the count of what is known goes on.
MOST_KINDS_WAITING = 200
PAUSE_AFTER_FAILURE_SECONDS = 5.0
logger = logging.getLogger(__name__)


class Recorder(logging.Handler):
    """Adds up what happens; its thread writes it down as soon as the database takes it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._waiting: dict[str, Seen] = {}
        self._changed = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def emit(self, record: logging.LogRecord) -> None:
        # What goes wrong while writing errors down must not be written down.
        if threading.current_thread() is self._thread:
            return
        try:
            self._add(record)
        except Exception:
            self.handleError(record)

    def _add(self, record: logging.LogRecord) -> None:
        # Not at the top: logging is set up before there are models.
        from . import incidents

        request_id = structlog.contextvars.get_contextvars().get("request_id", "")
        found = incidents.seen(record, at=timezone.now(), request_id=str(request_id)[:64])
        with self._guard:
            self._put(found)
        self._ensure_thread()
        self._changed.set()

    def _put(self, found: Seen) -> None:
        earlier = self._waiting.get(found.fingerprint)
        if earlier is None and len(self._waiting) >= MOST_KINDS_WAITING:
            return
        self._waiting[found.fingerprint] = earlier.and_then(found) if earlier else found

    def _ensure_thread(self) -> None:
        # Servers fork after this was made: a thread of the parent does not exist in the child.
        with self._guard:
            if self._thread is None or not self._thread.is_alive() or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._write_for_ever, name="error-log", daemon=True)
                self._thread.start()

    def _write_for_ever(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if not self.write():
                time.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                self._changed.set()

    def _keep(self, found: Seen) -> None:
        from . import incidents

        # A thread that lives for days meets connections that the database has closed.
        if threading.current_thread() is self._thread:
            close_old_connections()
        incidents.keep(found)

    def write(self) -> bool:
        """Write down what was added up; what the database refuses waits for the next time."""
        with self._guard:
            taken, self._waiting = self._waiting, {}
        while taken:
            _, found = taken.popitem()
            try:
                self._keep(found)
            except Exception as error:
                logger.warning("errors are kept later (%s)", type(error).__name__)
                with self._guard:
                    for missed in (found, *taken.values()):
                        self._put(missed)
                return False
        return True
