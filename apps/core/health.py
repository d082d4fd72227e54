"""Whether what the program stands on is there."""

from __future__ import annotations

import uuid

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection

from . import lost

_BROKER_SECONDS = 1


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone() == (1,)
    except (DatabaseError, InterfaceError):
        lost.forget_connections()
        return False


def cache_answers() -> bool:
    key, value = "health", uuid.uuid4().hex
    try:
        cache.set(key, value, timeout=10)
        # Another process may have written meanwhile; that anything came back is the answer.
        return cache.get(key) is not None
    except Exception:  # whatever the cache's client raises, it does not answer
        return False


def broker_answers() -> bool:
    try:
        with current_app.connection_for_write(connect_timeout=_BROKER_SECONDS) as broker:
            broker.ensure_connection(max_retries=1, timeout=_BROKER_SECONDS)
            return True
    except Exception:  # likewise for the broker's
        return False


def broker_messages() -> dict[str, int]:
    """How many messages lie in each queue of the broker, the dead letters with them; none where it is in this process.

    Raises whatever the broker's client does when it does not answer.
    """
    if settings.DEAD_LETTERS is None:
        return {}
    names = [*current_app.amqp.queues, settings.DEAD_LETTERS.name]
    options = {"read_timeout": _BROKER_SECONDS}
    with current_app.connection_for_write(
        connect_timeout=_BROKER_SECONDS, transport_options=options
    ) as broker:
        channel = broker.default_channel
        return {name: channel.queue_declare(name, passive=True).message_count for name in names}
