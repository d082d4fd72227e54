from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import OperationalError
from django.utils import timezone
from kombu import Connection
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from apps.core import health
from apps.core.models import Handling
from apps.reports import prometheus, selectors
from apps.routing.estimate import Error, Table
from apps.routing.models import Callback, WaitTable
from apps.routing.services import audit, clock, lease
from tests.factories import make_calendar, make_queue, put_in_line
from tests.faults.processes import needs_servers

from .planted import contact, dead_handling, make_place


@pytest.mark.django_db
def test_endpoint_tells_what_happens_now(client) -> None:
    place = make_place("support")
    now = timezone.now()
    contact(place, at=now - timedelta(seconds=100))
    contact(place, at=now - timedelta(seconds=30))
    contact(place, at=now - timedelta(hours=5), is_left_message=True)
    dead_handling()
    pending = dead_handling(is_dead=False, tries=0)
    type(pending.event).objects.filter(pk=pending.event_id).update(at=now - timedelta(seconds=40))
    body = client.get("/metrics").content.decode()
    lines = dict(line.rsplit(" ", 1) for line in body.splitlines() if line.startswith("eml_"))
    assert lines['eml_queue_waiting{queue="support"}'] == "2.0"
    assert lines['eml_queue_left_messages{queue="support"}'] == "1.0"
    assert 100 <= float(lines['eml_queue_longest_wait_seconds{queue="support"}']) < 130
    assert lines['eml_agents{state="available"}'] == "0.0"
    assert lines["eml_handlings_dead"] == "1.0"
    assert 40 <= float(lines["eml_handlings_oldest_pending_seconds"]) < 70


@pytest.mark.django_db
def test_promises_are_measured_too(client) -> None:
    queue = make_queue(slug="care", calendar=make_calendar())
    put_in_line(queue)
    conversation = put_in_line(queue).conversation
    Callback.objects.create(conversation=conversation, way="write")
    table = Table(error=Error(count=4, coverage=0.75, bias_seconds=-12.0, mean_square=400.0))
    WaitTable.objects.create(queue=queue, table=table.as_json())
    body = client.get("/metrics").content.decode()
    assert 'eml_queue_open{queue="care"} 0.0' in body
    assert 'eml_callbacks_open{queue="care"} 1.0' in body
    assert 'eml_wait_estimate_coverage_ratio{queue="care"} 0.75' in body
    assert 'eml_wait_estimate_bias_seconds{queue="care"} -12.0' in body
    assert 'eml_wait_estimate_rmse_seconds{queue="care"} 20.0' in body
    assert 'eml_wait_estimate_waits{queue="care"} 4.0' in body


@pytest.mark.django_db
def test_scrape_takes_few_queries_however_many_rows(django_assert_num_queries) -> None:
    for name in ("a", "b", "c"):
        contact(make_place(name), at=timezone.now())
    dead_handling()
    assert Handling.objects.count() == 1
    with django_assert_num_queries(13):
        list(prometheus.CallCenter().collect())


def test_registering_asks_no_database_and_happens_once() -> None:
    registry = CollectorRegistry()
    prometheus.register(registry)
    prometheus.register(registry)
    assert "eml_queue_waiting" in registry._names_to_collectors
    assert sum(isinstance(one, prometheus.CallCenter) for one in REGISTRY._collector_to_names) == 1


def test_without_a_database_the_other_metrics_are_still_served(monkeypatch) -> None:
    def down(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr(selectors, "lines_of", down)
    registry = CollectorRegistry()
    prometheus.register(registry)
    assert b"eml_" not in generate_latest(registry)


@pytest.mark.django_db
def test_last_audit_is_told_with_its_age() -> None:
    cache.clear()
    assert "eml_routing_violations{" not in _scraped()
    audit.watch(now=timezone.now() - timedelta(seconds=50))
    text = _scraped()
    assert 'eml_routing_violations{code="I06"} 0.0' in text
    age = float(text.split("\neml_routing_audit_age_seconds ")[1].split()[0])
    assert 50 <= age < 80
    cache.clear()


def test_without_a_cache_the_other_metrics_are_still_served(db, monkeypatch) -> None:
    def away(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setattr(audit.cache, "get", away)
    assert "eml_handlings_dead 0.0" in _scraped()


def _scraped() -> str:
    registry = CollectorRegistry()
    prometheus.register(registry)
    return generate_latest(registry).decode()


@pytest.mark.django_db
def test_who_leads_and_for_how_long(monkeypatch) -> None:
    assert lease.status() == (False, 0, 0)
    lease.take("a router")
    later = clock.now() + timedelta(seconds=3)
    monkeypatch.setattr(clock, "now", lambda: later)
    status = lease.status()
    assert (status.is_held, status.term) == (True, 1)
    assert 2 < status.age_seconds < 4
    monkeypatch.setattr(clock, "now", lambda: later + timedelta(seconds=60))
    assert lease.status() == (False, 0, 1)


@pytest.mark.services
@needs_servers
@pytest.mark.django_db
def test_the_brokers_queues_are_counted() -> None:
    with Connection(settings.BROKER_URL) as broker:
        for queue in (*settings.CELERY_TASK_QUEUES, settings.DEAD_LETTERS):
            queue(broker.default_channel).declare()
    registry = CollectorRegistry()
    prometheus.register(registry)
    body = generate_latest(registry).decode()
    for name in ("eml.urgent", "eml.bulk", "eml.dead"):
        assert f'eml_broker_messages{{queue="{name}"}}' in body


@pytest.mark.django_db
def test_a_broker_that_is_away_takes_nothing_from_the_rest(monkeypatch) -> None:
    def fail() -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(health, "broker_messages", fail)
    registry = CollectorRegistry()
    prometheus.register(registry)
    body = generate_latest(registry).decode()
    assert "eml_broker_messages{" not in body
    assert "eml_handlings_dead 0.0" in body
