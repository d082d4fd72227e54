"""What the planning is told about recipients."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.notifications import planning
from apps.notifications.choices import CatchUp, ConsentSource, DeliveryState, PurposeKind, Reason, Way
from apps.notifications.models import (
    Delivery,
    Preference,
    Purpose,
    Reminder,
    SendingRule,
    Suppression,
    Template,
)
from apps.notifications.services import facts
from apps.users.choices import ContactKind
from apps.users.models import ContactPoint, Customer
from tests.factories import make_customer, make_user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def make_purpose(**fields: Any) -> Purpose:
    number = Purpose.objects.count()
    return Purpose.objects.create(**{"slug": f"p{number}", "name": f"Purpose {number}"} | fields)


def with_email(customer: Customer, value: str = "someone@example.com", **fields: Any) -> Customer:
    ContactPoint.objects.create(customer=customer, kind=ContactKind.EMAIL, value=value, **fields)
    return customer


def row(customer: Customer | None = None, **fields: Any) -> Delivery:
    person = customer or fields.get("user")
    fields = {
        "cause": "test:1",
        "way": Way.EMAIL,
        "customer": customer,
        "recipient": person.actor_ref if person else "webhook:1",
        "slot_at": NOW,
        "due_at": NOW,
    } | fields
    return Delivery(**fields)


def recipient(delivery: Delivery) -> planning.Recipient:
    return facts.gather([delivery], now=NOW)[0].recipient


def test_a_verified_address_comes_first():
    customer = with_email(make_customer(), "claimed@example.com")
    with_email(customer, "proven@example.com", is_verified=True)
    assert recipient(row(customer)).address == "proven@example.com"


def test_a_customer_without_an_address_of_this_way_has_none():
    assert recipient(row(with_email(make_customer()), way=Way.SMS)).address == ""


def test_an_address_that_is_given_overrules_the_customers_own():
    assert (
        recipient(row(with_email(make_customer()), address="other@example.com")).address
        == "other@example.com"
    )


@pytest.mark.parametrize(
    ("way", "suffix"), [(Way.EMAIL, "@example.com"), (Way.SMS, ""), (Way.IN_APP, "user:")]
)
def test_a_user_is_reached_by_mail_and_in_the_console(way, suffix):
    address = recipient(row(user=make_user(), way=way)).address
    assert suffix in address
    assert bool(address) == (way != Way.SMS)


def test_a_user_who_left_is_gone():
    known = recipient(row(user=make_user(is_active=False)))
    assert not known.is_active


def test_wishes_and_consent_are_known():
    customer, purpose = with_email(make_customer()), make_purpose(kind=PurposeKind.MARKETING)
    assert recipient(row(customer, purpose=purpose)).needs_consent
    assert recipient(row(customer, purpose=purpose)).wants is None
    Preference.objects.create(
        customer=customer, purpose=purpose, way=Way.EMAIL, is_wanted=False, source=ConsentSource.STAFF
    )
    assert recipient(row(customer, purpose=purpose)).wants is False


def test_a_suppressed_address_is_known_however_it_is_written():
    customer = with_email(make_customer(), "Someone@Example.com")
    Suppression.objects.create(way=Way.EMAIL, address="someone@example.com", reason=Reason.BOUNCED)
    assert recipient(row(customer)).suppressed == Reason.BOUNCED
    assert recipient(row(customer, way=Way.SMS, address="Someone@Example.com")).suppressed is None


def test_a_merged_customer_stands_for_who_he_is_now():
    keep = with_email(make_customer(time_zone="Asia/Tokyo"), "now@example.com")
    double = make_customer(merged_into=keep)
    known = recipient(row(double))
    assert (known.address, known.zone.key, known.had_it) == ("now@example.com", "Asia/Tokyo", False)
    row(keep).save()
    assert recipient(row(double)).had_it


def test_caps_count_the_local_day_and_week():
    purpose = make_purpose()
    SendingRule.objects.create(purpose=purpose, way=Way.EMAIL, most_per_day=1, most_per_week=3)
    customer = with_email(make_customer(time_zone="Pacific/Auckland"))  # 01:00 on Wednesday there
    for hours in (2, 10, 60):
        row(
            customer,
            purpose=purpose,
            occurrence=f"{hours}",
            state=DeliveryState.SENT,
            sent_at=NOW - timedelta(hours=hours),
        ).save()
    known = recipient(row(customer, purpose=purpose))
    assert (known.sent_today, known.sent_this_week) == (0, 2)


def test_what_is_being_sent_in_another_batch_counts_for_caps_once():
    purpose = make_purpose()
    SendingRule.objects.create(purpose=purpose, way=Way.EMAIL, most_per_day=1)
    customer = with_email(make_customer())
    first, second = (
        row(
            customer,
            purpose=purpose,
            occurrence=name,
            state=DeliveryState.SENDING,
            leased_until=NOW + timedelta(seconds=seconds),
        )
        for name, seconds in (("a", 60), ("b", 61))
    )
    first.save()
    second.save()
    assert recipient(first).sent_today == 0
    assert recipient(second).sent_today == 1


def test_a_rule_knows_its_holidays():
    rule = facts.rule_of(SendingRule(holidays_country="de", holidays_region="by"))
    assert rule.is_holiday(date(2026, 12, 25))
    assert rule.is_holiday(date(2026, 1, 6))
    assert not rule.is_holiday(date(2026, 3, 10))
    assert not facts.holidays_of("XX")(date(2026, 12, 25))


def test_a_reminder_that_is_not_caught_up_has_a_latest_moment():
    purpose = make_purpose()
    template = Template.objects.create(slug="t", name="T", purpose=purpose)
    reminder = Reminder.objects.create(
        template=template, customer=make_customer(), date=NOW.date(), time=NOW.time(), catch_up=CatchUp.SKIP
    )
    late = row(with_email(make_customer()), cause=f"reminder:{reminder.pk}")
    assert facts.gather([late], now=NOW)[0].slot.most_late == facts.MISSED_AFTER


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(django_assert_num_queries):
    purpose = make_purpose()
    SendingRule.objects.create(purpose=purpose, way=Way.EMAIL, most_per_day=1)

    def rows(count: int) -> list[Delivery]:
        return [row(with_email(make_customer()), purpose=purpose) for _ in range(count)]

    for count in (1, 7):
        made = rows(count)
        with django_assert_num_queries(7):
            facts.gather(made, now=timezone.now())
