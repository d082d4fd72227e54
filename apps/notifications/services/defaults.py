"""Gateways and sending queues that are there from the start: made once, and then people's."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from ..choices import Priority, Way
from ..models import Gateway, SendingQueue

SMTP = "django.core.mail.backends.smtp.EmailBackend"
SMTP_NAME = "Mail server of EML_EMAIL_URL"
OUTBOX_NAMES = {Way.EMAIL: "Outbox for e-mail", Way.SMS: "Outbox for SMS"}


def create_queues() -> None:
    """Of each way and priority: without its queue nothing of it is sent."""
    SendingQueue.objects.bulk_create(
        [SendingQueue(way=way, priority=priority) for way in Way.values for priority in Priority.values],
        ignore_conflicts=True,
    )


def create_gateways() -> None:
    """The mail server that the installation names; where it names none, an embedded one keeps everything in its outbox.

    An outbox is never behind a real gateway: what is taken for sent must have been sent.
    """
    with transaction.atomic():
        has_server = settings.EMAIL_BACKEND == SMTP
        if has_server and not Gateway.objects.filter(name=SMTP_NAME).exists():
            Gateway.objects.filter(kind="outbox", way=Way.EMAIL).update(is_active=False)
            Gateway.objects.get_or_create(name=SMTP_NAME, defaults={"way": Way.EMAIL, "kind": "smtp"})
        if settings.EMBEDDED:
            for way, name in OUTBOX_NAMES.items():
                if not Gateway.objects.filter(way=way).exists():
                    Gateway.objects.get_or_create(name=name, defaults={"way": way, "kind": "outbox"})
