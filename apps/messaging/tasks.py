"""The minute's round: what lies unused, what fell silent, what expired."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from .services import arrivals, attachments, conversations, visitors


@shared_task(name="messaging.sweep")
def sweep() -> None:
    now = timezone.now()
    attachments.sweep_unused(now=now)
    arrivals.drop_old(now=now)
    conversations.close_idle(now=now)
    visitors.delete_expired(now=now)
