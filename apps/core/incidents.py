"""Errors in the database: grouped by where they happen, counted, and made an incident when they are critical.

No personal data: of an exception its type and place are kept, of a log line its constant text, never what was filled
into it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import sys
import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.db.models import F

from . import events
from .events import SYSTEM, Actor, Fact
from .models import ErrorGroup

# An unhandled exception of a request is critical, whatever its logger calls it.
CRITICAL_LOGGERS = frozenset({"apps.core.api.errors", "django.request"})
_PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class IncidentOpened(Fact, type="core.incident.opened"):
    """A critical error nobody has acknowledged; once until somebody does."""

    error: int


@dataclass(frozen=True)
class IncidentAcknowledged(Fact, type="core.incident.acknowledged"):
    error: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Errors of one kind since they were written down last."""

    level: str
    logger: str
    title: str
    place: str
    is_critical: bool
    count: int
    first_at: datetime
    last_at: datetime
    request_id: str = ""

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256("\0".join((self.logger, self.title, self.place)).encode()).hexdigest()

    def and_then(self, later: Seen) -> Seen:
        return dataclasses.replace(
            self,
            count=self.count + later.count,
            last_at=later.last_at,
            request_id=later.request_id or self.request_id,
            is_critical=self.is_critical or later.is_critical,
        )


def seen(record: logging.LogRecord, *, at: datetime, request_id: str) -> Seen:
    """What may be kept of a log record."""
    text = record.msg.get("event", "") if isinstance(record.msg, dict) else record.msg
    error = _exception_of(record)
    kind = type(error)
    return Seen(
        level=record.levelname,
        logger=record.name[:100],
        title=(f"{kind.__module__}.{kind.__qualname__}" if error else _storable(str(text)))[:200],
        place=(_place(error) if error else f"{record.module}:{record.funcName}")[:200],
        is_critical=record.levelno >= logging.CRITICAL or record.name in CRITICAL_LOGGERS,
        count=1,
        first_at=at,
        last_at=at,
        request_id=request_id,
    )


def _storable(text: str) -> str:
    """A line that no database takes would keep all later ones waiting."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _exception_of(record: logging.LogRecord) -> BaseException | None:
    # structlog carries it in its dictionary.
    found = record.msg.get("exc_info") if isinstance(record.msg, dict) else record.exc_info
    if found is True:
        found = sys.exc_info()
    return found[1] if isinstance(found, tuple) else found or None


def _place(error: BaseException) -> str:
    """The innermost line of ours, else the innermost at all."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    ours = [frame for frame in frames if _is_ours(frame.filename)]
    frame = (ours or list(frames))[-1]
    name = Path(frame.filename).relative_to(_PROJECT) if ours else Path(frame.filename).name
    return f"{name}:{frame.lineno} {frame.name}"


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(_PROJECT) and ".venv" not in path.parts


def keep(found: Seen) -> ErrorGroup:
    """Count it; a critical one opens an incident unless one is open already."""
    with transaction.atomic():
        group, _made = ErrorGroup.objects.get_or_create(
            fingerprint=found.fingerprint,
            defaults={
                "level": found.level,
                "logger": found.logger,
                "title": found.title,
                "place": found.place,
                "first_seen_at": found.first_at,
                "last_seen_at": found.last_at,
            },
        )
        ErrorGroup.objects.filter(pk=group.pk).update(
            count=F("count") + found.count, last_seen_at=found.last_at, request_id=found.request_id
        )
        if found.is_critical:
            _open(group, now=found.last_at)
        return group


def _open(group: ErrorGroup, *, now: datetime) -> None:
    quiet = ErrorGroup.objects.filter(pk=group.pk).exclude(alarmed_at__isnull=False, acknowledged_at=None)
    if quiet.update(alarmed_at=now, acknowledged_at=None, acknowledged_by=""):
        events.record(IncidentOpened(error=group.pk), stream=group.stream, actor=SYSTEM)


def acknowledge(group: ErrorGroup, *, by: Actor, now: datetime) -> bool:
    """Somebody looks after it: no more alerts until it happens again. False when there is no open incident."""
    with transaction.atomic():
        opened = ErrorGroup.objects.alarming().filter(pk=group.pk)
        if not opened.update(acknowledged_at=now, acknowledged_by=by.actor_ref):
            return False
        events.record(IncidentAcknowledged(error=group.pk), stream=group.stream, actor=by)
        return True
