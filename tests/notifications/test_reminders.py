"""Reminders: the next occurrence always waits as deliveries; moved, called off and carried on without a double."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from apps.core import dispatch
from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.notifications import errors
from apps.notifications.choices import CatchUp, DeliveryState, Reason, ReminderState, Way
from apps.notifications.models import Delivery, Reminder
from apps.notifications.services import appointments, reminders, templates
from apps.notifications.services.reminders import Plan
from apps.users.services import customers
from tests.factories import make_conversation, make_customer, make_team, make_template, make_user

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOMORROW = date(2026, 3, 2)


def make_plan(**fields) -> Plan:
    fields = {
        "template": make_template(),
        "to": make_customer(time_zone="Europe/Berlin"),
        "ways": [Way.EMAIL],
        "date": TOMORROW,
        "time": time(9),
    } | fields
    return Plan(**fields)


def schedule(now: datetime = NOW, **fields) -> Reminder:
    return reminders.schedule(make_plan(**fields), by=SYSTEM, now=now)


def waiting(reminder: Reminder):
    return Delivery.objects.filter(cause=f"reminder:{reminder.pk}", state=DeliveryState.DUE)


def test_the_first_occurrence_waits_at_the_recipients_own_time() -> None:
    reminder = schedule(ways=[Way.EMAIL, Way.SMS])
    rows = waiting(reminder)
    assert {row.way for row in rows} == {Way.EMAIL, Way.SMS}
    assert {row.due_at for row in rows} == {datetime(2026, 3, 2, 8, 0, tzinfo=UTC)}
    assert reminder.next_slot == "2026-03-02T09:00"


def test_a_one_off_is_done_when_its_time_has_come() -> None:
    reminder = schedule()
    assert reminders.advance(now=NOW) == 0
    assert reminders.advance(now=NOW + timedelta(days=1)) == 1
    reminder.refresh_from_db()
    assert reminder.state == ReminderState.DONE
    assert waiting(reminder).count() == 1


def test_a_rule_goes_on_by_the_wall_clock_over_the_change_of_clocks() -> None:
    reminder = schedule(date=date(2026, 3, 28), rrule="FREQ=DAILY")
    while reminders.advance(now=datetime(2026, 3, 30, 12, tzinfo=UTC)):
        pass
    assert [row.due_at.hour for row in waiting(reminder).order_by("due_at")] == [8, 7, 7, 7]


def test_advancing_twice_or_late_makes_no_double() -> None:
    reminder = schedule(rrule="FREQ=DAILY")
    late = NOW + timedelta(days=3)
    for _ in range(6):
        reminders.advance(now=late)
    slots = list(waiting(reminder).values_list("occurrence", flat=True))
    assert sorted(slots) == ["2026-03-02T09:00", "2026-03-03T09:00", "2026-03-04T09:00", "2026-03-05T09:00"]


def test_what_is_cancelled_does_not_go_out() -> None:
    reminder = schedule(rrule="FREQ=DAILY")
    reminders.cancel(reminder.pk, by=SYSTEM, now=NOW)
    assert not waiting(reminder).exists()
    assert Delivery.objects.get(cause=f"reminder:{reminder.pk}").reason == Reason.NOT_NEEDED
    with pytest.raises(errors.ReminderOver):
        reminders.cancel(reminder.pk, by=SYSTEM, now=NOW)
    assert reminders.advance(now=NOW + timedelta(days=9)) == 0


def test_a_moved_one_goes_out_at_the_new_time_only_and_may_be_moved_back() -> None:
    reminder = schedule()
    for moved in (time(15), time(9)):
        reminders.reschedule(reminder.pk, date=TOMORROW, time=moved, by=SYSTEM, now=NOW)
        (row,) = waiting(reminder)
        assert row.due_at.hour == moved.hour - 1


def test_b33_b34_what_is_typed_once_must_be_a_time_that_exists_once() -> None:
    with pytest.raises(errors.NonexistentTime):
        schedule(date=date(2026, 3, 29), time=time(2, 30))
    with pytest.raises(errors.AmbiguousTime):
        schedule(date=date(2026, 10, 25), time=time(2, 30))
    reminder = schedule(date=date(2026, 10, 25), time=time(2, 30), fold=1)
    assert waiting(reminder).get().due_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert Reminder.objects.count() == 1


@pytest.mark.parametrize("day", [date(2026, 2, 28), date(2076, 1, 1), date(1, 1, 1), date(9999, 12, 31)])
def test_b37_the_past_and_the_far_future_are_refused(day: date) -> None:
    with pytest.raises(errors.TimeOutOfRange):
        schedule(date=day)
    assert not Reminder.objects.exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ways": []}, "how to remind"),
        ({"ways": ["pigeon"]}, "how to remind"),
        ({"ways": [Way.IN_APP]}, "no console"),
        ({"date": None}, "date and a time"),
        ({"offset_minutes": -60}, "date and a time"),
        ({"rrule": "FREQ=SECONDLY"}, "daily, weekly"),
    ],
)
def test_what_cannot_work_is_said_in_words(fields: dict, words: str) -> None:
    with pytest.raises(errors.ReminderInvalid) as told:
        schedule(**fields)
    assert words in str(told.value)
    assert not Reminder.objects.exists()


def make_appointment(**fields):
    customer = make_customer(time_zone="Europe/Berlin")
    fields = {"title": "Check-up", "starts_at": NOW + timedelta(days=5)} | fields
    return appointments.make(customer=customer, team=make_team(), now=NOW, **fields)


def relative(appointment, minutes: int = -1440) -> Reminder:
    return schedule(
        to=appointment.customer, date=None, time=None, appointment=appointment, offset_minutes=minutes
    )


def test_an_appointment_and_a_time_of_its_own_is_refused() -> None:
    appointment = make_appointment()
    with pytest.raises(errors.ReminderInvalid, match="either a date and a time"):
        schedule(to=appointment.customer, appointment=appointment)


def test_a_customer_is_not_reminded_of_the_conversation_of_another() -> None:
    conversation = make_conversation()
    assert schedule(to=conversation.customer, conversation=conversation).conversation == conversation
    assert schedule(to=make_user(), ways=[Way.IN_APP], conversation=conversation).conversation
    with pytest.raises(errors.ReminderInvalid) as told:
        schedule(conversation=conversation)
    assert "somebody else's conversation" in str(told.value)


def test_a_reminder_follows_its_appointment() -> None:
    appointment = make_appointment()
    reminder = relative(appointment)
    row = waiting(reminder).get()
    assert row.due_at == appointment.starts_at - timedelta(days=1)
    assert row.expires_at == appointment.starts_at
    appointments.move(appointment.pk, starts_at=NOW + timedelta(days=9), by=SYSTEM, now=NOW)
    moved = Event.objects.get(type="notifications.appointment.moved")
    assert (moved.stream, moved.payload, moved.actor) == (
        appointment.customer.actor_ref,
        {"appointment": appointment.pk},
        SYSTEM.actor_ref,
    )
    assert waiting(reminder).get().due_at == NOW + timedelta(days=8)
    appointments.cancel(appointment.pk, by=SYSTEM, now=NOW)
    assert not waiting(reminder).exists()


def test_an_appointment_put_off_reminds_again() -> None:
    appointment = make_appointment()
    reminder = relative(appointment)
    later = appointment.starts_at - timedelta(hours=1)
    reminders.advance(now=later)
    reminder.refresh_from_db()
    assert reminder.state == ReminderState.DONE
    appointments.move(appointment.pk, starts_at=later + timedelta(days=7), by=SYSTEM, now=later)
    assert waiting(reminder).order_by("-due_at")[0].due_at == later + timedelta(days=6)


def move_to(reminder: Reminder, zone: str, *, now: datetime) -> None:
    assert reminder.customer
    type(reminder.customer).objects.filter(pk=reminder.customer.pk).update(time_zone=zone)
    reminders.follow_zone([reminder.pk], now=now)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
def test_whoever_moves_to_another_zone_is_reminded_by_its_clock(zone: str) -> None:
    reminder = schedule(rrule="FREQ=DAILY")
    move_to(reminder, zone, now=NOW)
    row = waiting(reminder).get()
    assert row.due_at.astimezone(ZoneInfo(zone)) == datetime(2026, 3, 2, 9, tzinfo=ZoneInfo(zone))


def test_what_went_out_before_the_move_is_not_said_again() -> None:
    reminder = schedule(rrule="FREQ=DAILY")
    morning = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    reminders.advance(now=morning)
    waiting(reminder).filter(due_at__lte=morning).update(state=DeliveryState.SENT)
    move_to(reminder, "America/New_York", now=morning)
    assert waiting(reminder).get().occurrence == "2026-03-03T09:00"


def test_what_is_due_already_is_not_lost_by_a_move() -> None:
    reminder = schedule(rrule="FREQ=DAILY")
    morning = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    move_to(reminder, "America/New_York", now=morning)
    reminders.advance_all(now=morning + timedelta(hours=8))
    assert sorted(waiting(reminder).values_list("occurrence", flat=True)) == [
        "2026-03-02T09:00",
        "2026-03-03T09:00",
    ]


def test_a_one_off_that_is_over_in_the_new_zone_goes_out_at_once() -> None:
    reminder = schedule(to=make_customer(time_zone="America/New_York"))
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    move_to(reminder, "Asia/Kathmandu", now=noon)
    assert waiting(reminder).get().due_at < noon


def test_a_change_of_the_customer_is_followed() -> None:
    day = (timezone.now() + timedelta(days=3)).date()
    reminder = schedule(now=timezone.now(), date=day)
    assert reminder.customer
    customers.update(reminder.customer, by=SYSTEM, time_zone="Asia/Kathmandu")
    dispatch.drain()
    row = waiting(reminder).get()
    assert row.due_at.astimezone(ZoneInfo("Asia/Kathmandu")).hour == 9


def test_nobody_is_told_of_somebody_elses_appointment() -> None:
    with pytest.raises(errors.ReminderInvalid) as told:
        schedule(date=None, time=None, appointment=make_appointment(), offset_minutes=-60)
    assert "somebody else's" in str(told.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"date": date(9999, 12, 31), "rrule": "FREQ=DAILY"},
        {"date": date(1, 1, 1), "rrule": "FREQ=DAILY"},
        {"date": date(9999, 12, 31), "time": time(23, 30), "zone": "America/New_York"},
    ],
)
def test_b32_the_ends_of_the_calendar_are_refused(fields: dict) -> None:
    with pytest.raises(errors.TimeOutOfRange):
        schedule(**fields)


def test_b37_an_offset_of_thousands_of_years_is_refused() -> None:
    with pytest.raises(errors.TimeOutOfRange):
        relative(make_appointment(), -(2**31))


def test_what_waits_goes_out_with_the_newest_text() -> None:
    plan = make_plan()
    reminder = reminders.schedule(plan, by=SYSTEM, now=NOW)
    texts = {"email": {"en": {"subject": "New", "body": "New words"}}}
    templates.update(plan.template, texts=texts, by=SYSTEM, now=NOW)
    dispatch.drain()
    assert waiting(reminder).get().template_version.number == 2


def test_a_reminder_ends_before_it_expires() -> None:
    reminder = schedule(rrule="FREQ=DAILY", expires_at=NOW + timedelta(days=2))
    while reminders.advance(now=NOW + timedelta(days=30)):
        pass
    reminder.refresh_from_db()
    assert reminder.state == ReminderState.DONE
    assert waiting(reminder).count() == 2


def test_users_are_reminded_in_the_console() -> None:
    reminder = schedule(to=make_user(time_zone="America/New_York"), ways=[Way.IN_APP], catch_up=CatchUp.SKIP)
    assert waiting(reminder).get().due_at == datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


def test_many_due_at_once_are_carried_on_in_batches_with_few_queries(django_assert_max_num_queries) -> None:
    template = make_template()
    for _ in range(30):
        schedule(template=template, rrule="FREQ=DAILY")
    with django_assert_max_num_queries(8):
        assert reminders.advance(now=NOW + timedelta(days=2)) == 30
