"""Administrators set up gateways and webhooks; secrets go in and never come out."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.notifications.choices import DeliveryState, Way
from apps.notifications.gateways import KINDS
from apps.notifications.models import Delivery, Gateway, WebhookSubscription
from apps.notifications.services import webhooks
from apps.users.choices import Role
from tests.factories import make_user

pytestmark = pytest.mark.django_db
BASE = {"name": "Mine", "rank": 1, "unknown_outcome": "resend", "is_active": "on"}


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(make_user(Role.ADMIN), backend="django.contrib.auth.backends.ModelBackend")
    return client


def made(admin: Client, kind: str) -> Gateway:
    admin.post(reverse("admin:notifications_gateway_add"), {"name": "Mine", "kind": kind})
    return Gateway.objects.get(name="Mine")


def page_of(gateway: Gateway) -> str:
    return reverse("admin:notifications_gateway_change", args=[gateway.pk])


TWILIO = {
    "set_account_sid": "AC1", "set_auth_token": "s3cret-token", "set_sender": "+4930901820",
    "set_countries": "DE, AT", "set_base_url": "",
}  # fmt: skip


def test_gateway_is_off_until_it_is_set_up(admin) -> None:
    gateway = made(admin, "twilio")
    assert (gateway.way, gateway.is_active) == (Way.SMS, False)


def test_gateway_is_set_up_and_tells_its_addresses_but_no_secret(admin) -> None:
    gateway = made(admin, "twilio")
    assert admin.post(page_of(gateway), BASE | TWILIO).status_code == 302
    gateway.refresh_from_db()
    assert gateway.options["countries"] == ["DE", "AT"]
    assert gateway.options["callback_url"].endswith(f"/hooks/{gateway.pk}/status/")
    assert gateway.secrets == {"auth_token": "s3cret-token"}
    KINDS["twilio"](gateway.options, gateway.secrets)
    shown = admin.get(page_of(gateway)).content.decode()
    assert f"/hooks/{gateway.pk}/sms/" in shown
    assert "s3cret-token" not in shown
    history = reverse("admin:notifications_gateway_history", args=[gateway.pk])
    assert "s3cret-token" not in admin.get(history).content.decode()


def test_secret_left_empty_stays(admin) -> None:
    gateway = made(admin, "twilio")
    admin.post(page_of(gateway), BASE | TWILIO)
    admin.post(page_of(gateway), BASE | TWILIO | {"set_auth_token": "", "set_countries": "CH"})
    gateway.refresh_from_db()
    assert (gateway.options["countries"], gateway.secrets) == (["CH"], {"auth_token": "s3cret-token"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("set_countries", "XX"),
        ("set_countries", ""),
        ("set_auth_token", ""),
        ("set_base_url", "http://127.0.0.1/"),
    ],
)
def test_wrong_values_are_told_and_nothing_is_saved(admin, field: str, value: str) -> None:
    gateway = made(admin, "twilio")
    answer = admin.post(page_of(gateway), BASE | TWILIO | {field: value})
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    gateway.refresh_from_db()
    assert gateway.options == {}


def test_http_gateway_takes_json(admin) -> None:
    gateway = made(admin, "http")
    given = {
        "set_url": "https://sms.example.com/", "set_method": "POST", "set_body": '{"to": "{to}"}',
        "set_headers": '{"X-Key": "k"}', "set_sender": "", "set_id_path": "id",
    }  # fmt: skip
    assert admin.post(page_of(gateway), BASE | given).status_code == 302
    gateway.refresh_from_db()
    assert (gateway.options["body"], gateway.secrets) == ({"to": "{to}"}, {"headers": {"X-Key": "k"}})
    answer = admin.post(page_of(gateway), BASE | given | {"set_body": "[" * 100_000})
    assert "set_body" in answer.context["adminform"].form.errors


@pytest.mark.parametrize("kind", ["smtp", "anymail"])
def test_mail_gateways_have_their_pages(admin, kind: str) -> None:
    assert admin.get(page_of(made(admin, kind))).status_code == 200


def test_webhook_shows_its_secret_once(admin) -> None:
    given = {
        "name": "Shop", "url": "https://8.8.8.8/hook", "event_types": ["messaging.conversation.started"],
    }  # fmt: skip
    answer = admin.post(reverse("admin:notifications_webhooksubscription_add"), given, follow=True)
    row = WebhookSubscription.objects.get()
    assert row.secrets[0]["secret"] in re.sub(r"&#x2F;|&#x3D;", "", answer.content.decode()).replace(
        "&#43;", "+"
    )
    page = reverse("admin:notifications_webhooksubscription_change", args=[row.pk])
    assert row.secrets[0]["secret"] not in admin.get(page).content.decode()


def test_b68_webhook_inside_is_refused_with_a_sentence(admin) -> None:
    given = {"name": "Shop", "url": "http://127.0.0.1/", "event_types": ["messaging.conversation.started"]}
    answer = admin.post(reverse("admin:notifications_webhooksubscription_add"), given)
    assert "private network" in answer.content.decode()
    assert not WebhookSubscription.objects.exists()


def test_webhook_actions(admin) -> None:
    row, secret = webhooks.subscribe(
        name="Shop",
        url="https://8.8.8.8/",
        event_types=["messaging.conversation.started"],
        by=make_user(Role.ADMIN),
        now=timezone.now(),
    )
    page = reverse("admin:notifications_webhooksubscription_changelist")
    for name in ("ping", "rotate"):
        admin.post(page, {"action": name, "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert [entry["secret"] == secret for entry in row.secrets] == [False, True]
    Delivery.objects.update(state=DeliveryState.DEAD)
    admin.post(page, {"action": "resend", "_selected_action": [row.pk]})
    assert Delivery.objects.get().state == DeliveryState.DUE
    change = reverse("admin:notifications_webhooksubscription_change", args=[row.pk])
    assert "ping" in admin.get(change).content.decode()
