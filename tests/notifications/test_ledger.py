"""Why did (not) I get this: past and coming lines of a customer, in the admin, by the command and in pure numbers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.notifications import ledger
from apps.notifications.choices import DeliveryState, Fate, Reason, Way
from apps.notifications.models import Attempt, Delivery, Purpose, Reminder, SendingRule, Suppression
from apps.notifications.services import reminders
from apps.users.choices import Role
from apps.users.models import Customer
from tests.factories import make_customer, make_purpose, make_team, make_template, make_user
from tests.notifications.gate import make_delivery, reachable

pytestmark = pytest.mark.django_db
# A Friday; the clocks of Berlin go forward on Sunday.
NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def customer(team) -> Customer:
    found = reachable(time_zone="Europe/Berlin", name="Ada Lovelace")
    found.teams.add(team)
    return found


@pytest.fixture
def boss(client: Client, team) -> Client:
    client.force_login(make_user(Role.SUPERVISOR, [team], time_zone="America/New_York"))
    return client


def remind(
    customer: Customer, *, now: datetime = NOW, purpose: Purpose | None = None, **fields: Any
) -> Reminder:
    fields = {"ways": [Way.EMAIL], "date": (now + timedelta(days=1)).date(), "time": time(2, 30)} | fields
    plan = reminders.Plan(template=make_template(purpose=purpose), to=customer, **fields)
    return reminders.schedule(plan, by=SYSTEM, now=now)


def page_of(client: Client, customer: Customer, **asked: Any) -> str:
    answer = client.get(reverse("admin:notifications_delivery_customer", args=[customer.pk]), asked)
    assert answer.status_code == 200
    return answer.content.decode()


def coming(customer: Customer, *, days: int = 4) -> list[ledger.Line]:
    end = NOW + timedelta(days=days)
    return ledger.of_customer(customer, start=NOW, end=end, now=NOW).coming


def test_a_time_that_does_not_exist_goes_in_the_next_minute_that_does(customer) -> None:
    remind(customer, rrule="FREQ=DAILY")
    lines = coming(customer)
    assert [f"{line.at:%d %H:%M}" for line in lines] == ["28 01:30", "29 01:00", "30 00:30", "31 00:30"]
    assert {line.fate for line in lines} == {Fate.GOES}


def test_quiet_hours_say_until_when(customer) -> None:
    purpose = make_purpose()
    SendingRule.objects.create(
        purpose=purpose, way=Way.EMAIL, quiet_from=time(20), quiet_until=time(8), most_per_day=1
    )
    first = remind(customer, purpose=purpose)
    remind(customer, purpose=purpose, time=time(9, 30))
    held, capped = coming(customer)
    assert (held.row.cause, held.fate, held.reason) == (f"reminder:{first.pk}", Fate.HELD, Reason.QUIET_HOURS)
    assert held.at == datetime(2026, 3, 28, 7, 0, tzinfo=UTC)
    assert (capped.fate, capped.at, capped.reason) == (Fate.WILL_NOT, None, Reason.CAPPED)


def test_a_stopped_address_is_seen_before(customer) -> None:
    Suppression.objects.create(way=Way.EMAIL, address=f"c{customer.pk}@example.org")
    remind(customer)
    (line,) = coming(customer)
    assert (line.fate, line.reason) == (Fate.WILL_NOT, Reason.BOUNCED)


def test_what_ended_says_how_and_why(customer) -> None:
    dead = make_delivery(customer, due_at=NOW - timedelta(hours=1), state=DeliveryState.DEAD)
    Attempt.objects.create(delivery=dead, number=1, at=NOW, error="permanent", detail="550 no such user")
    make_delivery(
        customer, due_at=NOW - timedelta(hours=2), state=DeliveryState.SUPPRESSED, reason=Reason.OPTED_OUT
    )
    found = ledger.of_customer(customer, start=NOW - timedelta(days=1), end=NOW, now=NOW)
    assert [(line.fate, line.reason, line.detail) for line in found.past] == [
        (Fate.DEAD, None, "550 no such user"),
        (Fate.SUPPRESSED, Reason.OPTED_OUT, ""),
    ]
    assert found.coming == []


def test_what_went_to_a_double_is_his_too(customer) -> None:
    double = make_customer(merged_into=customer)
    make_delivery(double, due_at=NOW, state=DeliveryState.SENT, sent_at=NOW)
    found = ledger.of_customer(customer, start=NOW, end=NOW + timedelta(days=1), now=NOW)
    assert [line.row.customer_id for line in found.past] == [double.pk]


def test_what_is_overdue_is_shown_as_waiting(customer) -> None:
    make_delivery(customer, due_at=NOW - timedelta(days=2), context={"body": "Hello"})
    (line,) = coming(customer)
    assert (line.fate, line.at, line.meant_for) == (Fate.GOES, NOW, NOW - timedelta(days=2))


def test_the_page_shows_past_and_coming_in_the_customers_zone_or_mine(boss, customer) -> None:
    reminder = remind(customer, now=timezone.now(), time=time(12, 0))
    make_delivery(
        customer,
        due_at=timezone.now() - timedelta(days=1),
        state=DeliveryState.CANCELLED,
        reason="not_needed",
    )
    page = page_of(boss, customer)
    assert reverse("admin:notifications_reminder_change", args=[reminder.pk]) in page
    assert "what it was about is settled" in page
    assert ", 12:00 CE" in page
    assert "Times by the clock of Europe/Berlin" in page
    mine = page_of(boss, customer, clock="mine")
    assert "Times by the clock of America/New_York" in mine
    assert ", 12:00 CE" not in mine


def test_the_page_filters_by_period_and_says_when_there_is_nothing(boss, customer) -> None:
    remind(customer, now=timezone.now())
    page = page_of(boss, customer, start="2020-01-01", end="2020-01-31")
    assert "Nothing is planned in this period" in page
    assert "Nothing was meant for this customer" in page
    refused = page_of(boss, customer, start="2026-02-01", end="2026-01-01")
    assert "the earlier day first" in refused
    assert "Enter a valid date" in page_of(boss, customer, start="Feb 30")


def test_the_customers_page_leads_there(boss, customer) -> None:
    page = boss.get(reverse("admin:users_customer_change", args=[customer.pk])).content.decode()
    assert reverse("admin:notifications_delivery_customer", args=[customer.pk]) in page


def test_the_page_of_many_lines_asks_no_more_than_that_of_few(
    boss, customer, django_assert_max_num_queries, django_assert_num_queries
) -> None:
    now = timezone.now()
    for number in range(2):
        remind(customer, now=now, rrule="FREQ=DAILY")
        make_delivery(customer, due_at=now, state=DeliveryState.SENT, cause=f"reminder:{number}")
    page_of(boss, customer)
    with django_assert_max_num_queries(40) as few:
        page_of(boss, customer)
    for _ in range(8):
        remind(customer, now=now, rrule="FREQ=DAILY")
        make_delivery(customer, due_at=now, state=DeliveryState.SENT)
    with django_assert_num_queries(len(few)):
        page_of(boss, customer)
    assert Delivery.objects.count() == 20


def test_the_command_says_the_same(customer, capsys) -> None:
    now = timezone.now()
    reminder = remind(customer, now=now, rrule="FREQ=DAILY;COUNT=3", time=time(12, 0))
    call_command("reminders", "preview", str(reminder.pk), "--json")
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = ledger.of_reminder(reminder, until=now + timedelta(days=9), now=now).coming
    assert [datetime.fromisoformat(line["at"]) for line in said] == [line.at for line in found]
    assert len(said) == 3
