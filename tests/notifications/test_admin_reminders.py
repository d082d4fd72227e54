"""Reminders and appointments in the admin and on the command line."""

from __future__ import annotations

import json
import re
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.notifications.choices import DeliveryState, ReminderState
from apps.notifications.models import Appointment, Delivery, Reminder
from apps.notifications.services import appointments, reminders
from apps.users.choices import Role
from tests.factories import make_conversation, make_customer, make_inbox, make_team, make_template, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def boss(client, team):
    user = make_user(Role.SUPERVISOR, [team])
    client.force_login(user)
    return user


def add(client, **fields):
    fields = {
        "ways": ["email"],
        "date": (timezone.now() + timedelta(days=2)).date().isoformat(),
        "time": "09:00",
        "catch_up": "send",
        "unit": "hours",
        "side": "before",
    } | fields
    return client.post(reverse("admin:notifications_reminder_add"), fields)


def mornings(page: str) -> int:
    """The lines of the preview that say nine o'clock in Berlin."""
    return len(re.findall(r'tabular-nums">[^<]*, 09:00 CE', page))


def mornings_within(days: int) -> int:
    """From the day after tomorrow on."""
    now = timezone.now()
    end = (now + timedelta(days=days)).astimezone(ZoneInfo("Europe/Berlin"))
    return (end.date() - now.date()).days - 2 + (end.time() >= time(9))


def test_a_supervisor_schedules_a_daily_reminder(client, boss, team) -> None:
    customer = make_customer([team], time_zone="Europe/Berlin")
    answer = add(
        client, customer=customer.pk, template=make_template().pk, repeats="FREQ=DAILY", note="Bring it"
    )
    assert answer.status_code == 302
    reminder = Reminder.objects.get()
    assert (reminder.rrule, reminder.created_by, reminder.team) == ("FREQ=DAILY", boss, team)
    assert Delivery.objects.get(cause=f"reminder:{reminder.pk}").state == DeliveryState.DUE
    page = client.get(reverse("admin:notifications_reminder_change", args=[reminder.pk])).content.decode()
    assert mornings(page) == mornings_within(30)
    assert "by the clock of Europe/Berlin" in page
    week = client.get(reverse("admin:notifications_reminder_change", args=[reminder.pk]), {"days": 7})
    assert mornings(week.content.decode()) == mornings_within(7)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Choose a customer or a colleague"),
        ({"rrule": "FREQ=SECONDLY"}, "daily, weekly"),
        ({"date": "2001-01-01"}, "must lie in the future"),
        ({"ways": ["in_app"]}, "no console"),
    ],
)
def test_what_cannot_work_is_said_and_nothing_is_saved(client, boss, team, fields, words) -> None:
    fields = {"template": make_template().pk} | fields
    if len(fields) > 1:
        fields["customer"] = make_customer([team]).pk
    answer = add(client, note="Bring the papers", **fields)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert words in page
    assert 'value="Bring the papers"' in page, "what was typed stays"
    assert not Reminder.objects.exists()


def test_a_wrong_rule_is_said_where_it_stands(client, boss, team) -> None:
    customer = make_customer([team])
    answer = add(client, customer=customer.pk, template=make_template().pk, rrule="FREQ=DAILY;BYNOISE=1")
    assert "A rule may hold FREQ" in answer.context["adminform"].form.errors["rrule"][0]
    assert not Reminder.objects.exists()


def test_an_appointment_in_the_past_is_refused_and_what_was_typed_stays(client, boss, team) -> None:
    fields = {"customer": make_customer([team]).pk, "team": team.pk, "title": "Check-up"}
    when = {"starts_at_0": "2001-01-01", "starts_at_1": "10:00"}
    answer = client.post(reverse("admin:notifications_appointment_add"), fields | when)
    assert "must lie in the future" in answer.context["adminform"].form.errors["starts_at"][0]
    page = answer.content.decode()
    assert 'value="Check-up"' in page
    assert 'value="2001-01-01"' in page
    assert not Appointment.objects.exists()


def make_appointment(team, **fields) -> Appointment:
    starts_at = timezone.now() + timedelta(days=9)
    fields = {"customer": make_customer([team], time_zone="Europe/Berlin"), "title": "Check-up"} | fields
    return appointments.make(team=team, starts_at=starts_at, now=timezone.now(), **fields)


