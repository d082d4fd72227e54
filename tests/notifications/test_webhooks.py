"""Programs of others hear of each event once, signed, for days if need be; and never more than they may know."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from apps.core import dispatch
from apps.core.errors import Invalid
from apps.core.events import Fact
from apps.core.models import Event, Handling
from apps.messaging.services import conversations
from apps.notifications import published, retry
from apps.notifications.choices import DeliveryState, ErrorKind, Reason, Way
from apps.notifications.gateways.webhook import signature
from apps.notifications.models import Attempt, Delivery, WebhookSubscription
from apps.notifications.services import sending, webhooks
from apps.users.choices import Role
from tests.factories import make_conversation, make_user
from tests.notifications.gateways.conftest import serve  # noqa: F401  a fixture
from tests.notifications.gateways.local import Reply

pytestmark = pytest.mark.django_db
STARTED, CLOSED = "messaging.conversation.started", "messaging.conversation.closed"


@pytest.fixture
def receiver(serve):  # noqa: F811
    return serve()


def subscribed(url: str, *types: str) -> tuple[WebhookSubscription, str]:
    admin = make_user(Role.ADMIN)
    return webhooks.subscribe(
        name=f"Shop {url}", url=url, event_types=types or (STARTED,), by=admin, now=timezone.now()
    )


def worked_off() -> None:
    while dispatch.drain():
        pass
    sending.work_off(Way.WEBHOOK, clock=timezone.now)


def is_signed(call, secret: str) -> bool:
    expected = signature.signature(
        secret,
        message_id=call.headers["webhook-id"],
        timestamp=int(call.headers["webhook-timestamp"]),
        body=call.body,
    )
    return expected in call.headers["webhook-signature"].split(" ")


def test_no_work_is_written_for_events_nobody_subscribed_to() -> None:
    ours = Handling.objects.filter(subscriber="notifications.publish")
    make_conversation()
    assert not ours.exists()
    row, _secret = subscribed("https://8.8.8.8/", CLOSED)
    make_conversation()
    assert not ours.exists()
    WebhookSubscription.objects.update(event_types=[STARTED])
    make_conversation()
    assert ours.count() == 1
    WebhookSubscription.objects.filter(pk=row.pk).update(is_active=False)
    make_conversation()
    assert ours.count() == 1


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer: there is no race to lose"
)
@pytest.mark.django_db(transaction=True)
def test_whoever_subscribed_before_it_happened_is_told_whatever_was_open() -> None:
    """The transaction that records may have begun before; what counts is what was there when it was recorded."""
    with transaction.atomic():
        list(WebhookSubscription.objects.all())
        other = threading.Thread(target=_subscribed_elsewhere)
        other.start()
        other.join(10)
        make_conversation()
    assert Handling.objects.filter(subscriber="notifications.publish").count() == 1


def _subscribed_elsewhere() -> None:
    subscribed("https://8.8.8.8/")
    connection.close()


def test_event_is_told_once_and_signed(receiver) -> None:
    _row, secret = subscribed(receiver.url)
    conversation = make_conversation()
    worked_off()
    worked_off()
    (call,) = receiver.calls
    assert is_signed(call, secret)
    assert call.json["type"] == STARTED
    assert call.json["data"] == {
        "conversation": conversation.pk,
        "inbox": conversation.inbox_id,
        "customer": conversation.customer_id,
    }
    assert call.json["event_seq"] > 0
    assert Delivery.objects.get(way=Way.WEBHOOK).state == DeliveryState.SENT


def test_event_that_nobody_asked_for_is_told_to_nobody(receiver) -> None:
    subscribed(receiver.url, CLOSED)
    conversation = make_conversation()
    worked_off()
    assert receiver.calls == []
    conversations.close(conversation.pk, by=conversation.customer, now=timezone.now())
    worked_off()
    assert [call.json["type"] for call in receiver.calls] == [CLOSED]


def test_event_handled_twice_is_told_once(receiver) -> None:
    from apps.core.models import Event

    subscribed(receiver.url)
    make_conversation()
    event = Event.objects.get(type=STARTED)
    for _ in range(3):
        webhooks.publish(event, now=timezone.now())
    assert Delivery.objects.filter(way=Way.WEBHOOK).count() == 1


def test_switched_off_subscription_hears_nothing_of_what_waited(receiver) -> None:
    row, _ = subscribed(receiver.url)
    make_conversation()
    while dispatch.drain():
        pass
    WebhookSubscription.objects.filter(pk=row.pk).update(is_active=False)
    worked_off()
    assert receiver.calls == []
    assert Delivery.objects.get(way=Way.WEBHOOK).reason == Reason.GONE


def test_after_a_rotation_both_secrets_sign_for_a_day(receiver) -> None:
    row, old = subscribed(receiver.url)
    now = timezone.now()
    boss = make_user(Role.ADMIN)
    new = webhooks.rotate(row.pk, by=boss, now=now)
    event = Event.objects.get(type="notifications.webhook.secret_rotated")
    assert (event.stream, event.actor) == (f"webhook:{row.pk}", boss.actor_ref)
    webhooks.ping(row.pk, now=now)
    worked_off()
    (call,) = receiver.calls
    assert is_signed(call, old)
    assert is_signed(call, new)
    row.refresh_from_db()
    later = webhooks._valid(row, now=now + timedelta(hours=25))
    assert [entry["secret"] for entry in later] == [new]


def test_b69_receiver_that_is_gone_is_switched_off(receiver) -> None:
    receiver.answer = lambda call: Reply(410)
    row, _ = subscribed(receiver.url)
    make_conversation()
    worked_off()
    worked_off()
    row.refresh_from_db()
    assert not row.is_active
    assert "410" in row.disabled_reason
    assert len(receiver.calls) == 1


def test_b69_receiver_in_trouble_is_tried_again_and_can_be_resent(receiver) -> None:
    receiver.answer = lambda call: Reply(500)
    subscribed(receiver.url)
    make_conversation()
    worked_off()
    delivery = Delivery.objects.get(way=Way.WEBHOOK)
    assert (delivery.state, delivery.tries) == (DeliveryState.DUE, 1)
    assert delivery.due_at > timezone.now()
    assert Attempt.objects.get().detail == "HTTP 500"
    Delivery.objects.filter(pk=delivery.pk).update(state=DeliveryState.DEAD, tries=10)
    receiver.answer = lambda call: Reply()
    assert webhooks.resend([delivery.pk], now=timezone.now()) == 1
    worked_off()
    first, second = receiver.calls
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


def test_the_log_leads_to_each_delivery_and_says_when_it_is_tried_again(receiver, client, settings) -> None:
    settings.REQUIRE_MFA = False
    receiver.answer = lambda call: Reply(500)
    row, _ = subscribed(receiver.url)
    make_conversation()
    worked_off()
    delivery = Delivery.objects.get(way=Way.WEBHOOK)
    client.force_login(make_user(Role.ADMIN))
    page = client.get(
        reverse("admin:notifications_webhooksubscription_change", args=[row.pk])
    ).content.decode()
    delivery_page = reverse("admin:notifications_delivery_change", args=[delivery.pk])
    assert f'href="{delivery_page}"' in page
    assert f"HTTP 500 · next attempt {timezone.localtime(delivery.due_at):%Y-%m-%d %H:%M:%S}" in page
    Delivery.objects.filter(pk=delivery.pk).update(state=DeliveryState.SENT)
    assert (
        "next attempt"
        not in client.get(
            reverse("admin:notifications_webhooksubscription_change", args=[row.pk])
        ).content.decode()
    )
    shown = client.get(delivery_page).content.decode()
    assert reverse("admin:notifications_webhooksubscription_change", args=[row.pk]) in shown


def test_p09_receiver_is_tried_for_three_days() -> None:
    waits = []
    while wait := retry.wait(ErrorKind.TEMPORARY, len(waits) + 1, way=Way.WEBHOOK, jitter=0):
        waits.append(wait)
    assert sum(waits, timedelta()) >= timedelta(days=3)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]/", "ftp://example.com/", "https://a:b@example.com/"]
)
def test_b68_subscription_to_an_address_inside_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as told:
        subscribed(url)
    assert "url" in told.value.fields
    assert not WebhookSubscription.objects.exists()


def test_subscription_to_an_event_that_is_not_published_is_refused() -> None:
    with pytest.raises(Invalid) as told:
        webhooks.check(url="https://example.com/", event_types=["users.user.created"])
    assert "event_types" in told.value.fields


def test_every_published_field_is_one_of_its_event() -> None:
    for one in published.PUBLISHED.values():
        assert issubclass(one.fact, Fact)
        assert set(one.fields) <= set(one.fact.__dataclass_fields__)


def test_body_holds_nothing_that_is_not_published() -> None:
    body = published.body(STARTED, {"conversation": 1, "secret": "x"}, seq=5, at=timezone.now())
    assert body["data"] == {"conversation": 1}
    json.dumps(body)
