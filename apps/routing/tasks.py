"""The router's clock: steps open, leases end, and whatever an event missed is healed within seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from celery import shared_task

from .services import clock, leaving, offers, queueing, router, work

logger = logging.getLogger(__name__)

_EVERY_SECOND = (offers.lapse_expired, work.end_wrap_ups, leaving.release_lost, router.run)
_EVERY_FEW_SECONDS = (queueing.find_missed, leaving.release_strays)


@shared_task(name="routing.tick")
def tick() -> None:
    """Four sweeps, safe to run twice and at once."""
    _run(_EVERY_SECOND)


@shared_task(name="routing.heal")
def heal() -> None:
    """Finds what no event told: safe to run twice and at once."""
    _run(_EVERY_FEW_SECONDS)


def _run(sweeps: tuple[Callable[..., object], ...]) -> None:
    now: datetime = clock.now()
    for sweep in sweeps:
        try:
            sweep(now=now)
        except Exception:
            # One that fails (a row locked too long, a dead connection) must not keep the others from their work.
            logger.exception("the sweep %s failed; the next one repeats it", sweep.__name__)
