"""What a preview says is what a run then does, line by line: the senders' clock is frozen and moved from due to due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.notifications import forecast
from apps.notifications.choices import CatchUp, ConsentSource, DeliveryState, PurposeKind, Reason, Way
from apps.notifications.gateways import KINDS
from apps.notifications.models import (
    Appointment,
    Delivery,
    Gateway,
    Preference,
    Purpose,
    Reminder,
    SendingQueue,
    SendingRule,
    Suppression,
)
from apps.notifications.services import defaults, reminders, sending
from apps.users.choices import ContactKind
from apps.users.models import ContactPoint, Customer
from tests.factories import make_customer, make_team, make_template
from tests.notifications.gate import Gate, make_gateway

pytestmark = pytest.mark.django_db

# A week around the night on which the clocks of each zone change. In Beirut and Santiago midnight is missing.
NIGHTS = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Asia/Beirut", date(2026, 3, 29)),
    ("America/Santiago", date(2026, 9, 6)),
]
DAYS_BEFORE, DAYS = 3, 6
RULES = ["", "FREQ=DAILY", "FREQ=DAILY;INTERVAL=2", "FREQ=WEEKLY;BYDAY=SA,SU,MO", "FREQ=DAILY;COUNT=3"]
CLOCK = [time(hour, minute) for hour in range(24) for minute in (0, 30)]

rules = st.fixed_dictionaries(
    {},
    optional={
        "quiet": st.tuples(st.sampled_from(CLOCK), st.sampled_from(CLOCK)),
        "weekdays": st.sets(st.integers(0, 6), min_size=4),
        "most_per_day": st.integers(1, 2),
        "most_per_week": st.integers(1, 4),
        "holidays_country": st.sampled_from(["DE", "US"]),
    },
)
plans = st.fixed_dictionaries(
    {
        "day": st.integers(0, DAYS - 1),
        "time": st.sampled_from([*CLOCK, time(2, 30), time(0, 15), time(1, 45)]),
        "rrule": st.sampled_from(RULES),
        "ways": st.sampled_from([[Way.EMAIL], [Way.SMS], [Way.EMAIL, Way.SMS]]),
        "purpose": st.integers(0, 1),
        "expires_after_hours": st.sampled_from([None, None, 5, 60]),
        "before_appointment": st.sampled_from([None, None, None, 90, 1440]),
        "catch_up": st.sampled_from(list(CatchUp)),
    }
)
worlds = st.fixed_dictionaries(
    {
        "night": st.sampled_from(NIGHTS),
        "rules": st.lists(rules, min_size=2, max_size=2),
        "plans": st.lists(plans, min_size=1, max_size=4),
        "wish": st.sampled_from([None, True, True, False]),
        "stopped": st.sampled_from([None, None, None, Way.EMAIL]),
    }
)


class Line(NamedTuple):
    """One line of the preview, or of what happened."""

    meant_for: datetime
    cause: str
    occurrence: str
    way: str
    went_out_at: datetime | None
    reason: str


@pytest.fixture
def gates(monkeypatch) -> None:
    SendingQueue.objects.all().delete()
    Gateway.objects.all().delete()
    defaults.create_queues()
    for way in (Way.EMAIL, Way.SMS):
        monkeypatch.setitem(KINDS, f"gate-{way}", Gate(way=way))
        make_gateway(way, f"gate-{way}")


def test_a_run_sends_what_the_preview_says(gates) -> None:
    """Over all examples every kind of line was there, so that the comparison had something to compare."""
    seen: set[str] = set()
    _compare(seen)
    assert seen >= {
        "on time",
        Reason.QUIET_HOURS,
        Reason.CLOSED_DAY,
        Reason.CAPPED,
        Reason.EXPIRED,
        Reason.NO_CONSENT,
        Reason.NO_TEXT,
        Reason.BOUNCED,
    }


@seed(20260329)
@settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(world=worlds)
def _compare(seen: set[str], world: dict[str, Any]) -> None:
    with transaction.atomic():
        customer, start = _build(world)
        until = start + timedelta(days=DAYS)
        said = sorted(_said(customer, until=until, now=start))
        _run(start, until + timedelta(days=5))
        done = sorted(_done(customer, until=until))
        transaction.set_rollback(True)
    assert said == done
    seen.update(line.reason or "on time" for line in done)


def _build(world: dict[str, Any]) -> tuple[Customer, datetime]:
    zone, night = world["night"]
    start = datetime.combine(night - timedelta(days=DAYS_BEFORE), time(), tzinfo=UTC)
    team = make_team()
    customer = make_customer([team], time_zone=zone)
    for kind, value in ((ContactKind.EMAIL, "ada@example.org"), (ContactKind.PHONE, "+4930123456")):
        ContactPoint.objects.create(customer=customer, kind=kind, value=value, is_verified=True)
    purposes = [
        _purpose(f"p{number}", kind, rule)
        for number, (kind, rule) in enumerate(zip(PurposeKind.values, world["rules"], strict=True))
    ]
    if world["wish"] is not None:
        said = {"is_wanted": world["wish"], "source": ConsentSource.STAFF}
        for way in (Way.EMAIL, Way.SMS):
            Preference.objects.create(customer=customer, purpose=purposes[1], way=way, **said)
    if world["stopped"]:
        Suppression.objects.create(way=world["stopped"], address="ada@example.org")
    for plan in world["plans"]:
        _schedule(plan, customer, purposes, team=team, start=start)
    return customer, start


def _purpose(slug: str, kind: str, rule: dict[str, Any]) -> Purpose:
    purpose = Purpose.objects.create(slug=slug, name=slug, kind=kind)
    fields = {name: value for name, value in rule.items() if name != "quiet"}
    if "quiet" in rule:
        fields["quiet_from"], fields["quiet_until"] = rule["quiet"]
    if "weekdays" in rule:
        fields["weekdays"] = sorted(rule["weekdays"])
    for way in (Way.EMAIL, Way.SMS):
        SendingRule.objects.create(purpose=purpose, way=way, **fields)
    return purpose


def _schedule(plan: dict[str, Any], customer: Customer, purposes: list[Purpose], *, team, start) -> None:
    # The second purpose's template has no text for SMS.
    texts = {"email": {"en": {"subject": "Hello", "body": "Hello {customer.name}"}}}
    if plan["purpose"] == 0:
        texts["sms"] = {"en": {"body": "Hello"}}
    template = make_template(texts, purpose=purposes[plan["purpose"]])
    day = start.date() + timedelta(days=plan["day"])
    when: dict[str, Any] = {"date": day, "time": plan["time"], "rrule": plan["rrule"]}
    moment = datetime.combine(day, plan["time"], tzinfo=UTC)
    if plan["before_appointment"]:
        row = Appointment.objects.create(
            customer=customer, team=team, title="Visit", starts_at=moment + timedelta(days=2)
        )
        when = {"appointment": row, "offset_minutes": -plan["before_appointment"]}
    if plan["expires_after_hours"]:
        when["expires_at"] = moment + timedelta(hours=plan["expires_after_hours"])
    reminder = reminders.Plan(
        template=template, to=customer, ways=plan["ways"], catch_up=plan["catch_up"], fold=0, **when
    )
    try:
        with transaction.atomic():
            reminders.schedule(reminder, by=SYSTEM, now=start)
    except EMLError:
        pass  # expires before it begins, or a time that does not exist that night


def _said(customer: Customer, *, until: datetime, now: datetime) -> Iterator[Line]:
    for one in forecast.of_people([customer], until=until, now=now):
        row = one.row
        yield Line(row.slot_at, row.cause, row.occurrence, str(row.way), one.at, str(one.reason or ""))


def _run(now: datetime, until: datetime) -> None:
    while (moment := _next_moment()) is not None and moment < until:
        now = max(now, moment)
        reminders.advance_all(now=now)
        for way in set(Delivery.objects.due(now).values_list("way", flat=True)):
            sending.work_off(way, clock=lambda moment=now: moment)


def _next_moment() -> datetime | None:
    due = Delivery.objects.filter(state=DeliveryState.DUE).order_by("due_at").values_list("due_at", flat=True)
    ahead = Reminder.objects.active().order_by("next_at").values_list("next_at", flat=True)
    return min((one for one in (due.first(), ahead.first()) if one), default=None)


def _done(customer: Customer, *, until: datetime) -> Iterator[Line]:
    for row in Delivery.objects.filter(customer=customer, slot_at__lt=until):
        assert row.state in (DeliveryState.SENT, DeliveryState.SUPPRESSED)
        yield Line(row.slot_at, row.cause, row.occurrence, row.way, row.sent_at, row.reason)
