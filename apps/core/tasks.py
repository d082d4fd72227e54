"""Background doors of the ground floor."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from . import dispatch, retention
from .api.idempotency import delete_old_keys


@shared_task(name="core.drain")
def drain() -> int:
    dispatch.park_exhausted(now=timezone.now())
    return dispatch.drain()


@shared_task(name="core.clean")
def clean() -> None:
    delete_old_keys(now=timezone.now())


@shared_task(name="core.prune")
def prune() -> int:
    return retention.remove_all(retention.EVENTS, now=timezone.now())
