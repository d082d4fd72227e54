"""Background doors of notifications."""

from __future__ import annotations

from celery import shared_task

from apps.core.retention import remove_all
from apps.routing.services import clock

from .services import feeding, outbox, receipts, reminders, retention


@shared_task(name="notifications.advance")
def advance() -> int:
    """The one tick of all reminders; safe to run twice and at once."""
    return reminders.advance_all(now=clock.now())


@shared_task(name="notifications.catch_up")
def catch_up() -> int:
    """What providers told before our record of it was written."""
    return receipts.catch_up(now=clock.now())


@shared_task(name="notifications.clean")
def clean() -> None:
    """The outbox keeps what its page says, and no longer."""
    outbox.delete_old(now=clock.now())


@shared_task(name="notifications.campaigns")
def campaigns() -> int:
    """Carry all campaigns on; safe to run twice and at once."""
    return feeding.work_off(clock=clock.now)


@shared_task(name="notifications.prune")
def prune() -> int:
    """What was kept long enough leaves: safe to run twice and to be cut off."""
    return remove_all(retention.LISTS, now=clock.now())
