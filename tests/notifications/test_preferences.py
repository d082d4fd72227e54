"""What customers want: by a signed link, with one click, by SMS, and what a bounce or a complaint does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core import signing
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.notifications import keywords, links, subscribers
from apps.notifications.choices import ConsentSource, PurposeKind, Reason, Way
from apps.notifications.models import Preference, Purpose, Suppression
from apps.notifications.services import preferences
from apps.notifications.services.preferences import Wish
from apps.users.models import ContactPoint, Customer
from apps.users.services import customers
from tests.factories import make_customer, make_purpose

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_was_counted() -> None:
    cache.clear()


def _customer(**fields) -> Customer:
    customer = make_customer(**fields)
    ContactPoint.objects.create(customer=customer, kind="email", value=f"ada{customer.pk}@example.com")
    ContactPoint.objects.create(customer=customer, kind="phone", value=f"+49301234{customer.pk:04}")
    return customer


def _address(name: str, customer: Customer, purpose: Purpose | None = None, way: str = "email") -> str:
    wish = links.Wish(customer.pk, purpose.pk if purpose else 0, way)
    return reverse(name, args=[links.token(wish)])


def _wishes(customer: Customer) -> dict[tuple[int, str], bool]:
    return {(row.purpose_id, row.way): row.is_wanted for row in Preference.objects.filter(customer=customer)}


def _consents(customer: Customer) -> list[tuple[int, str, bool, str]]:
    found = Event.objects.filter(type="notifications.consent.changed", stream=customer.actor_ref).order_by(
        "id"
    )
    return [tuple(row.payload[key] for key in ("purpose", "way", "is_wanted", "source")) for row in found]


# One click


def test_one_click_ends_one_purpose_by_one_way_without_signing_in(client: Client) -> None:
    customer, purpose, other = _customer(), make_purpose(), make_purpose()
    answer = client.post(_address("unsubscribe", customer, purpose), {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert "You are unsubscribed" in answer.content.decode()
    assert _wishes(customer) == {(purpose.pk, "email"): False}
    assert _consents(customer) == [(purpose.pk, "email", False, "one_click")]
    assert other.pk not in {key[0] for key in _wishes(customer)}


def test_one_click_needs_no_cookie_and_no_csrf_token() -> None:
    customer, purpose = _customer(), make_purpose()
    strict = Client(enforce_csrf_checks=True)
    body = "List-Unsubscribe=One-Click"
    answer = strict.post(
        _address("unsubscribe", customer, purpose), body, content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 200
    assert not answer.cookies
    assert _wishes(customer) == {(purpose.pk, "email"): False}


def test_looking_at_the_page_changes_nothing(client: Client) -> None:
    customer, purpose = _customer(), make_purpose()
    for address in (_address("unsubscribe", customer, purpose), _address("preferences", customer)):
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer["X-Robots-Tag"] == "noindex"
        assert client.head(address).status_code == 200
    assert not _wishes(customer)
    assert not _consents(customer)


def test_clicking_twice_is_recorded_once(client: Client) -> None:
    customer, purpose = _customer(), make_purpose()
    for _ in range(2):
        assert client.post(_address("unsubscribe", customer, purpose)).status_code == 200
    assert len(_consents(customer)) == 1


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: "1" + t, lambda t: t.replace("-email", "-sms"), lambda t: "x"]
)
def test_a_token_that_is_not_ours_leads_nowhere(client: Client, change) -> None:
    customer, purpose = _customer(), make_purpose()
    token = change(links.token(links.Wish(customer.pk, purpose.pk, "email")))
    for name in ("preferences", "unsubscribe"):
        assert client.get(reverse(name, args=[token])).status_code == 404
        assert client.post(reverse(name, args=[token])).status_code == 404
    foreign = signing.Signer(salt="other", sep=".").sign(f"{customer.pk}-{purpose.pk}-email")
    assert client.get(reverse("preferences", args=[foreign])).status_code == 404
    assert not _wishes(customer)


def test_a_token_outlives_a_new_secret_key(client: Client, settings) -> None:
    customer = _customer()
    address = _address("preferences", customer)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-that-is-long-enough-for-everybody"
    assert client.get(address).status_code == 200


def test_too_many_requests_are_told_to_come_back(client: Client) -> None:
    address = _address("preferences", _customer())
    answers = [client.get(address).status_code for _ in range(125)]
    assert set(answers) == {200, 429}
    assert answers.count(200) == 120


# The page


def _boxes(html: str) -> dict[str, bool]:
    found = re.findall(r'name="wanted" value="([^"]+)"( checked)?', html)
    return {key: bool(checked) for key, checked in found}


def test_the_page_shows_what_holds_and_saves_only_what_was_changed(client: Client) -> None:
    customer = _customer()
    service, news = make_purpose(), make_purpose(PurposeKind.MARKETING)
    address = _address("preferences", customer)
    boxes = _boxes(client.get(address).content.decode())
    assert (boxes[f"{service.pk}-email"], boxes[f"{service.pk}-sms"]) == (True, True)
    assert (boxes[f"{news.pk}-email"], boxes[f"{news.pk}-sms"]) == (False, False)
    wanted = [key for key, ticked in boxes.items() if ticked and key != f"{service.pk}-sms"]
    answer = client.post(
        address, {"shown": list(boxes), "wanted": [*wanted, f"{news.pk}-email"]}, follow=True
    )
    assert "Saved" in answer.content.decode()
    assert _wishes(customer) == {(service.pk, "sms"): False, (news.pk, "email"): True}
    assert {source for *_, source in _consents(customer)} == {"preference_page"}
    assert _boxes(answer.content.decode())[f"{news.pk}-email"] is True


def test_a_purpose_that_came_meanwhile_is_not_refused(client: Client) -> None:
    customer = _customer()
    address = _address("preferences", customer)
    shown = list(_boxes(client.get(address).content.decode()))
    late = make_purpose()
    client.post(address, {"shown": shown, "wanted": shown})
    assert (late.pk, "email") not in _wishes(customer)


def test_foreign_boxes_are_ignored(client: Client) -> None:
    customer = _customer()
    client.post(
        _address("preferences", customer), {"shown": ["999-email", "x", "1-webhook"], "wanted": ["999-email"]}
    )
    assert not _wishes(customer)


def test_the_page_is_protected_against_forged_posts() -> None:
    answer = Client(enforce_csrf_checks=True).post(_address("preferences", _customer()))
    assert answer.status_code == 403


def test_a_merged_customer_speaks_for_the_one_he_is(client: Client) -> None:
    keep, double, purpose = _customer(), _customer(), make_purpose()
    address = _address("unsubscribe", double, purpose)
    customers.merge(keep, double, by=SYSTEM)
    assert client.post(address).status_code == 200
    assert _wishes(keep) == {(purpose.pk, "email"): False}
    assert not _wishes(double)


def test_of_two_merged_wishes_the_later_one_holds() -> None:
    keep, double = _customer(), _customer()
    one, two, three = make_purpose(), make_purpose(), make_purpose()

    def say(customer: Customer, purpose: Purpose, is_wanted: bool, minutes: int) -> None:
        preferences.set_wishes(
            customer, [Wish(purpose.pk, "email", is_wanted)], source=ConsentSource.STAFF, by=SYSTEM,
            now=NOW + timedelta(minutes=minutes),
        )  # fmt: skip

    say(keep, one, True, 1)
    say(double, one, False, 2)
    say(keep, two, False, 2)
    say(double, two, True, 1)
    say(double, three, False, 1)
    for _ in range(2):
        preferences.merge(double.pk, keep.pk)
    assert _wishes(keep) == {(one.pk, "email"): False, (two.pk, "email"): False, (three.pk, "email"): False}
    assert not _wishes(double)


def test_merging_customers_merges_what_they_want() -> None:
    keep, double, purpose = _customer(), _customer(), make_purpose()
    refusal = [Wish(purpose.pk, "email", False)]
    preferences.set_wishes(double, refusal, source=ConsentSource.STAFF, by=SYSTEM, now=NOW)
    customers.merge(keep, double, by=SYSTEM)
    subscribers.merge_wishes(Event.objects.get(type="users.customer.merged"))
    assert _wishes(keep) == {(purpose.pk, "email"): False}


# Addresses


def _phone(customer: Customer) -> str:
    return customer.contact_points.get(kind="phone").value


def test_stop_ends_all_sms_and_start_gives_back_what_stop_took() -> None:
    customer = _customer()
    agreed, refused = make_purpose(PurposeKind.MARKETING), make_purpose(PurposeKind.MARKETING)
    preferences.set_wishes(
        customer, [Wish(agreed.pk, "sms", True), Wish(agreed.pk, "email", True), Wish(refused.pk, "sms", False)],
        source=ConsentSource.PREFERENCE_PAGE, by=customer, now=NOW,
    )  # fmt: skip
    for _ in range(2):
        preferences.stop(way=Way.SMS, address=_phone(customer), now=NOW)
    assert Suppression.objects.get(address=_phone(customer)).reason == Reason.OPTED_OUT
    assert _wishes(customer)[(agreed.pk, "sms")] is False
    assert _wishes(customer)[(agreed.pk, "email")] is True
    for _ in range(2):
        preferences.start(way=Way.SMS, address=_phone(customer), now=NOW)
    assert not Suppression.objects.filter(address=_phone(customer)).exists()
    assert _wishes(customer)[(agreed.pk, "sms")] is True
    assert _wishes(customer)[(refused.pk, "sms")] is False
    assert [row for row in _consents(customer) if row[3] == "sms_keyword"] == [
        (agreed.pk, "sms", False, "sms_keyword"),
        (agreed.pk, "sms", True, "sms_keyword"),
    ]


def test_stop_from_a_number_nobody_knows_holds_too() -> None:
    preferences.stop(way=Way.SMS, address="+4930999999", now=NOW)
    assert Suppression.objects.filter(way="sms", address="+4930999999").exists()


def test_start_does_not_wake_a_number_that_does_not_work() -> None:
    preferences.bounced(way=Way.SMS, address="+4930999999", detail="30005", now=NOW)
    preferences.start(way=Way.SMS, address="+4930999999", now=NOW)
    assert Suppression.objects.get(address="+4930999999").reason == Reason.BOUNCED


def test_a_bounce_stops_an_address_in_any_case_and_somebody_may_release_it() -> None:
    for _ in range(2):
        preferences.bounced(way=Way.EMAIL, address="Ada@Example.com", detail="550 5.1.1", now=NOW)
    row = Suppression.objects.get(address="ada@example.com")
    assert (row.reason, row.detail) == (Reason.BOUNCED, "550 5.1.1")
    preferences.release(row, by=SYSTEM)
    assert not Suppression.objects.exists()
    types = Event.objects.filter(stream=f"suppression:{row.pk}").order_by("id").values_list("type", flat=True)
    assert list(types) == ["notifications.address.suppressed", "notifications.address.released"]


def test_a_complaint_ends_marketing_and_stops_the_address() -> None:
    customer = _customer()
    news = make_purpose(PurposeKind.MARKETING)
    address = customer.contact_points.get(kind="email").value
    preferences.complained(way=Way.EMAIL, address=address.upper(), now=NOW)
    assert _wishes(customer)[(news.pk, "email")] is False
    assert ("email", False, "complaint") in [row[1:] for row in _consents(customer)]
    assert Suppression.objects.get(address=address).reason == Reason.OPTED_OUT


def test_who_is_stopped_sees_it_on_his_page_and_may_begin_again(client: Client) -> None:
    customer = _customer()
    address = customer.contact_points.get(kind="email").value
    preferences.complained(way=Way.EMAIL, address=address, now=NOW)
    page = _address("preferences", customer)
    assert "nothing at all is sent" in client.get(page).content.decode()
    client.post(page, {"again": "email"})
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("STOP", False),
        (" stop. ", False),
        ("Stop all", False),
        ("START", True),
        ("unstop!", True),
        ("Stop it now", None),
        ("", None),
        ("don't stop", None),
    ],
)
def test_orders_by_sms_are_understood_when_they_stand_alone(text: str, meant: bool | None) -> None:
    assert keywords.order(text) is meant


@pytest.mark.parametrize("language", ["de", "de-at", "xx", ""])
def test_a_page_is_in_one_language_that_it_is_written_in(client: Client, language: str) -> None:
    """Django could say “Sichern” where all else is English."""
    make_purpose()
    shown = client.get(_address("preferences", _customer(language=language))).content.decode()
    assert '<html lang="en"' in shown
    assert ">Save</button>" in shown
