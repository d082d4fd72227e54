"""The life of a router: waits for the lease, leads while it has it, hands it back when it is told to stop.

Any number may run; one leads. It wakes when the bell rings, when a step opens, and for a sweep every few seconds, so
that whatever nobody rang for is found then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import threading
import time

from django.db import DatabaseError, close_old_connections, connection

from . import bell, lease
from .bell import Ear
from .engine import Engine
from .lease import Lease

logger = logging.getLogger(__name__)

# With what a sweep takes, whatever nobody rang for is found within 5 s.
SWEPT_EVERY = 4.5
STANDBY_SECONDS = 1.0
# After a failure, or when all that was decided was refused: never a loop without rest.
REST_AFTER_FAILURE = 1.0
REST_AFTER_REFUSAL = 0.05


def live(stop: threading.Event) -> None:
    """Until `stop` is set. Whatever fails is logged, and begun again with a fresh memory."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    with bell.listening() as ear:
        while not stop.is_set():
            try:
                held = lease.take(holder)
                if held is None:
                    stop.wait(STANDBY_SECONDS)
                else:
                    lead(held, ear, stop)
            except lease.Lost:
                logger.warning("another router leads now; this one waits")
            except Exception:
                logger.exception("the router begins again")
                stop.wait(REST_AFTER_FAILURE)
            finally:
                close_old_connections()
    connection.close()


def lead(held: Lease, ear: Ear, stop: threading.Event) -> None:
    """Make offers until `stop` is set. Raises Lost when the lease has gone to another one."""
    reign = _Reign(held)
    engine = Engine(held, alive=reign.renew_in_time)
    logger.info("this router leads, term %s", held.term)
    with contextlib.closing(engine):
        while not stop.is_set():
            reign.renew_in_time()
            if reign.is_sweep_due():
                engine.sweep()
            made, refused = engine.work()
            if refused and not made:
                stop.wait(REST_AFTER_REFUSAL)
            hints = ear.wait(min(engine.seconds_to_next_event(), reign.seconds_to_duty()))
            if hints:
                engine.look_at(hints)
    with contextlib.suppress(DatabaseError):
        lease.release(held)


class _Reign:
    """The duties of a leader, by this process's own clock: a suspended one is late for all of them, and notices."""

    def __init__(self, held: Lease) -> None:
        self._held = held
        self._renewal = time.monotonic() + lease.RENEWED_EVERY.total_seconds()
        self._sweep = 0.0

    def renew_in_time(self) -> None:
        if time.monotonic() >= self._renewal:
            self._renewal = time.monotonic() + lease.RENEWED_EVERY.total_seconds()
            if not lease.renew(self._held):
                raise lease.Lost

    def is_sweep_due(self) -> bool:
        if time.monotonic() < self._sweep:
            return False
        self._sweep = time.monotonic() + SWEPT_EVERY
        return True

    def seconds_to_duty(self) -> float:
        return max(min(self._renewal, self._sweep) - time.monotonic(), 0.0)
