"""A provider in trouble (F48): silent, failing, or taking things and breaking off. Others do not notice."""

from __future__ import annotations

import functools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from apps.notifications import breaker, wake
from apps.notifications.choices import DeliveryState, ErrorKind, Way
from apps.notifications.gateways import net
from apps.notifications.gateways.smtp import gateway as smtp
from apps.notifications.models import Attempt, Delivery, Gateway
from apps.notifications.notifier import Notifier
from apps.notifications.services import sending
from apps.users.choices import ContactKind
from apps.users.models import ContactPoint, Customer
from tests.factories import make_customer
from tests.notifications.gate import NOW, Time, make_delivery, make_gateway, reachable
from tests.notifications.gateways.conftest import serve
from tests.notifications.gateways.local import Answering, Call, Reply, Server
from tests.notifications.posts import post_office

__all__ = ["serve"]
PATIENCE_SECONDS = 0.3


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is silent for a moment is silent for too long."""
    monkeypatch.setattr(net, "Caller", functools.partial(net.Caller, seconds=PATIENCE_SECONDS))
    monkeypatch.setattr(smtp, "Server", functools.partial(smtp.Server, timeout=PATIENCE_SECONDS))


def to_http(server: Server) -> Gateway:
    options = {"url": f"{server.url}/send", "body": {"to": "{to}", "text": "{text}", "key": "{key}"}}
    return make_gateway(Way.SMS, "http", options=options)


def to_smtp(port: int) -> Gateway:
    options = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "desk@example.com",
        "connections": 1,
    }
    return make_gateway(Way.EMAIL, "smtp", options=options)


def by_sms(number: int, *, due_at: datetime = NOW) -> Delivery:
    customer = make_customer()
    ContactPoint.objects.create(customer=customer, kind=ContactKind.PHONE, value=f"+49301234{number:03}")
    return make_delivery(customer, due_at=due_at, way=Way.SMS, occurrence=f"{number}")


def by_email(number: int, *, due_at: datetime = NOW, customer: Customer | None = None) -> Delivery:
    return make_delivery(customer or reachable(), due_at=due_at, occurrence=f"{number}")


def one_batch(way: Way, clock: Time) -> None:
    sender = sending.Sender(way)
    sending.send_batch(sender, clock=clock)
    sender.close()


def silent(call: Call) -> Reply:
    time.sleep(PATIENCE_SECONDS * 2)
    return Reply()


def failing(call: Call) -> Reply:
    return Reply(500)


def overloaded(call: Call) -> Reply:
    return Reply(503)


def breaking_off(call: Call) -> Reply:
    return Reply(raw=lambda wire: None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (silent, ErrorKind.UNKNOWN),
        (breaking_off, ErrorKind.UNKNOWN),
        (failing, ErrorKind.TEMPORARY),
        (overloaded, ErrorKind.UNREACHABLE),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_f48_a_message_is_tried_again_later_with_the_same_key_until_it_is_taken(
    serve: Callable[[Answering], Server], clock: Time, impatient: None, answer: Answering, kind: ErrorKind
) -> None:
    server = serve(answer)
    to_http(server)
    row = by_sms(1)
    waits = []
    for _ in range(3):
        sending.work_off(Way.SMS, clock=clock)
        row.refresh_from_db()
        assert row.state == DeliveryState.DUE
        waits.append(row.due_at - clock.now)
        clock.now = max(row.due_at, _rest_ends())
    assert waits == sorted(waits)
    assert waits[0] >= timedelta(seconds=1)
    assert list(row.attempts.values_list("error", flat=True)) == [kind] * 3
    server.answer = lambda call: Reply()
    sending.work_off(Way.SMS, clock=clock)
    row.refresh_from_db()
    assert row.state == DeliveryState.SENT
    assert {call.json["key"] for call in server.calls} == {row.key}


def _rest_ends() -> datetime:
    return Gateway.objects.get(way=Way.SMS).broken_until or NOW


@pytest.mark.django_db
@pytest.mark.parametrize("answer", [silent, breaking_off, overloaded], ids=lambda value: value.__name__)
def test_f48_a_provider_that_answers_nothing_rests_and_a_single_message_shows_when_it_is_back(
    serve: Callable[[Answering], Server], clock: Time, impatient: None, answer: Answering
) -> None:
    server = serve(answer)
    gateway = to_http(server)
    for batch in range(breaker.FAILURES_BEFORE_REST):
        for number in range(3):
            by_sms(batch * 10 + number, due_at=clock.now)
        one_batch(Way.SMS, clock)
    gateway.refresh_from_db()
    assert gateway.broken_until is not None
    called = len(server.calls)
    assert sending.work_off(Way.SMS, clock=clock) == 0
    assert len(server.calls) == called
    server.answer = lambda call: Reply()
    clock.now = NOW + timedelta(hours=1)
    one_batch(Way.SMS, clock)
    assert len(server.calls) == called + 1
    sending.work_off(Way.SMS, clock=clock)
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.SENT}


@pytest.mark.django_db
def test_f48_a_silent_provider_is_asked_once_for_a_batch(
    serve: Callable[[Answering], Server], clock: Time, impatient: None
) -> None:
    server = serve(silent)
    to_http(server)
    for number in range(8):
        by_sms(number)
    began = time.monotonic()
    one_batch(Way.SMS, clock)
    assert time.monotonic() - began < PATIENCE_SECONDS * 8
    assert len(server.calls) == 1
    kinds = sorted(Attempt.objects.values_list("error", flat=True))
    assert kinds == sorted([ErrorKind.UNKNOWN] + [ErrorKind.UNREACHABLE] * 7)


@contextmanager
def mute() -> Iterator[int]:
    """A port where somebody takes the call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        for connection in taken:
            connection.close()
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.django_db
def test_f48_a_mail_server_that_says_nothing_is_waited_for_once_a_batch_and_rests(
    clock: Time, impatient: None
) -> None:
    with mute() as port:
        gateway = to_smtp(port)
        for batch in range(breaker.FAILURES_BEFORE_REST):
            for number in range(5):
                by_email(batch * 10 + number)
            began = time.monotonic()
            one_batch(Way.EMAIL, clock)
            assert time.monotonic() - began < PATIENCE_SECONDS * 5
    gateway.refresh_from_db()
    assert gateway.broken_until is not None
    assert set(Attempt.objects.values_list("error", flat=True)) == {ErrorKind.UNREACHABLE}


