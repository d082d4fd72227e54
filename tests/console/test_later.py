"""Follow-ups and snoozing at the desk: set up, seen, cancelled; nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from apps.console import presets
from apps.messaging.choices import Status
from apps.notifications.choices import DeliveryState, ReminderState, Way
from apps.notifications.models import Delivery, Reminder
from apps.routing.choices import ItemState
from apps.routing.models import Item
from apps.users.choices import ContactKind
from apps.users.models import ContactPoint
from tests.console.conftest import events_of, open_desk, words_of
from tests.factories import make_template, make_user

pytestmark = pytest.mark.django_db
KOLKATA = ZoneInfo("Asia/Kolkata")


@pytest.fixture
def mail(talk) -> ContactPoint:
    return ContactPoint.objects.create(
        customer=talk.customer, kind=ContactKind.EMAIL, value="ada@example.org", is_verified=True
    )


def other_time(**fields) -> dict:
    day = (timezone.now() + timedelta(days=3)).date().isoformat()
    return {
        "when": "other",
        "date": day,
        "time": "09:30",
        "whom": "me",
        "text": "Ask for the papers",
    } | fields


def test_an_agent_is_reminded_by_his_own_clock(desk, talk, ana) -> None:
    ana.user.time_zone = "Asia/Kolkata"
    ana.user.save()
    answer = desk.post("later", talk.pk, **other_time())
    assert "Noted for" in events_of(answer)["desk:toast"]["text"]
    reminder = Reminder.objects.get()
    assert (reminder.user, reminder.customer, reminder.note) == (ana.user, None, "Ask for the papers")
    assert f"{reminder.next_at.astimezone(KOLKATA):%H:%M}" == "09:30"
    assert Delivery.objects.get().way == Way.IN_APP


def test_a_customer_is_reminded_by_mail_with_a_template_or_own_words(desk, talk, mail) -> None:
    template = make_template()
    desk.post("later", talk.pk, **other_time(whom="customer", way="email"))
    desk.post("later", talk.pk, **other_time(whom="customer", way="email", template=template.pk))
    first, second = Reminder.objects.order_by("id")
    assert (first.customer, first.template.slug, first.ways) == (talk.customer, "follow-up", ["email"])
    assert (second.template, second.conversation) == (template, talk)


def test_a_preset_is_one_moment_also_when_the_clocks_show_it_twice(desk, talk) -> None:
    chosen = presets.presets(timezone.now(), zone=ZoneInfo("UTC"))[0]
    desk.post("later", talk.pk, when=chosen.value, whom="me", text="x")
    assert Reminder.objects.get().next_at == chosen.at


def test_snoozing_takes_it_off_the_list_and_back_now_brings_it_back(desk, talk) -> None:
    answer = desk.post("later", talk.pk, **other_time(whom="nobody", snooze="on"))
    assert "comes back on" in events_of(answer)["desk:toast"]["text"]
    assert not Reminder.objects.exists()
    listed = desk.get("list").context
    assert (list(listed["rows"]), [item.conversation_id for item in listed["snoozed"]]) == ([], [talk.pk])
    page = words_of(desk.get("conversation", talk.pk))
    assert "Off the list until" in page
    assert 'id="do-wake"' in page
    desk.post("wake", talk.pk)
    assert [row.pk for row in desk.get("list").context["rows"]] == [talk.pk]


def test_a_snooze_that_fails_leaves_no_reminder(desk, talk) -> None:
    far = (timezone.now() + timedelta(days=120)).date().isoformat()
    answer = desk.post("later", talk.pk, **other_time(date=far, snooze="on"))
    assert "within the next 90 days" in words_of(answer)
    assert not Reminder.objects.exists()
    assert Item.objects.get(conversation=talk).state == ItemState.ACTIVE


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"date": ""}, "Say the day and the time"),
        ({"when": "tomorrow"}, "Choose when"),
        ({"date": "2001-01-01"}, "must lie in the future"),
        ({"whom": "customer", "way": ""}, "neither an e-mail address nor a number"),
        ({"whom": "nobody"}, "Choose whom to remind"),
        ({"template": "999999", "whom": "customer", "way": "email"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_said_in_the_dialog_and_nothing_is_lost(desk, talk, fields, words) -> None:
    answer = desk.post("later", talk.pk, **other_time(**fields))
    assert answer["HX-Retarget"] == "#dialog-body"
    assert words in words_of(answer)
    assert "Ask for the papers" in words_of(answer)
    assert not Reminder.objects.exists()


def test_marketing_and_texts_for_staff_are_not_on_offer(desk, talk, mail) -> None:
    page = words_of(desk.get("later", talk.pk))
    assert "Appointment reminder" in page
    assert "Newsletter" not in page
    assert ">Alert<" not in page


def test_he_sees_and_cancels_his_own_and_nobody_elses(desk, talk, queue) -> None:
    desk.post("later", talk.pk, **other_time())
    reminder = Reminder.objects.get()
    assert "Ask for the papers" in words_of(desk.get("follow-ups"))
    other = open_desk(make_user(teams=[queue.team]))
    assert "Ask for the papers" not in words_of(other.get("follow-ups"))
    assert other.post("cancel-follow-up", reminder.pk).status_code == 404
    assert "Nothing to come back to" in words_of(desk.post("cancel-follow-up", reminder.pk))
    reminder.refresh_from_db()
    assert reminder.state == ReminderState.CANCELLED
    assert Delivery.objects.get().state == DeliveryState.CANCELLED


def test_a_conversation_of_somebody_else_is_not_his_to_put_off(desk, foreign, queue, talk) -> None:
    assert desk.get("later", foreign.conversation_id).status_code == 404
    other = open_desk(make_user(teams=[queue.team]))
    assert other.post("later", talk.pk, **other_time(snooze="on")).status_code == 403
    talk.refresh_from_db()
    assert talk.status == Status.ACTIVE


@pytest.mark.parametrize(
    ("now", "labels"),
    [
        (datetime(2026, 11, 27, 8, 0, tzinfo=UTC), ["an hour", "afternoon", "Tomorrow", "Monday", "week"]),
        (datetime(2026, 11, 27, 16, 0, tzinfo=UTC), ["an hour", "Tomorrow", "Monday", "week"]),
        (datetime(2026, 11, 29, 16, 0, tzinfo=UTC), ["an hour", "Tomorrow", "week"]),
    ],
)
def test_presets_are_named_plainly_and_each_moment_once(now, labels) -> None:
    found = presets.presets(now, zone=ZoneInfo("Europe/London"))
    assert len(found) == len(labels)
    assert all(label in str(preset.label) for label, preset in zip(labels, found, strict=True))
    assert all(preset.at > now for preset in found)


def test_an_hour_is_an_hour_on_the_night_the_clocks_go_back() -> None:
    now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    (hour, *_rest) = presets.presets(now, zone=ZoneInfo("Europe/Berlin"))
    assert hour.at - now == timedelta(hours=1)
    assert hour.value == "2026-10-25T02:30+01:00"
