"""Who is the one matcher: a lease in the database, by the database's clock, with a term that fences off the past.

Its row is locked before any other lock, by whoever makes offers and by whoever changes a policy. A holder who was
stopped past the end of his lease finds another term when he goes on, and writes nothing (`write`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction

from ..models import RouterLease
from . import clock

# A dead router is followed within this time and a second; a living one renews long before.
LASTS = timedelta(seconds=5)
RENEWED_EVERY = LASTS / 4


class Lost(Exception):
    """Somebody else matches now: whatever was decided under this lease must not be written."""


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    holder: str
    term: int


def lock() -> RouterLease:
    """Be the only one who makes offers or changes policies until the transaction ends. Taken before any other lock.

    Waiting for it (not skipping it) makes sure that somebody sees what was just put in line.
    """
    return RouterLease.objects.select_for_update().get_or_create(pk=1)[0]


def take(holder: str) -> Lease | None:
    """Become the one matcher, or begin again as that; None while another one is."""
    row = current()
    if row and row.holder != holder and _is_held(row, clock.now()):
        return None  # without waiting for a lock that the holder needs
    with transaction.atomic():
        row, now = lock(), clock.now()
        if row.holder != holder and _is_held(row, now):
            return None
        row.holder, row.term, row.taken_at, row.expires_at = holder, row.term + 1, now, now + LASTS
        row.save()
        return Lease(holder, row.term)


def renew(lease: Lease) -> bool:
    """Hold it for longer; False when it has gone to somebody else."""
    mine = RouterLease.objects.filter(pk=1, holder=lease.holder, term=lease.term)
    return bool(mine.update(expires_at=clock.now() + LASTS))


def release(lease: Lease) -> None:
    """Let the next one take it at once."""
    mine = RouterLease.objects.filter(pk=1, holder=lease.holder, term=lease.term)
    mine.update(holder="", expires_at=None, taken_at=None)


def check(lease: Lease) -> datetime:
    """Inside the transaction that writes, first: the lease is still this one until the transaction ends.

    Returns the time. Raises Lost.
    """
    row, now = lock(), clock.now()
    if (row.holder, row.term) != (lease.holder, lease.term) or not _is_held(row, now):
        raise Lost
    return now


@contextlib.contextmanager
def turn() -> Iterator[bool]:
    """A transaction in which the caller is the one matcher, if nobody holds the lease. Former ones are fenced off."""
    if is_held():
        yield False
        return
    with transaction.atomic():
        row = lock()
        is_mine = not row.holder or not _is_held(row, clock.now())
        if is_mine and row.holder:
            row.holder, row.term, row.expires_at, row.taken_at = "", row.term + 1, None, None
            row.save()
        yield is_mine


class Status(NamedTuple):
    is_held: bool
    age_seconds: float
    term: int


def status() -> Status:
    """For the metrics: whether a router leads, for how long it has, and how many took over so far."""
    row = current()
    if row is None or row.taken_at is None or not _is_held(row, now := clock.now()):
        return Status(False, 0, row.term if row else 0)
    return Status(True, max((now - row.taken_at).total_seconds(), 0), row.term)


def is_held() -> bool:
    row = current()
    return row is not None and row.holder != "" and _is_held(row, clock.now())


def current() -> RouterLease | None:
    return RouterLease.objects.filter(pk=1).first()


def _is_held(row: RouterLease, now: datetime) -> bool:
    return bool(row.holder) and row.expires_at is not None and row.expires_at > now
