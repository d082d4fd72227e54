"""Which tasks somebody waits for, and which have workers of their own because they take long."""

from __future__ import annotations

import pytest
from django.conf import settings

from eml.celery import app
from tests.faults.processes import needs_servers

URGENT = {
    "core.drain",
    "notifications.advance",
    "notifications.catch_up",
    "routing.heal",
    "routing.tick",
}
BULK = {
    "core.clean",
    "core.prune",
    "messaging.sweep",
    "notifications.campaigns",
    "notifications.clean",
    "notifications.prune",
    "routing.audit",
    "routing.prune",
    "users.clean",
}


def queue_of(task: str) -> str:
    return app.amqp.router.route({}, task)["queue"].name


def test_every_task_has_a_priority() -> None:
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == URGENT | BULK
    assert ours == {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}


@pytest.mark.services
@needs_servers
def test_rabbitmq_keeps_them_apart() -> None:
    assert {queue_of(task) for task in URGENT} == {"eml.urgent"}
    assert {queue_of(task) for task in BULK} == {"eml.bulk"}
    for queue in app.amqp.queues.values():
        assert queue.durable
        assert queue.queue_arguments["x-queue-type"] == "quorum"


@pytest.mark.embedded
@pytest.mark.skipif(bool(settings.BROKER_URL), reason="the broker is RabbitMQ here")
def test_one_process_has_one_queue() -> None:
    assert {queue_of(task) for task in URGENT | BULK} == {"eml"}
    assert settings.DEAD_LETTERS is None
