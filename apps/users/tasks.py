"""Background doors of the people floor."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from .services import cleaning


@shared_task(name="users.clean")
def clean() -> None:
    cleaning.delete_expired(now=timezone.now())
