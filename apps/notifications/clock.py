"""The time that decides what is due: the database's, so that hosts whose clocks differ agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

Clock = Callable[[], datetime]
# Asked anew so often; in between this machine only counts the seconds.
ASK_SECONDS = 10.0


class DatabaseClock:
    """Calling it gives the database's time. SQLite's is this machine's."""

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._time = timezone.now()

    def __call__(self) -> datetime:
        passed = time.monotonic() - self._asked_at
        if passed > ASK_SECONDS:
            # Counted from the answer: an answer that took its time makes us late by that, and never early.
            self._time, self._asked_at = _database_time(), time.monotonic()
            passed = 0.0
        return self._time + timedelta(seconds=passed)


def _database_time() -> datetime:
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]
