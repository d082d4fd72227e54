"""Segments: which filters are taken, and whom they mean."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.messaging.models import Tag
from apps.notifications import segments
from apps.notifications.choices import PurposeKind
from apps.notifications.errors import SegmentInvalid
from apps.notifications.models import Preference
from apps.users.models import ContactPoint, Customer
from tests.factories import make_conversation, make_customer, make_purpose
from tests.notifications.gate import NOW

GOOD: dict[str, Any] = {
    "languages": ["de", "pt-br"],
    "zones": ["Europe", "America/New_York"],
    "attributes": {"plan": "gold"},
    "tags": [3, 1],
    "reachable_by": ["email", "sms"],
    "agreed_to": [7],
    "created_from": "2026-01-01",
    "created_until": "2026-01-31",
    "contact_within_days": 30,
    "no_contact_for_days": 90,
}


def test_a_filter_is_kept_tidy() -> None:
    kept = segments.checked(GOOD | {"languages": ["de", "de"], "tags": [3, 1, 3], "zones": []})
    assert kept == {name: value for name, value in GOOD.items() if name != "zones"} | {
        "languages": ["de"],
        "tags": [1, 3],
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("languages", "de"),
        ("languages", ["DE OR 1=1"]),
        ("languages", ["de"] * 51),
        ("zones", ["Atlantis"]),
        ("zones", [None]),
        ("attributes", {"plan__contains": 1}),
        ("attributes", {"a b": "x"}),
        ("attributes", {"plan": "x\0"}),
        ("attributes", {str(n): "x" for n in range(11)}),
        ("tags", [True]),
        ("tags", [-1]),
        ("tags", [2**63]),
        ("reachable_by", ["webhook"]),
        ("created_from", "soon"),
        ("created_from", "0001-01-01"),
        ("created_from", 20260101),
        ("contact_within_days", 0),
        ("contact_within_days", True),
        ("contact_within_days", 10**9),
        ("password", "x"),
        ("merged_into__isnull", True),
    ],
)
def test_what_is_no_filter_is_said_by_name(name: str, value: Any) -> None:
    with pytest.raises(SegmentInvalid) as caught:
        segments.checked({name: value})
    assert list(caught.value.fields) == [name]


@pytest.mark.parametrize("said", [None, [], "x", 7])
def test_only_an_object_is_a_filter(said: Any) -> None:
    with pytest.raises(SegmentInvalid):
        segments.checked(said)


def test_the_last_day_is_not_before_the_first() -> None:
    with pytest.raises(SegmentInvalid):
        segments.checked({"created_from": "2026-02-01", "created_until": "2026-01-31"})


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=5), one, max_size=3),
            max_leaves=6,
        ),
    )
)
def test_whatever_comes_is_taken_or_refused_and_what_is_taken_stays_the_same(said: dict[str, Any]) -> None:
    try:
        kept = segments.checked(said)
    except SegmentInvalid:
        return
    assert segments.checked(kept) == kept


# Whom they mean


def found(filter: dict[str, Any]) -> set[str]:
    return set(segments.customers(segments.checked(filter), now=NOW).values_list("name", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({}, {"Ada", "Bob", "Cleo"}),
        ({"languages": ["de"]}, {"Ada", "Bob"}),
        ({"languages": ["de-at"]}, {"Bob"}),
        ({"zones": ["Europe"]}, {"Ada", "Bob"}),
        ({"zones": ["Europe/Vienna", "America"]}, {"Bob", "Cleo"}),
        ({"attributes": {"plan": "gold"}}, {"Ada"}),
        ({"attributes": {"visits": "3"}}, {"Bob"}),
        ({"attributes": {"vip": "true"}}, {"Cleo"}),
        ({"attributes": {"plan": "gold", "visits": "3"}}, set()),
        ({"languages": ["de"], "zones": ["Europe/Berlin"]}, {"Ada"}),
        ({"created_from": "2026-02-01"}, {"Bob", "Cleo"}),
        ({"created_until": "2026-02-01"}, {"Ada", "Bob"}),
        ({"created_from": "2026-02-01", "created_until": "2026-02-01"}, {"Bob"}),
    ],
)
def test_all_of_a_filter_must_hold(filter: dict[str, Any], names: set[str]) -> None:
    ada = make_customer(
        name="Ada", language="de", time_zone="Europe/Berlin", attributes={"plan": "gold"},
        created_at=NOW - timedelta(days=60),
    )  # fmt: skip
    make_customer(
        name="Bob", language="DE-at", time_zone="Europe/Vienna", attributes={"plan": "lead", "visits": 3},
        created_at=NOW.replace(month=2, day=1, hour=23),
    )  # fmt: skip
    make_customer(
        name="Cleo", language="den", time_zone="America/Lima", attributes={"vip": True}, created_at=NOW
    )
    make_customer(name="Double", language="de", time_zone="Europe/Berlin", merged_into=ada)
    assert found(filter) == names


@pytest.mark.django_db
def test_tags_contacts_consent_and_addresses() -> None:
    tag, other = Tag.objects.create(name="vip"), Tag.objects.create(name="spam")
    ada, bob, cleo = (make_customer(name=name) for name in ("Ada", "Bob", "Cleo"))
    for customer, days in ((ada, 3), (ada, 400), (bob, 60)):
        talk = make_conversation(customer=customer)
        type(talk).objects.filter(pk=talk.pk).update(last_message_at=NOW - timedelta(days=days))
        if customer == ada:
            talk.tags.add(tag)
    ContactPoint.objects.create(customer=bob, kind="phone", value="+4930901820")
    ContactPoint.objects.create(customer=ada, kind="email", value="ada@example.org")
    letter = make_purpose(PurposeKind.MARKETING)
    for customer, wanted in ((ada, True), (cleo, False)):
        Preference.objects.create(
            customer=customer, purpose=letter, way="email", is_wanted=wanted, source="staff"
        )

    assert found({"tags": [tag.pk]}) == {"Ada"}
    assert found({"tags": [other.pk]}) == set()
    assert found({"contact_within_days": 30}) == {"Ada"}
    assert found({"contact_within_days": 90, "no_contact_for_days": 30}) == {"Bob"}
    assert found({"no_contact_for_days": 30}) == {"Bob", "Cleo"}
    assert found({"reachable_by": ["sms"]}) == {"Bob"}
    assert found({"reachable_by": ["sms", "email"]}) == {"Ada", "Bob"}
    assert found({"agreed_to": [letter.pk]}) == {"Ada"}


@pytest.mark.django_db
def test_nobody_is_counted_twice_and_one_query_is_enough(django_assert_num_queries) -> None:
    tag = Tag.objects.create(name="vip")
    customer = make_customer(attributes={"a": "1", "b": "2"})
    for _ in range(3):
        make_conversation(customer=customer).tags.add(tag)
    kept = segments.checked({"tags": [tag.pk], "attributes": {"a": "1", "b": "2"}})
    with django_assert_num_queries(1):
        assert segments.customers(kept, now=NOW).count() == 1
    assert Customer.objects.count() == 1
