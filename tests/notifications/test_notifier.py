"""The senders as they run: threads of a process, woken by the commit, stopped without losing anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.notifications import gateways, wake
from apps.notifications.choices import DeliveryState, Way
from apps.notifications.models import Delivery, Gateway
from apps.notifications.notifier import Notifier
from apps.notifications.services import deliveries
from tests.factories import make_user
from tests.notifications.gate import Gate, make_gateway, reachable

pytestmark = pytest.mark.django_db(transaction=True)


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate()
    monkeypatch.setitem(gateways.KINDS, "gate", made)
    Gateway.objects.all().delete()
    make_gateway()
    return made


@pytest.fixture
def notifier(gate: Gate) -> Iterator[Notifier]:
    made = Notifier([Way.EMAIL])
    made.start()
    yield made
    made.stop()
    made.wait()
    assert not any(lane.is_alive() for lane in made.lanes)


def make(count: int, *, seconds: float = 0, subject: str = "Hello") -> None:
    now = timezone.now()
    customer = reachable()
    context = {"subject": subject, "body": "How are you?"}
    with transaction.atomic():
        deliveries.make_many(
            [
                deliveries.Draft(
                    cause=f"test:{customer.pk}",
                    occurrence=str(number),
                    to=customer,
                    way=Way.EMAIL,
                    at=now + timedelta(seconds=seconds),
                    context=context,
                )
                for number in range(count)
            ],
            now=now,
        )


def sent() -> int:
    return Delivery.objects.filter(state=DeliveryState.SENT).count()


def test_what_is_due_is_sent_once_each_by_all_threads_together(gate, notifier):
    make(300)
    wait_until(lambda: sent() == 300)
    assert len(gate.keys) == len(set(gate.keys)) == 300


def test_what_is_due_later_goes_at_its_time_and_not_before(gate, notifier):
    make(1, seconds=0.5)
    wait_until(lambda: sent() == 1)
    row = Delivery.objects.get()
    assert row.sent_at >= row.due_at


@pytest.mark.services
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one sender")
def test_what_is_due_while_one_sends_is_sent_by_the_other(gate, notifier):
    is_free = threading.Event()
    gate.before_batch = lambda batch: "0" not in batch[0].subject or is_free.wait(20)
    make(1, subject="Batch 0")
    wait_until(lambda: Delivery.objects.filter(state=DeliveryState.SENDING).exists())
    make(1, subject="Batch 1", seconds=0.2)
    wait_until(lambda: sent() == 1)
    assert Delivery.objects.get(state=DeliveryState.SENT).context["subject"] == "Batch 1"
    is_free.set()
    wait_until(lambda: sent() == 2)


def test_a_stopped_notifier_leaves_nothing_half_done(gate, notifier):
    make(200)
    wait_until(lambda: len(gate.keys) > 5)
    notifier.stop()
    notifier.wait()
    assert not Delivery.objects.filter(state=DeliveryState.SENDING).exists()
    assert sent() == len(gate.keys)


@pytest.mark.services
@pytest.mark.skipif(connection.vendor != "postgresql", reason="NOTIFY is PostgreSQL's")
def test_another_process_is_told_after_the_commit():
    listener = wake.Listener()
    listener.start()
    wait_until(lambda: listener.is_listening)
    rings = wake.bell.rings
    with connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {wake.CHANNEL}")
    wait_until(lambda: wake.bell.rings > rings)
    listener.stop()
    listener.join(10)


def test_users_and_nobody_are_served_too(gate, notifier):
    now, user = timezone.now(), make_user()
    draft = deliveries.Draft(
        cause="test:user", to=user, way=Way.EMAIL, at=now, context={"subject": "Hi", "body": "You"}
    )
    with transaction.atomic():
        deliveries.make_many([draft], now=now)
    wait_until(lambda: sent() == 1)
    assert gate.seen[0].to == user.email
