"""Background doors of notifications."""

from __future__ import annotations

from celery import shared_task

from apps.routing.services import clock

from .services import reminders


@shared_task(name="notifications.advance")
def advance() -> int:
    """The one tick of all reminders; safe to run twice and at once."""
    return reminders.advance_all(now=clock.now())