def by_appointment(appointment, **fields) -> dict:
    fields = {"span": "3", "unit": "days", "side": "before"} | fields
    whom = {"customer": appointment.customer_id, "appointment": appointment.pk}
    return whom | fields | {"template": make_template().pk, "date": "", "time": ""}


@pytest.mark.parametrize(
    ("fields", "minutes", "words"),
    [
        ({}, -4320, "3 days before it begins"),
        ({"span": "90", "unit": "minutes"}, -90, "90 minutes before it begins"),
        ({"span": "120", "unit": "minutes"}, -120, "2 hours before it begins"),
        ({"span": "1", "unit": "hours", "side": "after"}, 60, "1 hour after it begins"),
        ({"span": "0"}, 0, "when it begins"),
    ],
)
def test_before_or_after_an_appointment_is_said_in_words(client, boss, team, fields, minutes, words) -> None:
    appointment = make_appointment(team)
    assert add(client, **by_appointment(appointment, **fields)).status_code == 302
    reminder = Reminder.objects.get()
    assert reminder.offset_minutes == minutes
    page = client.get(reverse("admin:notifications_reminder_change", args=[reminder.pk])).content.decode()
    assert words in page
    assert reverse("admin:notifications_appointment_change", args=[appointment.pk]) in page
    assert "repeats" not in page


def test_appointments_are_told_apart_when_one_is_chosen(client, boss, team) -> None:
    appointment = make_appointment(team)
    page = client.get(reverse("admin:notifications_reminder_add")).content.decode()
    at = appointment.starts_at.astimezone(ZoneInfo(boss.time_zone))
    assert f"{appointment.customer}: Check-up, {at:%a} {at.day} {at:%b %Y, %H:%M}" in page


@pytest.mark.parametrize(
    ("fields", "where"),
    [({"span": ""}, "span"), ({"appointment": ""}, "appointment"), ({"span": "-1"}, "span")],
)
def test_half_of_an_appointment_is_said_at_what_is_missing(client, boss, team, fields, where) -> None:
    answer = add(client, **by_appointment(make_appointment(team)) | fields)
    assert list(answer.context["adminform"].form.errors) == [where]
    assert not Reminder.objects.exists()


def test_the_page_of_a_reminder_shows_what_was_set(client, boss, team) -> None:
    conversation = make_conversation(make_inbox(team))
    ends = timezone.localtime() + timedelta(days=30)
    fields = {
        "customer": conversation.customer_id,
        "template": make_template().pk,
        "conversation": conversation.pk,
        "zone": "Asia/Tokyo",
        "repeats": "FREQ=WEEKLY",
        "catch_up": "skip",
        "expires_at_0": ends.date().isoformat(),
        "expires_at_1": "10:00",
    }
    assert add(client, **fields).status_code == 302
    reminder = Reminder.objects.get()
    assert reminder.conversation == conversation
    page = client.get(reverse("admin:notifications_reminder_change", args=[reminder.pk])).content.decode()
    assert reverse("admin:messaging_conversation_change", args=[conversation.pk]) in page
    for said in ("09:00", "Asia/Tokyo", "every week", "Skip", str(boss), str(ends.year)):
        assert said in page
    assert "RFC 5545" not in page


def test_a_conversation_of_others_is_not_on_offer(client, boss, team) -> None:
    foreign = make_conversation()
    fields = {"customer": make_customer([team]).pk, "template": make_template().pk}
    answer = add(client, **fields, conversation=foreign.pk)
    assert list(answer.context["adminform"].form.errors) == ["conversation"]


def test_a_foreign_customer_is_not_on_offer(client, boss) -> None:
    answer = add(client, customer=make_customer([make_team()]).pk, template=make_template().pk)
    assert answer.status_code == 200
    assert not Reminder.objects.exists()


def make_reminder(team, **fields) -> Reminder:
    plan = reminders.Plan(
        template=make_template(),
        to=make_customer([team]),
        ways=["email"],
        date=(timezone.now() + timedelta(days=2)).date(),
        time=timezone.now().time().replace(microsecond=0),
        team=team,
        **fields,
    )
    return reminders.schedule(plan, by=SYSTEM, now=timezone.now())


