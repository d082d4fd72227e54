"""The router's clock: steps open, leases end, and whatever an event missed is healed within seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from celery import shared_task

from apps.core.retention import remove_all

from .services import (
    audit,
    callbacks,
    clock,
    estimates,
    leaving,
    offers,
    overflow,
    queueing,
    retention,
    router,
    snoozes,
    work,
)

logger = logging.getLogger(__name__)

_EVERY_SECOND = (
    offers.lapse_expired,
    work.end_wrap_ups,
    leaving.release_lost,
    callbacks.wake_due,
    snoozes.wake_due,
    router.run,
)
_EVERY_FEW_SECONDS = (
    queueing.find_missed,
    leaving.release_strays,
    overflow.sweep,
    callbacks.expire,
    estimates.learn,
)


@shared_task(name="routing.tick")
def tick() -> None:
    """Short sweeps, safe to run twice and at once."""
    _run(_EVERY_SECOND)


@shared_task(name="routing.heal")
def heal() -> None:
    """Finds what no event told: safe to run twice and at once."""
    _run(_EVERY_FEW_SECONDS)


@shared_task(name="routing.audit")
def watch() -> None:
    """Looks whether everything that must hold does, for the metrics and the log."""
    audit.watch(now=clock.now())


@shared_task(name="routing.prune")
def prune() -> dict[str, int]:
    """What was kept long enough leaves: safe to run twice and to be cut off."""
    return {kind.name: remove_all(kind, now=clock.now()) for kind in retention.KINDS}


def _run(sweeps: tuple[Callable[..., object], ...]) -> None:
    now: datetime = clock.now()
    for sweep in sweeps:
        try:
            sweep(now=now)
        except Exception:
            # One that fails (a row locked too long, a dead connection) must not keep the others from their work.
            logger.exception("the sweep %s failed; the next one repeats it", sweep.__name__)
