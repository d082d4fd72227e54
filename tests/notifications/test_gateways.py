"""Gateways: which one sends for which inbox, outboxes that make way, and trials."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.core.errors import Invalid
from apps.core.models import Event
from apps.messaging.choices import InboxKind
from apps.notifications.choices import DeliveryState, Way
from apps.notifications.models import (
    Attempt,
    Delivery,
    Gateway,
    InboxGateway,
    Notice,
    OutboxMessage,
    Suppression,
)
from apps.notifications.services import answers, claiming, gateways, sending
from apps.users.choices import Role
from tests.factories import (
    make_agent,
    make_conversation,
    make_customer,
    make_delivery,
    make_inbox,
    make_message,
    make_team,
    make_user,
)
from tests.notifications.gateways.conftest import serve  # noqa: F401
from tests.notifications.gateways.local import FakeTwilio
from tests.notifications.posts import post_office

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_others(db) -> None:
    Gateway.objects.all().delete()


def gateway(name: str, *, way: Way = Way.EMAIL, kind: str = "outbox", **fields) -> Gateway:
    return Gateway.objects.create(name=name, way=way, kind=kind, **fields)


@pytest.fixture
def inbox():
    return make_inbox(make_team(), kind=InboxKind.EMAIL, address="support@example.com", name="Support")


@pytest.fixture
def answer(inbox):
    """What an agent of the inbox said; `gateways` are bound before."""
    agent = make_agent(inbox.team)

    def say() -> Delivery:
        customer = make_customer([inbox.team])
        conversation = make_conversation(inbox, customer=customer, agent=agent.user)
        message = make_message(conversation, "Hello", user=agent.user)
        answers.send(message.pk, now=timezone.now())
        Delivery.objects.filter(cause=answers.cause_of(message.pk)).update(address="ann@example.net")
        return Delivery.objects.get(cause=answers.cause_of(message.pk))

    return say


def claimed(now=None) -> tuple[str, list[int]] | None:
    batch = claiming.claim(Way.EMAIL, most=10, now=now or timezone.now())
    return batch and (batch.gateway.name, sorted(row.pk for row in batch.rows))


def bound(inbox, own: Gateway) -> None:
    gateways.save(own, inboxes=[inbox], by=make_user(Role.ADMIN), now=timezone.now())


# Inboxes with a gateway of their own


def test_inbox_sends_by_its_gateway_and_all_else_by_rank(inbox, answer) -> None:
    gateway("First", rank=1)
    own = gateway("Own", rank=5)
    bound(inbox, own)
    said, other = answer(), make_delivery(to=make_customer())
    assert claimed() == ("Own", [said.pk])
    assert claimed() == ("First", [other.pk])
    assert claimed() is None
    for row in (said, other):
        row.refresh_from_db()
    assert (said.gateway, other.gateway.name) == (own, "First")


def test_inbox_without_one_sends_by_rank(inbox, answer) -> None:
    gateway("First")
    assert claimed() is None
    said = answer()
    assert claimed() == ("First", [said.pk])


def test_answer_waits_for_its_gateway_while_others_go(inbox, answer) -> None:
    now = timezone.now()
    gateway("First", rank=1)
    own = gateway("Own", rank=5)
    bound(inbox, own)
    answer()
    Gateway.objects.filter(pk=own.pk).update(failures=9, broken_until=now + timedelta(minutes=5))
    other = make_delivery(to=make_customer())
    assert claimed() == ("First", [other.pk])
    assert claimed() is None
    # Nobody spins: there is something to do when the gateway is tried again, and not before.
    moment = claiming.next_moment(Way.EMAIL, now=timezone.now())
    assert moment == now + timedelta(minutes=5) or moment == min(
        now + timedelta(minutes=5), Delivery.objects.get(pk=other.pk).leased_until
    )


def test_answer_goes_by_rank_when_its_gateway_is_switched_off(inbox, answer) -> None:
    gateway("First")
    own = gateway("Own", rank=5)
    bound(inbox, own)
    said = answer()
    Gateway.objects.filter(pk=own.pk).update(is_active=False)
    assert claimed() == ("First", [said.pk])


def test_inbox_has_one_gateway(inbox) -> None:
    first, second = gateway("First"), gateway("Second")
    bound(inbox, first)
    bound(inbox, second)
    assert InboxGateway.objects.get().gateway == second
    gateways.save(second, inboxes=[], by=make_user(Role.ADMIN), now=timezone.now())
    assert not InboxGateway.objects.exists()
    recorded = Event.objects.filter(type="notifications.inboxes.bound").order_by("id")
    assert [event.payload["inboxes"] for event in recorded] == [[inbox.pk], [inbox.pk], []]


# Outboxes


def test_outbox_makes_way_for_a_real_gateway(db) -> None:
    outbox = gateway("Outbox")
    real = gateway("Real", kind="smtp")
    assert gateways.save(real, by=make_user(Role.ADMIN), now=timezone.now()) == [outbox]
    outbox.refresh_from_db()
    assert not outbox.is_active
    assert outbox.history.first().is_active is False


def test_outbox_beside_a_real_gateway_is_refused(db) -> None:
    gateway("Real", kind="smtp")
    outbox = gateway("Outbox", is_active=False)
    outbox.is_active = True
    with pytest.raises(Invalid):
        gateways.save(outbox, by=make_user(Role.ADMIN), now=timezone.now())
    assert not Gateway.objects.get(name="Outbox").is_active


# Trials


@pytest.fixture
def ada():
    return make_user(Role.ADMIN, name="Ada")


def test_trial_goes_to_oneself_by_exactly_this_gateway(client, ada) -> None:
    gateway("Other", rank=1)
    with post_office() as post:
        options = {"host": "127.0.0.1", "port": post.port, "security": "none", "sender": "x@example.com"}
        tried = gateway("Mine", kind="smtp", rank=9, is_active=False, options=options)
        client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
        page = client.post(reverse("admin:notifications_gateway_test", args=[tried.pk]))
    assert "Accepted, and on its way to" in page.content.decode()
    (mail,) = post.mails
    assert (mail["To"], mail["Subject"]) == (ada.email, "Test of Mine")
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.gateway, delivery.user) == (DeliveryState.SENT, tried, ada)
    assert Attempt.objects.get().error == ""


def test_trial_that_fails_says_what_came_back_and_is_not_repeated(client, ada) -> None:
    with post_office(answers={ada.email: "550 5.1.1 no such user"}) as post:
        options = {"host": "127.0.0.1", "port": post.port, "security": "none", "sender": "x@example.com"}
        tried = gateway("Mine", kind="smtp", options=options)
        client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
        page = client.post(reverse("admin:notifications_gateway_test", args=[tried.pk])).content.decode()
        assert "RCPT: 550 5.1.1" in page
        assert "this recipient does not exist" in page
        assert sending.work_off(Way.EMAIL, clock=timezone.now) == 0
    assert Delivery.objects.get().state == DeliveryState.CANCELLED
    # A server that is set up wrong stops nobody's address, and alarms nobody.
    assert not Suppression.objects.exists()
    assert not Event.objects.filter(type="notifications.delivery.dead").exists()


def test_gateway_that_is_not_set_up_says_so(client, ada) -> None:
    tried = gateway("Mine", kind="anymail", is_active=False)
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    page = client.post(reverse("admin:notifications_gateway_test", args=[tried.pk]))
    assert "the gateway cannot be used: KeyError" in page.content.decode()


def test_trial_by_sms_asks_for_a_number(client, ada, serve) -> None:  # noqa: F811
    fake = FakeTwilio("AC1", "token")
    options = {
        "account_sid": "AC1",
        "sender": "+4930901820",
        "countries": ["DE"],
        "base_url": serve(fake).url,
    }
    tried = gateway("SMS", way=Way.SMS, kind="twilio", options=options, secrets={"auth_token": "token"})
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    page = reverse("admin:notifications_gateway_test", args=[tried.pk])
    assert client.post(page, {"to": "no number"}).context["form"].errors
    assert not fake.messages
    assert (
        "Accepted, and on its way to +4915112345678"
        in client.post(page, {"to": "+49 1511 2345678"}).content.decode()
    )
    assert [sent["To"] for sent in fake.messages.values()] == ["+4915112345678"]
    assert "token" not in client.get(page).content.decode().replace("csrfmiddlewaretoken", "")


@pytest.mark.parametrize(
    ("way", "kind", "kept"), [(Way.IN_APP, "in_app", Notice), (Way.SMS, "outbox", OutboxMessage)]
)
def test_trial_that_stays_in_the_house(client, ada, way, kind, kept) -> None:
    tried = gateway("Mine", way=way, kind=kind)
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    client.post(reverse("admin:notifications_gateway_test", args=[tried.pk]), {"to": "+4915112345678"})
    assert kept.objects.count() == 1


def test_trial_cut_short_by_a_crash_is_not_sent_later(ada, monkeypatch) -> None:
    tried = gateway("Mine")
    monkeypatch.setattr(gateways, "_sent", lambda *_args: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        gateways.send_trial(tried, to=ada.email, by=ada, now=timezone.now() - timedelta(minutes=11))
    sending.work_off(Way.EMAIL, clock=timezone.now)
    assert not OutboxMessage.objects.exists()


# The admin


def test_gateway_page_binds_inboxes_and_outboxes_have_pages(client, ada, inbox) -> None:
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    add = reverse("admin:notifications_gateway_add")
    client.post(add, {"name": "Tray", "kind": "outbox:email"})
    made = Gateway.objects.get()
    assert (made.way, made.kind, made.is_active) == (Way.EMAIL, "outbox", False)
    page = reverse("admin:notifications_gateway_change", args=[made.pk])
    base = {"name": "Tray", "rank": 1, "unknown_outcome": "resend"}
    assert client.post(page, base | {"inboxes": [inbox.pk]}).status_code == 302
    assert InboxGateway.objects.get().inbox == inbox
    assert "Support (support@example.com): Tray" in client.get(page).content.decode()
    gateway("Real", kind="smtp")
    answer = client.post(page, base | {"is_active": "on"})
    assert "is_active" in answer.context["adminform"].form.errors


@pytest.mark.parametrize(
    ("field", "value"), [("set_host", "https://x/"), ("set_port", "70000"), ("set_sender", "nobody")]
)
def test_mail_server_is_checked(client, ada, field: str, value: str) -> None:
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    made = gateway("Mail", kind="smtp", is_active=False)
    base = {"name": "Mail", "rank": 1, "unknown_outcome": "resend", "set_security": "starttls"}
    page = reverse("admin:notifications_gateway_change", args=[made.pk])
    assert field in client.post(page, base | {field: value}).context["adminform"].form.errors
    assert client.post(page, base | {"set_host": "mail.example.com", "set_port": "465"}).status_code == 302
