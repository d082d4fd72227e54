"""Celery's consumer, which no message can end: what cannot be a task of ours is parked with the dead letters.

Celery takes a message for granted once its headers name a task. JSON that is no envelope then raises in the middle of
the worker's loop and ends it; the broker gives the message to the next worker, and to the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker import consumer
from celery.worker.consumer.connection import Connection
from django.conf import settings

logger = logging.getLogger(__name__)

# Its 28 exchanges and queues wait with ETAs, and no task of ours has one: what is due later is a row.
_DELAYED = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class DeadLetters(bootsteps.StartStopStep):
    """Declares their queue, again with every connection: a broker may have come back empty."""

    requires = (Connection,)

    def start(self, c: Any) -> None:
        if settings.DEAD_LETTERS is not None:
            settings.DEAD_LETTERS(c.connection.default_channel).declare()


class Consumer(consumer.Consumer):
    class Blueprint(consumer.Consumer.Blueprint):
        default_steps = [
            *(step for step in consumer.Consumer.Blueprint.default_steps if step != _DELAYED),
            "eml.worker:DeadLetters",
        ]

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        receive = super().create_task_handler(*args, **options)

        def receive_or_park(message: Any) -> None:
            try:
                receive(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:
                # Whatever an envelope of somebody else's may raise; it is the same for every worker.
                self._park(message, error)

        return receive_or_park

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._park(message, exc)

    def _park(self, message: Any, error: Exception) -> None:
        """Its content is in the queue of dead letters, and in no log."""
        logger.error("a message is no task of ours (%s); it is parked", type(error).__name__)
        if not message.acknowledged:
            message.reject_log_error(logger, self.connection_errors)
