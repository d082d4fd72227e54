"""The doorbell: tells a worker that there is follow-up work, without making anybody wait for the broker.

A daemon thread publishes, so a dead or slow RabbitMQ never holds a request; rings while it is busy fold into one. A
lost ring costs seconds, never work: the sweep (`core.drain` every 5 s) finds whatever the bell missed.
"""

from __future__ import annotations

import logging
import os
import threading
import time

logger = logging.getLogger(__name__)

_rung = threading.Event()
_lock = threading.Lock()
_thread: threading.Thread | None = None
_pid: int | None = None
# A broker that is down is asked again only after this long.
PAUSE_AFTER_FAILURE_SECONDS = 2.0


def ring() -> None:
    _ensure_thread()
    _rung.set()


def _ensure_thread() -> None:
    global _thread, _pid
    # Servers fork after import: a thread of the parent does not exist in the child.
    if _thread is not None and _thread.is_alive() and _pid == os.getpid():
        return
    with _lock:
        if _thread is None or not _thread.is_alive() or _pid != os.getpid():
            _pid = os.getpid()
            _thread = threading.Thread(target=_publish_for_ever, args=(_rung,), name="doorbell", daemon=True)
            _thread.start()


def _publish_for_ever(rung: threading.Event) -> None:
    from .tasks import drain

    while True:
        rung.wait()
        rung.clear()
        try:
            drain.apply_async(expires=5, retry=False)
        except Exception as error:
            logger.warning(
                "doorbell: broker not reached (%s); the sweep will do the work", type(error).__name__
            )
            time.sleep(PAUSE_AFTER_FAILURE_SECONDS)
