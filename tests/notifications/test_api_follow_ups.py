"""What agents come back to, and what became of their answers, over the API."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from apps.messaging.choices import InboxKind
from apps.messaging.models import Conversation, Inbox
from apps.notifications.choices import DeliveryState, ErrorKind, Reason, Way
from apps.notifications.gateways import Outcome
from apps.notifications.models import Delivery, Gateway, Receipt, Reminder
from apps.notifications.services import answers, claiming, recording
from apps.users.choices import Role
from tests.factories import (
    hand_to,
    make_agent,
    make_customer,
    make_message,
    make_queue,
    make_template,
    make_user,
    put_in_line,
)

pytestmark = pytest.mark.django_db


class Caller:
    def __init__(self, user: Any) -> None:
        self.user, self.client = user, Client()
        self.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/{path}")

    def post(self, path: str, data: dict[str, Any] | None = None, *, key: str = "") -> Any:
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self.client.post(
            f"/api/v1/{path}", data or {}, content_type="application/json", headers=headers
        )


@pytest.fixture
def agent() -> Any:
    return make_agent(make_queue().team)


@pytest.fixture
def talk(agent) -> Conversation:
    queue = make_queue(team=agent.user.teams.get())
    customer = make_customer([queue.team])
    return hand_to(put_in_line(queue, customer=customer), agent).conversation


@pytest.fixture
def ana(agent) -> Caller:
    return Caller(agent.user)


def wish(**fields: Any) -> dict[str, Any]:
    day = timezone.now().date() + timedelta(days=3)
    return {"whom": "me", "date": day.isoformat(), "time": "09:00", "text": "Look again"} | fields


# Follow-ups


def test_agent_reminds_himself_by_his_own_clock(ana, talk) -> None:
    type(ana.user).objects.filter(pk=ana.user.pk).update(time_zone="Asia/Kolkata")
    given = wish()
    answer = ana.post(f"conversations/{talk.pk}/follow-ups/", given)
    assert answer.status_code == 201, answer.json()
    row = Reminder.objects.get(pk=answer.json()["id"])
    assert (row.user, row.conversation, row.ways, row.note) == (ana.user, talk, ["in_app"], "Look again")
    assert row.next_at == datetime.fromisoformat(f"{given['date']}T09:00").replace(
        tzinfo=ZoneInfo("Asia/Kolkata")
    )
    assert [one["id"] for one in ana.get("follow-ups/").json()["results"]] == [row.pk]


def test_agent_reminds_the_customer_in_a_zone_and_with_a_template(ana, talk) -> None:
    template = make_template()
    given = wish(whom="customer", ways=["email", "sms"], zone="America/New_York", template=template.slug)
    answer = ana.post(f"conversations/{talk.pk}/follow-ups/", given)
    assert answer.status_code == 201, answer.json()
    row = Reminder.objects.get(pk=answer.json()["id"])
    assert (row.customer, row.user, row.ways) == (talk.customer, None, ["email", "sms"])
    assert (row.template, row.zone) == (template, "America/New_York")


def test_the_same_key_makes_it_once(ana, talk) -> None:
    for _ in range(2):
        assert ana.post(f"conversations/{talk.pk}/follow-ups/", wish(), key="k").status_code == 201
    assert Reminder.objects.count() == 1


@pytest.mark.parametrize(
    "given",
    [
        {"whom": "team"},
        {"whom": "customer"},
        {"ways": ["email"]},
        {"template": "follow-up"},
        {"whom": "customer", "ways": ["in_app"]},
        {"whom": "customer", "ways": ["email"], "template": "no-such-text"},
        {"time": "9:00"},
        {"zone": "Europe/Nowhere"},
        {"date": "2020-01-01"},
        {"snooze": True},
    ],
)
def test_what_is_no_follow_up_is_refused(ana, talk, given) -> None:
    answer = ana.post(f"conversations/{talk.pk}/follow-ups/", wish(**given))
    assert answer.status_code == 400, answer.json()
    assert not Reminder.objects.exists()


def test_customers_get_no_text_that_is_for_staff(ana, talk) -> None:
    template = make_template()
    type(template.purpose).objects.filter(pk=template.purpose_id).update(is_for_staff=True)
    given = wish(whom="customer", ways=["email"], template=template.slug)
    assert "template" in ana.post(f"conversations/{talk.pk}/follow-ups/", given).json()["fields"]


def test_only_who_has_it_and_his_supervisors_set_one(ana, talk) -> None:
    colleague = Caller(make_user(teams=[talk.team]))
    assert colleague.post(f"conversations/{talk.pk}/follow-ups/", wish()).status_code == 403
    stranger = Caller(make_user())
    assert stranger.post(f"conversations/{talk.pk}/follow-ups/", wish()).status_code == 404
    sofia = Caller(make_user(Role.SUPERVISOR, [talk.team]))
    assert sofia.post(f"conversations/{talk.pk}/follow-ups/", wish()).status_code == 201


def test_own_are_called_off_and_nobody_elses(ana, talk) -> None:
    made = ana.post(f"conversations/{talk.pk}/follow-ups/", wish()).json()["id"]
    colleague = Caller(make_user(teams=[talk.team]))
    assert colleague.get("follow-ups/").json()["results"] == []
    assert colleague.post(f"follow-ups/{made}/cancel/").status_code == 404
    answer = ana.post(f"follow-ups/{made}/cancel/")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert ana.get("follow-ups/").json()["results"] == []
    assert ana.post(f"follow-ups/{made}/cancel/").status_code == 404


# Answers


@pytest.fixture
def gateway() -> Gateway:
    Gateway.objects.all().delete()
    return Gateway.objects.create(name="Mail", way=Way.EMAIL, kind="outbox")


@pytest.fixture
def mail(talk, gateway) -> Conversation:
    Inbox.objects.filter(pk=talk.inbox_id).update(kind=InboxKind.EMAIL, address="support@example.com")
    return Conversation.objects.get(pk=talk.pk)


def answered(mail: Conversation, ana: Caller) -> Delivery:
    """Said by the agent, and its delivery made as the subscriber does."""
    message = make_message(mail, "Try again", user=ana.user)
    answers.send(message.pk, now=timezone.now())
    delivery = Delivery.objects.get(cause=answers.cause_of(message.pk))
    Delivery.objects.filter(pk=delivery.pk).update(address="ann@example.net")
    return delivery


def tried(gateway: Gateway, **outcome: Any) -> None:
    """Claimed, and recorded as if the gateway had said so."""
    now = timezone.now()
    batch = claiming.claim(Way.EMAIL, most=1, now=now)
    assert batch is not None
    (row,) = batch.rows
    recording.write(
        [recording.of_outcome(row, Outcome(row.pk, **outcome), gateway=gateway, now=now)], now=now
    )


def told(ana: Caller, mail: Conversation) -> dict[str, Any]:
    """Of the newest answer."""
    return ana.get(f"conversations/{mail.pk}/answers/").json()[0]


def test_an_answer_is_followed_until_it_is_delivered(ana, mail, gateway) -> None:
    message = make_message(mail, "Hello", user=ana.user)
    found = told(ana, mail)
    assert (found["seq"], found["state"], found["delivery"]) == (message.seq, "queued", None)
    delivery = answered(mail, ana)
    found = told(ana, mail)
    assert (found["state"], found["delivery"], found["hindrance"]) == ("due", delivery.pk, None)
    assert found["due_at"] is not None
    tried(gateway)
    found = told(ana, mail)
    assert (found["state"], found["due_at"]) == ("sent", None)
    assert found["sent_at"] is not None
    now = timezone.now()
    Delivery.objects.update(state=DeliveryState.DELIVERED, delivered_at=now)
    assert told(ana, mail)["delivered_at"] == now.isoformat().replace("+00:00", "Z")


def test_a_failed_answer_tells_what_the_provider_said(ana, mail, gateway) -> None:
    delivery = answered(mail, ana)
    tried(gateway, error=ErrorKind.BAD_ADDRESS, detail="550 no such user")
    found = told(ana, mail)
    assert (found["state"], found["error"], found["detail"]) == ("dead", "bad_address", "550 no such user")
    Receipt.objects.create(source="smtp:1", source_id="1", delivery=delivery, kind="bounced")
    assert told(ana, mail)["came_back"] == "bounced"


def test_an_answer_that_was_not_sent_says_why(ana, mail) -> None:
    answered(mail, ana)
    Delivery.objects.update(state=DeliveryState.SUPPRESSED, reason=Reason.OPTED_OUT)
    assert told(ana, mail)["reason"] == "opted_out"


def test_what_waits_says_what_hinders_it(ana, mail) -> None:
    answered(mail, ana)
    Gateway.objects.update(is_active=False)
    assert told(ana, mail)["hindrance"] == "no_gateway"


def test_answers_are_the_teams_and_a_chat_has_none(ana, talk) -> None:
    make_message(talk, "Hello", user=ana.user)
    assert ana.get(f"conversations/{talk.pk}/answers/").json() == []
    assert Caller(make_user()).get(f"conversations/{talk.pk}/answers/").status_code == 404


def test_many_answers_take_no_more_queries_than_one(ana, mail, django_assert_max_num_queries) -> None:
    for _ in range(3):
        answered(mail, ana)
    with django_assert_max_num_queries(12):
        assert len(ana.get(f"conversations/{mail.pk}/answers/").json()) == 3
