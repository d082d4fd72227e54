"""Works off the durable follow-ups of the event log: claimed, run, forgotten; or backed off, then parked as dead.

Claiming counts the try and pushes `due_at` into the future, in a transaction of its own. So a handler that takes the
process down with it counts as tried, comes back when that time is over, and is parked after MOST_TRIES like any other.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, close_old_connections, transaction
from django.db.models import F
from django.utils import timezone

from . import bell, events
from .models import Handling

logger = logging.getLogger(__name__)

MOST_TRIES = 5
LEASE = timedelta(seconds=60)
BATCH = 50
# Claimed together, and run well within the lease however slow: who waits past it would count as tried.
CLAIMED_AT_ONCE = 10
# Then a worker is given back, because the router's clock may be waiting for it; the rest is rung for again.
DRAIN_SECONDS = 4.0
# So long a drain waits for a database that is away, well within a task's time limit.
PATIENCE_SECONDS, PAUSE_SECONDS = 30.0, 0.5


def backoff(tries: int) -> timedelta:
    """How long a handling rests after its n-th failed try: 1 s, 4 s, 16 s, 64 s."""
    return timedelta(seconds=4 ** (tries - 1))


def drain(*, most: int = 1000, seconds: float = DRAIN_SECONDS) -> int:
    """Run what is due now, oldest first, for so long at most; returns how many handlings were run."""
    done, until = 0, time.monotonic() + seconds
    while claimed := _claim(now=timezone.now()):
        try:
            for handling_id, tries in claimed:
                _run(handling_id, tries)
        except (OperationalError, InterfaceError):
            _give_back(claimed)
            raise
        done += len(claimed)
        if done >= most or time.monotonic() > until:
            bell.ring()
            break
    return done


def _claim(*, now: datetime) -> list[tuple[int, int]]:
    with transaction.atomic():
        due = Handling.objects.heads().filter(due_at__lte=now, tries__lt=MOST_TRIES).order_by("id")
        rows = list(
            due.select_for_update(skip_locked=True, of=("self",)).values_list("id", "tries")[:CLAIMED_AT_ONCE]
        )
        Handling.objects.filter(id__in=[pk for pk, _ in rows]).update(
            tries=F("tries") + 1, due_at=now + LEASE
        )
    return [(pk, tries + 1) for pk, tries in rows]


def _run(handling_id: int, tries: int) -> None:
    try:
        with transaction.atomic():
            # `tries` is the fencing token: whoever claimed later owns the row.
            handling = (
                Handling.objects.select_for_update(of=("self",))
                .select_related("event")
                .filter(id=handling_id, tries=tries, is_dead=False)
                .first()
            )
            if handling is None:
                return
            events.handler_of(handling.event.type, handling.subscriber)(handling.event)
            handling.delete()
    except Exception as error:
        logger.exception("handling %s failed, try %s", handling_id, tries)
        _put_back(handling_id, tries, error=error)


def _put_back(handling_id: int, tries: int, *, error: Exception) -> None:
    is_dead = tries >= MOST_TRIES
    Handling.objects.filter(id=handling_id, tries=tries).update(
        due_at=timezone.now() + backoff(tries),
        is_dead=is_dead,
        last_error=f"{type(error).__name__}: {error}"[:2000],
    )
    if is_dead:
        logger.critical("a follow-up failed for good (%s)", handling_id)


def _give_back(claimed: list[tuple[int, int]]) -> None:
    """The database went away under them: when it is back in time, they are due at once and not after their lease.

    The try stays counted: one of them may be what took the database away.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        # What the database forgot while it was away must not be asked.
        close_old_connections()
        try:
            for handling_id, tries in claimed:
                Handling.objects.filter(id=handling_id, tries=tries).update(due_at=timezone.now())
            return
        except (OperationalError, InterfaceError):
            time.sleep(PAUSE_SECONDS)


def park_exhausted(*, now: datetime) -> int:
    """Park what was tried often enough and never came back (its process died each time)."""
    with transaction.atomic():
        exhausted = Handling.objects.filter(is_dead=False, tries__gte=MOST_TRIES, due_at__lte=now)
        # A locked one is still running: slow, not dead.
        ids = list(
            exhausted.select_for_update(skip_locked=True, of=("self",)).values_list("id", flat=True)[:BATCH]
        )
        return Handling.objects.filter(id__in=ids).update(
            is_dead=True, last_error="The process running it died or took too long."
        )


def retry(handlings: list[int]) -> int:
    """Put dead handlings back to work, with all their tries."""
    with transaction.atomic():
        revived = Handling.objects.dead().filter(id__in=handlings)
        count = revived.update(is_dead=False, tries=0, due_at=timezone.now(), last_error="")
        transaction.on_commit(bell.ring, robust=True)
    return count
