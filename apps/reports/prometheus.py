"""What the installation as a whole is doing, for Prometheus. Asked at each scrape; nothing is computed otherwise."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError
from django.db.models import Min
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from apps.core import health
from apps.core.models import Handling
from apps.notifications import figures
from apps.routing import openings, waits
from apps.routing.choices import State
from apps.routing.models import Agent, Queue
from apps.routing.services import audit, lease

from . import metrics, selectors

logger = logging.getLogger(__name__)


class CallCenter(Collector):
    """A few queries a scrape."""

    def describe(self) -> Iterator[GaugeMetricFamily]:
        # Without this the registry would ask `collect` for the names, at import, before there is a database.
        yield from _families().values()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = _families()
        try:
            _fill_line(families)
            _fill_promises(families)
            _fill_agents(families)
            _fill_handlings(families)
            _fill_deliveries(families)
            _fill_audit(families)
            _fill_router(families)
            _fill_broker(families)
        except (DatabaseError, InterfaceError):
            # The process's own metrics matter most when the database is down; `absent()` tells about these.
            logger.warning("The call center's metrics cannot be read: the database does not answer.")
            return
        yield from families.values()


def register(registry: CollectorRegistry = REGISTRY) -> None:
    """Once per registry, however often it is called."""
    if not any(isinstance(collector, CallCenter) for collector in list(registry._collector_to_names)):
        registry.register(CallCenter())


def _families() -> dict[str, GaugeMetricFamily]:
    gauges = [
        ("eml_queue_waiting", "Contacts in line now, without left messages.", ["queue"]),
        ("eml_queue_left_messages", "Left messages that wait for an answer.", ["queue"]),
        (
            "eml_queue_longest_wait_seconds",
            "Longest wait of those in line now; 0 when nobody waits.",
            ["queue"],
        ),
        ("eml_queue_open", "1 while the queue is open by its opening hours.", ["queue"]),
        ("eml_callbacks_open", "Customers who wait to be called or written to.", ["queue"]),
        (
            "eml_wait_estimate_coverage_ratio",
            "Part of the waits that ended inside the range announced.",
            ["queue"],
        ),
        (
            "eml_wait_estimate_bias_seconds",
            "By how much the announced mean was too long on average; negative: too short.",
            ["queue"],
        ),
        ("eml_wait_estimate_rmse_seconds", "Root mean square error of the announced mean.", ["queue"]),
        ("eml_wait_estimate_waits", "Waits that the error of the estimate was learned from.", ["queue"]),
        ("eml_agents", "Agents by state, those signed out left out.", ["state"]),
        ("eml_handlings_dead", "Follow-ups of events that failed for good and wait for a retry by hand.", []),
        ("eml_handlings_oldest_pending_seconds", "Age of the oldest unfinished follow-up; 0 when none.", []),
        (
            "eml_routing_violations",
            "Broken promises of routing at the last audit, by number (see docs/promises).",
            ["code"],
        ),
        ("eml_routing_audit_age_seconds", "Time since that audit.", []),
        ("eml_router_leads", "1 while a router process holds the lease, else 0 (workers make offers).", []),
        ("eml_router_lease_age_seconds", "For how long that router has led; 0 when none does.", []),
        ("eml_router_term", "Rises whenever another router takes over.", []),
        (
            "eml_broker_messages",
            "Ticks and doorbells in each of the broker's queues, and its dead letters.",
            ["queue"],
        ),
        ("eml_deliveries", "What waits to be sent, by queue and state.", ["way", "priority", "state"]),
        ("eml_deliveries_late_seconds", "How late the oldest due delivery is; 0: none.", ["way", "priority"]),
    ]
    return {name: GaugeMetricFamily(name, text, labels=labels) for name, text, labels in gauges}


def _fill_line(families: dict[str, GaugeMetricFamily]) -> None:
    lines, now = selectors.lines_of(Queue.objects.all()), timezone.now()
    for queue_id, slug in Queue.objects.filter(is_active=True).order_by("id").values_list("id", "slug"):
        line = lines.get(queue_id, metrics.Line())
        families["eml_queue_waiting"].add_metric([slug], metrics.waiting_now(line))
        families["eml_queue_left_messages"].add_metric([slug], line.left_messages)
        longest = metrics.longest_wait(line, now=now) or 0
        families["eml_queue_longest_wait_seconds"].add_metric([slug], longest)


def _fill_promises(families: dict[str, GaugeMetricFamily]) -> None:
    """What customers were told, and how true it was."""
    active = Queue.objects.filter(is_active=True)
    shut, callbacks = openings.closed_queues(now=timezone.now()), waits.open_callbacks_by_queue()
    for queue_id, slug in active.order_by("id").values_list("id", "slug"):
        families["eml_queue_open"].add_metric([slug], queue_id not in shut)
        families["eml_callbacks_open"].add_metric([slug], callbacks.get(queue_id, 0))
    for quality in waits.qualities(active):
        slug, error = quality.queue.slug, quality.error
        families["eml_wait_estimate_coverage_ratio"].add_metric([slug], error.coverage)
        families["eml_wait_estimate_bias_seconds"].add_metric([slug], error.bias_seconds)
        families["eml_wait_estimate_rmse_seconds"].add_metric([slug], error.rmse_seconds)
        families["eml_wait_estimate_waits"].add_metric([slug], error.count)


def _fill_agents(families: dict[str, GaugeMetricFamily]) -> None:
    states = selectors.states_now(Agent.objects.all(), now=timezone.now())
    counts = Counter(metrics.agents_by_state(states))
    for state in State.values:
        if state != State.SIGNED_OUT:
            families["eml_agents"].add_metric([state], counts[state])


def _fill_router(families: dict[str, GaugeMetricFamily]) -> None:
    status = lease.status()
    families["eml_router_leads"].add_metric([], int(status.is_held))
    families["eml_router_lease_age_seconds"].add_metric([], status.age_seconds)
    families["eml_router_term"].add_metric([], status.term)


def _fill_handlings(families: dict[str, GaugeMetricFamily]) -> None:
    families["eml_handlings_dead"].add_metric([], Handling.objects.dead().count())
    oldest = Handling.objects.filter(is_dead=False).aggregate(at=Min("event__at"))["at"]
    age = max((timezone.now() - oldest).total_seconds(), 0) if oldest else 0
    families["eml_handlings_oldest_pending_seconds"].add_metric([], age)


def _fill_broker(families: dict[str, GaugeMetricFamily]) -> None:
    """Nothing at all while it is away, or before its first worker declared its queues."""
    try:
        messages = health.broker_messages()
    except Exception as error:  # whatever the broker's client throws
        logger.warning("The broker's queues cannot be counted (%s).", type(error).__name__)
        return
    for name, count in messages.items():
        families["eml_broker_messages"].add_metric([name], count)


def _fill_audit(families: dict[str, GaugeMetricFamily]) -> None:
    """Nothing at all before the first audit: `absent()` tells about that."""
    try:
        look = audit.last_look()
    except Exception:  # whatever the cache throws when it is away
        logger.warning("The last audit of routing cannot be read: the cache does not answer.")
        return
    if look is None:
        return
    for code, count in look.counts.items():
        families["eml_routing_violations"].add_metric([code], count)
    age = max((timezone.now() - look.at).total_seconds(), 0)
    families["eml_routing_audit_age_seconds"].add_metric([], age)


def _fill_deliveries(families: dict[str, GaugeMetricFamily]) -> None:
    now = timezone.now()
    for (way, priority), queue in figures.of_queues(now=now).items():
        for state in ("waiting", "due", "leased", "retrying", "dead", "review"):
            labels = [way, str(priority), state]
            families["eml_deliveries"].add_metric(labels, getattr(queue, state))
        late = 0 if queue.is_paused else queue.oldest_seconds(now)
        families["eml_deliveries_late_seconds"].add_metric([way, str(priority)], late)
