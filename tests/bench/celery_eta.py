"""The usual way to remind somebody, to measure ours beside: one Celery task with an `eta` for each.

As fast as it goes without changing the idea: kept connections to database and mail server, the row with all that its
text needs in one query, our own replacer and mail builder. Nothing is asked about wishes, quiet hours or caps.
"""

from __future__ import annotations

import functools
import os
import smtplib
from email.utils import formatdate
from typing import Any

from celery import Celery
from django.conf import settings

app = Celery("bench")
app.conf.update(
    broker_url=os.environ["BROKER_URL"],
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
# Celery closes Django's connection after each task, and its pool with it: a new pool costs more than the whole task.
app.conf["CELERY_DB_REUSE_MAX"] = 10**9


@functools.cache
def _server() -> smtplib.SMTP:
    server = smtplib.SMTP(settings.EMAIL_HOST, settings.EMAIL_PORT)
    server.ehlo()
    return server


@app.task
def remind(delivery_id: int) -> None:
    from apps.notifications.gateways.smtp import message

    outgoing = _written(delivery_id)
    sender = settings.DEFAULT_FROM_EMAIL
    content = message.build(outgoing, sender=sender, to=outgoing.to, date=formatdate(), domain="localhost")
    _server().sendmail(message.return_path(sender), [outgoing.to], content)
    _record(delivery_id)


def _written(delivery_id: int) -> Any:
    from apps.notifications.models import Delivery, Reminder
    from apps.notifications.services import rendering
    from apps.users.models import ContactPoint

    row = Delivery.objects.select_related("customer", "purpose").get(pk=delivery_id)
    row.address = ContactPoint.objects.filter(customer=row.customer_id, kind="email").first().value  # type: ignore
    reminder = Reminder.objects.select_related("template").get(pk=rendering.reminder_id(row))
    text = _text(row.template_version_id)
    facts = rendering._facts(row, rendering.World({}, {}, {reminder.pk: reminder}), "en")
    return rendering.filled(row, text, facts)


@functools.cache
def _text(version_id: int) -> dict[str, str]:
    from apps.notifications.models import TemplateVersion

    return TemplateVersion.objects.get(pk=version_id).texts["email"]["en"]


def _record(delivery_id: int) -> None:
    from django.db import transaction
    from django.utils import timezone

    from apps.notifications.models import Attempt, Delivery

    now = timezone.now()
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery_id).update(state="sent", sent_at=now, tries=1)
        Attempt.objects.create(delivery_id=delivery_id, number=1, at=now)
