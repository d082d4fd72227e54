"""Consent over the API: read and set by purpose and way, with its source."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.models import Event
from apps.notifications.choices import PurposeKind
from apps.notifications.models import Preference, Purpose
from apps.users.choices import Role
from apps.users.models import Customer
from apps.users.services import tokens
from tests.factories import make_customer, make_purpose, make_team, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def customer(team) -> Customer:
    return make_customer([team])


@pytest.fixture(autouse=True)
def _purposes() -> None:
    # Those that are there from the start do not count here.
    Purpose.objects.update(is_for_staff=True)
    make_purpose(slug="my-visits", name="Visits")
    make_purpose(PurposeKind.MARKETING, slug="my-news", name="News")
    make_purpose(slug="my-alerts", name="Alerts", is_for_staff=True)


def client_of(user: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {tokens.issue(user).access}"})


@pytest.fixture
def boss(team) -> Client:
    return client_of(make_user(Role.SUPERVISOR, teams=[team]))


def said(boss: Client, customer: Customer, **fields: Any) -> Any:
    given = {"purpose": "my-news", "way": "email", "is_wanted": True} | fields
    return boss.put(reverse("customer-consents", args=[customer.pk]), given, content_type="application/json")


def holds(client: Client, customer: Customer) -> dict[tuple[str, str], tuple[bool, str | None]]:
    rows = client.get(reverse("customer-consents", args=[customer.pk])).json()
    return {(row["purpose"], row["way"]): (row["is_wanted"], row["source"]) for row in rows}


def test_without_a_word_all_but_marketing_is_wanted(boss, customer) -> None:
    assert holds(boss, customer) == {
        ("my-news", "email"): (False, None),
        ("my-news", "sms"): (False, None),
        ("my-visits", "email"): (True, None),
        ("my-visits", "sms"): (True, None),
    }


def test_what_is_set_holds_with_its_source_and_is_recorded_once(boss, customer) -> None:
    for _ in range(2):
        answer = said(boss, customer, source="import")
        assert answer.status_code == 200
    assert holds(boss, customer)["my-news", "email"] == (True, "import")
    assert holds(boss, customer)["my-news", "sms"] == (False, None)
    (event,) = Event.objects.filter(type="notifications.consent.changed")
    assert event.payload["source"] == "import"
    said(boss, customer, is_wanted=False)
    assert holds(boss, customer)["my-news", "email"] == (False, "api")


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"purpose": "my-alerts"}, "purpose"),  # for staff only
        ({"purpose": "none"}, "purpose"),
        ({"purpose": 1}, "purpose"),
        ({"way": "in_app"}, "way"),
        ({"is_wanted": "yes"}, "is_wanted"),
        ({"source": "one_click"}, "source"),  # the customer's own act
        ({"name": "x"}, "name"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(boss, customer, fields, where) -> None:
    answer = said(boss, customer, **fields)
    assert answer.status_code == 400
    assert where in answer.json()["fields"]
    assert not Preference.objects.exists()


def test_agents_read_and_do_not_write(team, customer) -> None:
    agent = client_of(make_user(teams=[team]))
    assert len(holds(agent, customer)) == 4
    assert said(agent, customer).status_code == 403


def test_customer_of_another_team_is_none(boss) -> None:
    foreign = make_customer([make_team()])
    assert said(boss, foreign).status_code == 404
    assert boss.get(reverse("customer-consents", args=[foreign.pk])).status_code == 404
    assert not Preference.objects.exists()