@pytest.mark.django_db
def test_f48_a_mail_server_that_takes_a_mail_and_resets_leaves_only_that_one_in_doubt(clock: Time) -> None:
    with post_office() as post:
        to_smtp(post.port)
        rows = [by_email(number) for number in range(5)]
        seen: list[int] = []

        def reset(server: object) -> None:
            seen.append(1)
            if len(seen) == 3:
                server.transport.abort()  # type: ignore[attr-defined]

        post.on_mail = reset
        one_batch(Way.EMAIL, clock)
    errors = [row.attempts.get().error for row in rows]
    assert errors == ["", "", ErrorKind.UNKNOWN, "", ""]


@pytest.mark.django_db(transaction=True)
def test_f48_one_way_in_trouble_does_not_slow_another(serve: Callable[[Answering], Server]) -> None:
    """As it runs: mails wait for their mute server with all the time it is given, and SMS go out meanwhile."""
    Gateway.objects.all().delete()
    server = serve(lambda call: Reply())
    with mute() as port:
        to_smtp(port)
        to_http(server)
        now = timezone.now()
        mails = [by_email(number, due_at=now) for number in range(20)]
        notifier = Notifier([Way.EMAIL, Way.SMS])
        notifier.start()
        try:
            _wait_until(lambda: _count(Way.EMAIL, DeliveryState.SENDING) > 0)
            for number in range(20):
                by_sms(number, due_at=now)
            wake.after_commit(due_at=now, now=now)
            _wait_until(lambda: _count(Way.SMS, DeliveryState.SENT) == 20)
            assert _count(Way.EMAIL, DeliveryState.SENT) == 0
            assert _count(Way.EMAIL, DeliveryState.SENDING) > 0
        finally:
            notifier.stop()
    notifier.wait()
    assert len(mails) == Delivery.objects.filter(way=Way.EMAIL, state=DeliveryState.DUE).count()


def _count(way: Way, state: DeliveryState) -> int:
    return Delivery.objects.filter(way=way, state=state).count()


def _wait_until(is_so: Callable[[], bool], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)