def test_cancelling_calls_off_what_waits(client, boss, team) -> None:
    reminder = make_reminder(team)
    data = {"action": "cancel", "_selected_action": [reminder.pk]}
    client.post(reverse("admin:notifications_reminder_changelist"), data)
    reminder.refresh_from_db()
    assert reminder.state == ReminderState.CANCELLED


def test_a_reminder_is_rescheduled_and_what_cannot_is_said(client, boss, team) -> None:
    reminder = make_reminder(team)
    data = {"action": "reschedule", "_selected_action": [reminder.pk]}
    listed = reverse("admin:notifications_reminder_changelist")
    asked = client.post(listed, data)
    assert "is called off" in asked.content.decode()
    day = (timezone.now() + timedelta(days=9)).date().isoformat()
    client.post(listed, data | {"apply": "1", "date": day, "time": "10:45", "zone": "Asia/Tokyo"})
    reminder.refresh_from_db()
    assert (reminder.date.isoformat(), f"{reminder.time:%H:%M}", reminder.zone) == (
        day,
        "10:45",
        "Asia/Tokyo",
    )
    states = (
        Delivery.objects.filter(cause=f"reminder:{reminder.pk}")
        .order_by("id")
        .values_list("state", flat=True)
    )
    assert list(states) == [DeliveryState.CANCELLED, DeliveryState.DUE]
    refused = client.post(
        listed, data | {"apply": "1", "date": "2001-01-01", "time": "10:45"}, follow=True
    ).content.decode()
    assert "must lie in the future" in refused
    wrong = client.post(listed, data | {"apply": "1", "date": "Feb 30", "time": "25:00"}).content.decode()
    assert "Enter a valid date" in wrong


def test_an_appointment_is_made_and_moved(client, boss, team) -> None:
    customer, starts = make_customer([team]), timezone.localtime() + timedelta(days=4)
    when = {"starts_at_0": starts.date().isoformat(), "starts_at_1": "10:00"}
    fields = {"customer": customer.pk, "team": team.pk, "title": "Check-up"} | when
    assert client.post(reverse("admin:notifications_appointment_add"), fields).status_code == 302
    appointment = Appointment.objects.get()
    page = reverse("admin:notifications_appointment_change", args=[appointment.pk])
    assert client.post(page, when | {"starts_at_1": "11:30"}).status_code == 302
    moved = Appointment.objects.get()
    assert moved.starts_at - appointment.starts_at == timedelta(minutes=90)


def run(capsys, *words: str) -> list[dict]:
    call_command("reminders", *words, "--json")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_people_read_tables_with_headings_and_sentences(capsys, team) -> None:
    for words, said in ((["list"], "No reminder is active."), (["due"], "Nothing is due.")):
        call_command("reminders", *words)
        assert capsys.readouterr().out == f"{said}\n"
    Reminder.objects.filter(pk=make_reminder(team).pk).update(next_at=timezone.now())
    for words in (["list"], ["due"]):
        call_command("reminders", *words)
        printed = capsys.readouterr().out
        assert all(name in printed for name in ("id", "state", "next_at", "customer:"))
        assert f"{Reminder.objects.get().next_at:.%f}" not in printed


def test_the_command_lists_previews_sends_and_cancels(capsys, team) -> None:
    reminder = make_reminder(team, rrule="FREQ=DAILY")
    assert [row["id"] for row in run(capsys, "list")] == [reminder.pk]
    lines = run(capsys, "preview", str(reminder.pk), "--count", "3")
    assert [line["fate"] for line in lines] == ["will_not"] * 3
    assert {line["reason"] for line in lines} == {"no_address"}
    assert run(capsys, "due") == []
    Reminder.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    assert [row["id"] for row in run(capsys, "due")] == [reminder.pk]
    assert run(capsys, "send") == [{"carried_on": 1}]
    assert run(capsys, "cancel", str(reminder.pk))[0]["state"] == "cancelled"
    with pytest.raises(CommandError, match="is over"):
        run(capsys, "cancel", str(reminder.pk))
    with pytest.raises(CommandError, match="no reminder"):
        run(capsys, "preview", "999999")
