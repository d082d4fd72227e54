"""Deliveries become messages, many at once, each in its recipient's language and time."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.notifications import links
from apps.notifications.choices import ErrorKind, Reason, Way
from apps.notifications.gateways import Outcome, Outgoing
from apps.notifications.models import Appointment, Reminder
from apps.notifications.services import rendering
from apps.users.choices import Role
from tests.factories import (
    make_conversation,
    make_customer,
    make_delivery,
    make_message,
    make_template,
    make_user,
)

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)


def _one(delivery) -> Outgoing:
    found = rendering.render([delivery])[delivery.pk]
    assert isinstance(found, Outgoing), found
    return found


def _email(body: str, **more: str) -> dict:
    return {"email": {"en": {"subject": "Hello", "body": body} | more}}


def test_a_text_is_filled_in_for_its_recipient() -> None:
    template = make_template(
        _email("Hi {customer.first_name}", subject="For {customer.name}", html="<p>{customer.name}</p>")
    )
    delivery = make_delivery(template, to=make_customer(name="Ada <b>"))
    sent = _one(delivery)
    assert (sent.subject, sent.text, sent.html) == ("For Ada <b>", "Hi Ada", "<p>Ada &lt;b&gt;</p>")
    assert (sent.delivery, sent.key, sent.to) == (delivery.pk, delivery.key, "somebody@example.com")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("de", "Hallo"),
        ("de-AT", "Servus"),
        ("de-CH", "Hallo"),
        ("fr", "Hello"),
        ("", "Hello"),
        ("../x", "Hello"),
    ],
)
def test_the_language_falls_back_to_the_nearest(language: str, said: str) -> None:
    texts = {"sms": {"en": {"body": "Hello"}, "de": {"body": "Hallo"}, "de-at": {"body": "Servus"}}}
    customer = make_customer(language=language)
    assert _one(make_delivery(make_template(texts), to=customer, way=Way.SMS)).text == said


def test_any_language_is_better_than_none_and_no_text_says_so() -> None:
    only_german = make_template({"sms": {"de": {"body": "Hallo"}}})
    customer = make_customer()
    assert _one(make_delivery(only_german, to=customer, way=Way.SMS)).text == "Hallo"
    by_mail = make_delivery(only_german, to=customer)
    assert rendering.render([by_mail]) == {by_mail.pk: Reason.NO_TEXT}


@pytest.mark.parametrize(
    ("zone", "language", "said"),
    [
        ("Europe/Berlin", "de", "27. November 2026 16:30|16:30|Freitag"),
        ("America/New_York", "en", "Nov. 27, 2026, 10:30 a.m.|10:30 a.m.|Friday"),
        ("Asia/Kathmandu", "xx", "Nov. 27, 2026, 9:15 p.m.|9:15 p.m.|Friday"),
        ("", "", "Nov. 27, 2026, 3:30 p.m.|3:30 p.m.|Friday"),
    ],
)
def test_moments_are_told_by_the_recipients_clock_and_language(zone: str, language: str, said: str) -> None:
    body = "{appointment.starts_at}|{appointment.starts_at:time}|{appointment.starts_at:weekday}"
    customer = make_customer(time_zone=zone, language=language)
    delivery = make_delivery(
        make_template(_email(body)), to=customer, context={"appointment.starts_at": AT.isoformat()}
    )
    assert _one(delivery).text == said


def test_a_reminders_text_knows_its_appointment_conversation_and_note() -> None:
    conversation = make_conversation(agent=make_user(name="Ana Silva"))
    customer = conversation.customer
    appointment = Appointment.objects.create(
        customer=customer, team=conversation.team, title="Haircut", starts_at=AT
    )
    template = make_template(
        _email(
            "{appointment.title}, {appointment.starts_at:time}, {reminder.note}, {agent.first_name}, {team.name}"
        )
    )
    reminder = Reminder.objects.create(
        template=template, customer=customer, appointment=appointment, offset_minutes=-60,
        conversation=conversation, note="Bring\na towel",
    )  # fmt: skip
    text = _one(make_delivery(template, to=customer, cause=f"reminder:{reminder.pk}")).text
    assert text == f"Haircut, 3:30 p.m., Bring\na towel, Ana, {conversation.team.name}"


def test_a_transcript_has_all_that_was_said_and_no_notes() -> None:
    conversation = make_conversation(agent=make_user(name="Ana"), body="Hello")
    make_message(conversation, "Good day", user=conversation.agent)
    template = make_template(_email("{conversation.transcript}"))
    delivery = make_delivery(template, to=conversation.customer, context={"conversation": conversation.pk})
    first, *_joined, last = _one(delivery).text.split("\n\n")
    assert first.endswith(f"] {conversation.customer.name}: Hello")
    assert last.endswith("] Ana: Good day")


def test_b53_what_is_missing_has_a_fallback() -> None:
    template = make_template(_email("Hi {customer.first_name}! {reminder.note|Nothing} {list.x}."))
    assert _one(make_delivery(template, to=make_customer(name=""))).text == "Hi there! Nothing ."


@pytest.mark.parametrize("evil", ["x\r\nBcc: everybody@example.com", "x\nBcc: y", "x\x0b\u2028y"])
def test_b52_no_value_ends_a_header(evil: str) -> None:
    template = make_template(_email("x", subject="{customer.name} {list.code}"))
    sent = _one(make_delivery(template, to=make_customer(name=evil), context={"list.code": evil}))
    message = EmailMessage()
    message["Subject"] = sent.subject  # raises for line breaks
    assert sent.subject.isprintable()
    for name, value in sent.headers.items():
        message[name] = value


def test_values_are_never_rendered_again() -> None:
    template = make_template(_email("{customer.name}"))
    assert (
        _one(make_delivery(template, to=make_customer(name="{customer.first_name|x}"))).text
        == "{customer.first_name|x}"
    )


def test_what_a_customer_may_decline_can_be_ended_with_one_click() -> None:
    template = make_template()
    customer = make_customer()
    sent = _one(make_delivery(template, to=customer))
    address = sent.headers["List-Unsubscribe"]
    assert address.startswith("<http")
    assert address.endswith("/unsubscribe/>")
    assert sent.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = address.split("/preferences/")[1].split("/")[0]
    assert links.wish(token) == links.Wish(customer.pk, template.purpose_id, "email")
    assert not _one(make_delivery(template, to=make_user())).headers
    assert not _one(make_delivery(to=customer, context={"body": "An answer"})).headers
    assert not _one(make_delivery(template, to=customer, way=Way.SMS)).headers


def test_a_notice_leads_to_its_conversation() -> None:
    conversation = make_conversation()
    template = make_template(
        {"in_app": {"en": {"subject": "{customer.name} waits", "body": "{conversation.link}"}}}
    )
    boss = make_user(Role.SUPERVISOR)
    sent = _one(make_delivery(template, to=boss, way=Way.IN_APP, context={"conversation": conversation.pk}))
    assert sent.extra == {"link": f"/console/c/{conversation.pk}/"}
    assert sent.subject == f"{conversation.customer.name} waits"
    assert sent.text.startswith("http")
    assert sent.text.endswith(f"/console/c/{conversation.pk}/")


def test_what_has_no_template_goes_out_as_it_is_and_others_are_asked_for_theirs() -> None:
    customer = make_customer()
    answer = make_delivery(
        to=customer,
        context={
            "subject": "Re: x\r\ny",
            "body": "{customer.name}",
            "headers": {"In-Reply-To": "<1@x>\r\nBcc: z"},
        },
    )
    sent = _one(answer)
    assert (sent.subject, sent.text) == ("Re: x y", "{customer.name}")
    assert sent.headers == {"In-Reply-To": "<1@x> Bcc: z"}
    empty = make_delivery(to=customer)
    assert rendering.render([empty]) == {empty.pk: Reason.NO_TEXT}


def test_a_cause_may_make_its_messages_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_composers", {})
    rendering.composes("thing")(lambda rows: {row.pk: Reason.GONE for row in rows})
    delivery = make_delivery(to=make_customer(), cause="thing:1")
    assert rendering.render([delivery]) == {delivery.pk: Reason.GONE}


def test_a_row_that_cannot_be_rendered_hurts_no_other(caplog: pytest.LogCaptureFixture) -> None:
    template = make_template(_email("{appointment.starts_at:time}|{list.x}"))
    customer = make_customer()
    broken = make_delivery(template, to=make_customer(time_zone="Nowhere/Land"))
    odd = make_delivery(template, to=customer, context={"appointment.starts_at": "soon", "list.x": {"a": 1}})
    found = rendering.render([broken, odd])
    assert found[broken.pk] == Outcome(
        broken.pk, ErrorKind.PERMANENT, "the text could not be made: ZoneInfoNotFoundError"
    )
    assert found[odd.pk].text == "|{'a': 1}"
    assert "could not be rendered" in caplog.text


def test_a_hundred_cost_as_many_queries_as_one() -> None:
    template = make_template(
        _email("{customer.name} {appointment.title} {conversation.transcript} {agent.name}")
    )

    def make(count: int) -> list:
        made = []
        for _ in range(count):
            conversation = make_conversation()
            appointment = Appointment.objects.create(
                customer=conversation.customer, team=conversation.team, title="x", starts_at=AT
            )
            context = {"conversation": conversation.pk, "appointment": appointment.pk}
            made.append(make_delivery(template, to=conversation.customer, context=context).pk)
        return made

    def queries(ids: list[int]) -> int:
        rows = list(template.versions.first().deliveries.filter(pk__in=ids))
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert all(isinstance(row, Outgoing) for row in rendering.render(rows).values())
        return len(seen)

    assert queries(make(1)) == queries(make(8))


@pytest.mark.parametrize("name", links.PATHS)
def test_paths_in_links_are_those_of_the_address_tables(name: str) -> None:
    value = 7 if name.startswith("console") else "token"
    assert links.PATHS[name].format(value) == reverse(name, args=[value])


def test_a_token_is_what_the_signer_would_make_of_it() -> None:
    about = links.Wish(7, 3, Way.EMAIL)
    assert links.token(about) == signing.Signer(salt=links.SALT, sep=".").sign("7-3-email")
