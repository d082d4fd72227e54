"""Reminders, appointments and the ledger over the API: scoped, strict, in one error shape."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.notifications.choices import DeliveryState, ReminderState
from apps.notifications.models import Appointment, Delivery, Reminder
from apps.users.choices import Role
from tests.factories import make_customer, make_team, make_user
from tests.notifications.gate import make_delivery, reachable

pytestmark = pytest.mark.django_db
FIELDS = {"type", "code", "detail", "fields", "request_id"}


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def customer(team):
    found = reachable(time_zone="Europe/Berlin")
    found.teams.add(team)
    return found


class Api:
    def __init__(self, role: Role, teams: list) -> None:
        self.user = make_user(role, teams)
        self.client = Client()
        self.client.force_login(self.user, backend="django.contrib.auth.backends.ModelBackend")

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1/{path}", query)

    def post(self, path: str, data: dict[str, Any], *, key: str = "") -> Any:
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self.client.post(f"/api/v1/{path}", data, content_type="application/json", headers=headers)


@pytest.fixture
def api(team) -> Api:
    return Api(Role.SUPERVISOR, [team])


def far(days: int = 3) -> datetime:
    return timezone.now() + timedelta(days=days)


def reminder(customer, **fields: Any) -> dict[str, Any]:
    when = {"date": far().date().isoformat(), "time": "09:00"}
    return {"template": "follow-up", "ways": ["email"], "customer": customer.pk} | when | fields


def appointment(api: Api, customer, team, **fields: Any) -> Any:
    data = {"customer": customer.pk, "team": team.pk, "title": "Visit", "starts_at": far().isoformat()}
    return api.post("appointments/", data | fields)


def test_a_reminder_is_scheduled_once_listed_moved_and_cancelled(api, customer, team) -> None:
    first = api.post("reminders/", reminder(customer, rrule="FREQ=DAILY;COUNT=3"), key="once")
    again = api.post("reminders/", reminder(customer, rrule="FREQ=DAILY;COUNT=3"), key="once")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    row = Reminder.objects.get()
    said = first.json()
    assert (said["id"], said["template"], said["time"], said["team"]) == (
        row.pk,
        "follow-up",
        "09:00",
        team.pk,
    )
    assert [one["id"] for one in api.get("reminders/", customer=customer.pk).json()["results"]] == [row.pk]
    later = far(10).date().isoformat()
    moved = api.post(f"reminders/{row.pk}/reschedule/", {"date": later, "time": "10:30"}).json()
    assert (moved["date"], moved["time"], moved["state"]) == (later, "10:30", "active")
    assert api.post(f"reminders/{row.pk}/cancel/", {}).json()["state"] == ReminderState.CANCELLED
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.CANCELLED}
    over = api.post(f"reminders/{row.pk}/cancel/", {})
    assert (over.status_code, over.json()["code"]) == (409, "reminder_over")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"date": "2027-03-28", "time": "02:30"}, "nonexistent_time"),  # B33
        ({"date": "2027-10-31", "time": "02:30"}, "ambiguous_time"),  # B34
        ({"date": "0000-01-01"}, None),  # B32
        ({"date": "0001-01-01"}, "time_out_of_range"),
        ({"date": "9999-12-31"}, "time_out_of_range"),
        ({"date": "2027-02-30"}, None),
        ({"time": "24:00"}, None),
        ({"time": "10:00:60"}, None),
        ({"time": 900}, None),
        ({"zone": "Europe/Foo"}, None),  # B35
        ({"zone": "UTC+2"}, None),
        ({"zone": "../../etc/passwd"}, None),
        ({"zone": "x" * 10_000}, None),
        ({"date": "2001-01-01"}, "time_out_of_range"),  # B37
        ({"date": "2076-01-01"}, "time_out_of_range"),
        ({"rrule": "FREQ=SECONDLY"}, "reminder_invalid"),
        ({"ways": ["pigeon"]}, None),
        ({"ways": []}, None),
        ({"template": "no-such"}, None),
        ({"whom": "me"}, "unknown_field"),
        ({"user": 1}, None),
        ({"fold": 2}, None),
    ],
)
def test_what_cannot_be_is_refused_in_one_shape_and_changes_nothing(api, customer, fields, code) -> None:
    answer = api.post("reminders/", reminder(customer, **fields))
    assert answer.status_code == 400
    assert answer.json().keys() == FIELDS
    assert code is None or answer.json()["code"] == code
    assert not Reminder.objects.exists()
    assert not Delivery.objects.exists()


def test_b34_with_fold_it_is_one_moment(api, customer) -> None:
    twice = reminder(customer, date="2027-10-31", time="02:30")
    said = [api.post("reminders/", twice | {"fold": fold}).json()["next_at"] for fold in (0, 1)]
    assert said == ["2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z"]
    assert Delivery.objects.count() == 2


def test_a_reminder_follows_its_appointment(api, customer, team) -> None:
    made = appointment(api, customer, team).json()
    before = {"appointment": made["id"], "offset_minutes": -60}
    data = {"template": "appointment-reminder", "ways": ["email"], "customer": customer.pk} | before
    made_row = api.post("reminders/", data)
    assert made_row.status_code == 201, made_row.json()
    row = made_row.json()
    start = far(5).replace(microsecond=0)
    moved = api.post(f"appointments/{made['id']}/reschedule/", {"starts_at": start.isoformat()})
    assert datetime.fromisoformat(moved.json()["starts_at"]) == start
    now = api.get(f"reminders/{row['id']}/").json()
    assert datetime.fromisoformat(now["next_at"]) == start - timedelta(hours=1)
    refused = api.post(f"reminders/{row['id']}/reschedule/", {"date": "2027-01-01", "time": "10:00"})
    assert refused.json()["code"] == "reminder_invalid"
    assert api.post(f"appointments/{made['id']}/cancel/", {}).json()["is_cancelled"]
    assert api.get(f"reminders/{row['id']}/").json()["state"] == "cancelled"
    over = api.post(f"appointments/{made['id']}/reschedule/", {"starts_at": start.isoformat()})
    assert (over.status_code, over.json()["code"]) == (409, "appointment_cancelled")


def test_an_external_id_is_taken_once(api, customer, team) -> None:
    assert appointment(api, customer, team, external_id="crm-1").status_code == 201
    taken = appointment(api, customer, team, external_id="crm-1")
    assert (taken.status_code, list(taken.json()["fields"])) == (400, ["external_id"])
    assert Appointment.objects.count() == 1


def test_other_teams_do_not_exist(api, customer, team) -> None:
    stranger = make_customer([make_team()])
    assert "customer" in api.post("reminders/", reminder(stranger)).json()["fields"]
    other = Api(Role.SUPERVISOR, [make_team()])
    made = api.post("reminders/", reminder(customer)).json()["id"]
    visit = appointment(api, customer, team).json()["id"]
    for path in (f"reminders/{made}/", f"reminders/{made}/ledger/", f"appointments/{visit}/"):
        assert other.get(path).status_code == 404
    assert other.get(f"customers/{customer.pk}/notifications/").status_code == 404
    for path in (f"reminders/{made}/cancel/", f"appointments/{visit}/cancel/"):
        assert other.post(path, {}).status_code == 404
    assert other.get("reminders/").json()["results"] == []


def test_agents_read_and_do_not_write(team, customer) -> None:
    agent = Api(Role.AGENT, [team])
    assert agent.post("reminders/", reminder(customer)).status_code == 403
    assert agent.get("appointments/").status_code == 200
    assert agent.get(f"customers/{customer.pk}/notifications/").status_code == 200


def test_the_ledger_says_what_happened_and_what_will(api, customer) -> None:
    made = api.post("reminders/", reminder(customer, rrule="FREQ=DAILY;COUNT=2")).json()["id"]
    make_delivery(customer, due_at=timezone.now(), state=DeliveryState.SUPPRESSED, reason="opted_out")
    said = api.get(f"customers/{customer.pk}/notifications/").json()
    assert not said["is_cut"]
    assert [(line["fate"], line["reason"], line["template"]) for line in said["lines"]] == [
        ("suppressed", "opted_out", None),
        ("goes", None, "follow-up"),
        ("goes", None, "follow-up"),
    ]
    assert said["lines"][2]["delivery"] is None
    of_one = api.get(f"reminders/{made}/ledger/").json()["lines"]
    assert of_one == said["lines"][1:]
    soon = far(4).astimezone(UTC).replace(tzinfo=None)
    assert len(api.get(f"reminders/{made}/ledger/", to=f"{soon:%Y-%m-%d}T00:00:00Z").json()["lines"]) == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"from": "yesterday"},
        {"from": "2026-01-01T00:00:00"},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"form": "2020-01-01T00:00:00Z"},
    ],
)
def test_a_period_that_is_none_is_refused(api, customer, asked) -> None:
    answer = api.get(f"customers/{customer.pk}/notifications/", **asked)
    assert answer.status_code == 400
    assert answer.json().keys() == FIELDS


def test_lists_cost_the_same_however_long(api, customer, team, django_assert_max_num_queries) -> None:
    for _ in range(3):
        api.post("reminders/", reminder(customer))
    with django_assert_max_num_queries(12) as few:
        api.get("reminders/")
    count = len(few)
    for _ in range(5):
        api.post("reminders/", reminder(customer))
    with django_assert_max_num_queries(count):
        assert len(api.get("reminders/").json()["results"]) == 8
