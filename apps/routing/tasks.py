"""The router's clock: steps open, leases end, and whatever an event missed is healed within seconds."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from .services import offers, router, work


@shared_task(name="routing.tick")
def tick() -> None:
    now = timezone.now()
    offers.lapse_expired(now=now)
    work.end_wrap_ups(now=now)
    work.release_lost(now=now)
    router.run(now=now)
