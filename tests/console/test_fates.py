"""What became of an answer by e-mail or SMS stands beside it, and changes while one looks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.core import realtime
from apps.core.events import SYSTEM
from apps.messaging.choices import InboxKind
from apps.messaging.models import Conversation, Inbox
from apps.notifications.choices import DeliveryState, ErrorKind, Reason, Way
from apps.notifications.gateways import Outcome
from apps.notifications.models import Delivery, Gateway, Receipt, SendingQueue
from apps.notifications.services import answers, claiming, queues, recording
from tests.console.conftest import words_of
from tests.console.test_views_desk import count_queries
from tests.factories import make_message

pytestmark = pytest.mark.django_db


@pytest.fixture
def gateway() -> Gateway:
    Gateway.objects.all().delete()
    return Gateway.objects.create(name="Mail", way=Way.EMAIL, kind="outbox")


@pytest.fixture
def mail(talk: Conversation, gateway: Gateway) -> Conversation:
    Inbox.objects.filter(pk=talk.inbox_id).update(kind=InboxKind.EMAIL, address="support@example.com")
    return Conversation.objects.get(pk=talk.pk)


def answer(mail: Conversation, ana: Any, body: str = "Try again") -> Delivery:
    """Said by the agent, and its delivery made as the subscriber does."""
    message = make_message(mail, body, user=ana.user)
    answers.send(message.pk, now=timezone.now())
    delivery = Delivery.objects.get(cause=answers.cause_of(message.pk))
    Delivery.objects.filter(pk=delivery.pk).update(address="ann@example.net")
    return delivery


def tried(gateway: Gateway, outcome: dict[str, Any]) -> None:
    """Claimed, and recorded as if the gateway had said so."""
    now = timezone.now()
    batch = claiming.claim(Way.EMAIL, most=1, now=now)
    assert batch is not None
    (row,) = batch.rows
    recording.write(
        [recording.of_outcome(row, Outcome(row.pk, **outcome), gateway=gateway, now=now)], now=now
    )


def shown(desk: Any, mail: Conversation) -> str:
    return words_of(desk.get("conversation", mail.pk)).partition('id="messages"')[2]


def test_answer_waits_until_it_is_sent(desk, mail, ana, gateway) -> None:
    answer(mail, ana)
    assert "<strong>Queued</strong>" in shown(desk, mail)
    tried(gateway, {})
    assert "Sent; the mail server has taken it" in shown(desk, mail)


def test_answer_is_queued_before_its_delivery_is_made(desk, mail, ana) -> None:
    make_message(mail, "Hello", user=ana.user)
    assert "<strong>Queued</strong>" in shown(desk, mail)


def test_in_a_chat_nothing_stands_there(desk, talk, ana) -> None:
    make_message(talk, "Hello", user=ana.user)
    words = words_of(desk.get("conversation", talk.pk))
    assert "msg__fate" not in words
    assert "msg__mark" in words


def test_failure_says_why_and_what_to_do(desk, mail, ana, gateway) -> None:
    answer(mail, ana)
    tried(gateway, {"error": ErrorKind.BAD_ADDRESS, "detail": "RCPT: 550 5.1.1"})
    words = shown(desk, mail)
    assert "Not delivered" in words
    assert "The address does not work. Ask the customer for another address, or call." in words
    assert "The provider said: RCPT: 550 5.1.1" in words


def test_what_is_tried_again_says_when(desk, mail, ana, gateway) -> None:
    delivery = answer(mail, ana)
    tried(gateway, {"error": ErrorKind.UNREACHABLE, "detail": "ConnectionRefusedError"})
    delivery.refresh_from_db()
    at = timezone.localtime(delivery.due_at)
    assert f"The provider does not answer. It is tried again at {at:%H:%M}." in shown(desk, mail)


def test_bounce_after_it_went_out_is_told(desk, mail, ana, gateway) -> None:
    delivery = answer(mail, ana)
    tried(gateway, {})
    Receipt.objects.create(source="x", source_id="1", delivery=delivery, kind="bounced")
    Delivery.objects.update(state=DeliveryState.DEAD)
    assert "<strong>Bounced</strong> It came back: the address does not work." in shown(desk, mail)


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (DeliveryState.SUPPRESSED, Reason.OPTED_OUT, "The customer asked that nothing is sent"),
        (DeliveryState.SUPPRESSED, Reason.GONE, "Not sent because: the recipient is not active any more."),
        (DeliveryState.CANCELLED, Reason.DROPPED, "Not sent because: dropped by a supervisor."),
        (DeliveryState.REVIEW, "", "A supervisor looks and decides"),
    ],
)
def test_what_did_not_go_out_is_told(desk, mail, ana, state, reason, words) -> None:
    answer(mail, ana)
    Delivery.objects.update(state=state, reason=reason)
    assert words in shown(desk, mail)


@pytest.mark.parametrize(
    ("hinder", "words"),
    [
        (lambda: Gateway.objects.update(is_active=False), "No gateway is switched on for it."),
        (lambda: SendingQueue.objects.update(is_paused=True), "A supervisor has paused the sending queue."),
        (
            lambda: Gateway.objects.update(failures=9, broken_until=timezone.now() + timedelta(hours=1)),
            "The provider does not answer at the moment.",
        ),
    ],
)
def test_what_waits_for_long_says_what_hinders_it(desk, mail, ana, hinder, words) -> None:
    delivery = answer(mail, ana)
    mail.messages.update(at=timezone.now() - timedelta(minutes=1))
    assert words not in shown(desk, mail)
    hinder()
    assert words in shown(desk, mail)
    assert delivery.state == DeliveryState.DUE


def test_newest_states_come_as_one_fragment(desk, mail, ana, gateway) -> None:
    delivery = answer(mail, ana)
    tried(gateway, {"error": ErrorKind.PERMANENT, "detail": "DATA: 554"})
    words = words_of(desk.get("fates", mail.pk))
    message = answers.message_of(delivery.cause)
    assert f'id="fate-{message}" hx-swap-oob="true" role="alert"' in words
    assert "It was refused for good." in words


def test_queries_do_not_grow_with_the_answers(desk, mail, ana, django_assert_num_queries) -> None:
    answer(mail, ana)
    few = count_queries(lambda: desk.get("messages", mail.pk, after=0))
    for _ in range(4):
        answer(mail, ana)
    with django_assert_num_queries(few):
        desk.get("messages", mail.pk, after=0)


def test_kind_stands_in_list_and_head(desk, mail) -> None:
    for name, args in (("list", ()), ("head", (mail.pk,))):
        words = words_of(desk.get(name, *args))
        assert "badge kind badge--info" in words
        assert ">E-mail<" in words


def test_sms_carries_no_file_and_the_composer_says_so(desk, mail) -> None:
    Inbox.objects.update(kind=InboxKind.SMS, address="+4930901820")
    words = words_of(desk.get("conversation", mail.pk))
    assert "1,600 characters at most, and no files" in words
    assert 'id="attach"' not in words


# Live


@pytest.fixture
def frames(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        "apps.notifications.listeners.publish", lambda group, frame: told.append((group, frame))
    )
    return told


def test_desks_are_told_when_an_answer_goes_out_or_is_looked_at(
    mail, ana, gateway, frames, django_capture_on_commit_callbacks
) -> None:
    delivery = answer(mail, ana)
    with django_capture_on_commit_callbacks(execute=True):
        tried(gateway, {"error": ErrorKind.PERMANENT})
        queues.send_again([delivery.pk], by=ana.user, now=timezone.now())
    frame = {"type": "answer.changed", "conversation": mail.pk, "seq": 3}
    assert frames == [(realtime.staff_group(mail.pk), frame)] * 2


def test_deliveries_of_others_are_no_news_for_desks(frames, django_capture_on_commit_callbacks) -> None:
    row = Delivery.objects.create(
        cause="reminder:1", recipient="x", way=Way.EMAIL, slot_at=timezone.now(), due_at=timezone.now()
    )
    with django_capture_on_commit_callbacks(execute=True):
        answers.moved([(row, DeliveryState.SENT)], by=SYSTEM)
    assert frames == []
