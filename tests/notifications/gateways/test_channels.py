"""E-mail and SMS as ways into a conversation and out of it, from the provider's call to its receipt."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.core import dispatch
from apps.messaging import errors, policy, reply_address
from apps.messaging.choices import InboxKind, Quarantined, Status
from apps.messaging.models import Arrival, Attachment, Conversation, Message
from apps.messaging.services import attachments, conversations
from apps.notifications.choices import DeliveryState, Reason, Way
from apps.notifications.gateways.twilio import signature
from apps.notifications.models import Delivery, Gateway, Receipt, Suppression
from apps.notifications.services import preferences, receipts, recording, sending
from apps.routing.models import Agent, Offer
from apps.routing.services import acceptance
from apps.users.models import ContactPoint, Customer
from tests.factories import (
    make_agent,
    make_conversation,
    make_customer,
    make_delivery,
    make_inbox,
    make_message,
    make_queue,
    make_team,
)
from tests.notifications.posts import post_office

from .local import FakeTwilio

pytestmark = pytest.mark.django_db

ACCOUNT, TOKEN = "AC" + "1" * 32, "token"
NUMBER, PHONE = "+4930901820", "+4915112345678"
SUPPORT, ANN = "support@example.com", "ann@example.net"


@pytest.fixture
def team():
    Gateway.objects.all().delete()
    return make_team()


@pytest.fixture
def agent(team):
    return make_agent(team, capacity=100)


def drained() -> None:
    while dispatch.drain():
        pass


def accepted(agent: Agent) -> Conversation:
    """The router has rung this agent, and he takes it."""
    offer = Offer.objects.get()
    assert offer.agent == agent
    acceptance.accept(offer.pk, by=agent.user, now=timezone.now())
    return offer.item.conversation


# SMS


@pytest.fixture
def twilio(serve, team) -> FakeTwilio:
    fake = FakeTwilio(ACCOUNT, TOKEN)
    server = serve(fake)
    options = {"account_sid": ACCOUNT, "sender": NUMBER, "countries": ["DE"], "base_url": server.url}
    fake.row = Gateway.objects.create(  # type: ignore[attr-defined]
        name="Twilio", way=Way.SMS, kind="twilio", options=options, secrets={"auth_token": TOKEN}
    )
    make_inbox(queue=make_queue(team=team), kind=InboxKind.SMS, address=NUMBER, name="SMS")
    return fake


def twilio_calls(fake: Any, what: str = "sms", token: str = TOKEN, **form: str) -> int:
    path = f"/hooks/{fake.row.pk}/{what}/"
    signed = signature.sign(token, django_settings.BASE_URL + path, form)
    return (
        Client(raise_request_exception=False)
        .post(
            path,
            urlencode(form),
            content_type="application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": signed},
        )
        .status_code
    )


def sms(
    sid: str = "SM1", body: str = "Is it there?", sender: str = PHONE, to: str = NUMBER
) -> dict[str, str]:
    return {"MessageSid": sid, "From": sender, "To": to, "Body": body}


def test_sms_arrives_is_answered_once_and_its_delivery_is_known(twilio, agent) -> None:
    assert twilio_calls(twilio, **sms()) == 200
    drained()
    conversation = accepted(agent)
    assert (conversation.inbox.kind, conversation.messages.get(seq=1).body) == ("sms", "Is it there?")
    assert str(conversation.customer.contact_points.get()) == PHONE
    assert not conversation.customer.contact_points.get().is_verified
    make_message(conversation, "Yes, it is", user=agent.user)
    for _ in range(2):
        drained()
        sending.work_off(Way.SMS, clock=timezone.now)
    (sent,) = twilio.messages.values()
    assert (sent["To"], sent["From"], sent["Body"]) == (PHONE, NUMBER, "Yes, it is")
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.priority) == (DeliveryState.SENT, 0)
    for _ in range(2):
        assert (
            twilio_calls(twilio, "status", MessageSid=delivery.provider_id, MessageStatus="delivered") == 200
        )
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.DELIVERED
    assert Receipt.objects.filter(delivery=delivery).count() == 1


def test_p10_same_message_told_twice_is_one(twilio) -> None:
    assert [twilio_calls(twilio, **sms()) for _ in range(3)] == [200, 200, 200]
    assert (Message.objects.filter(sender="customer").count(), Receipt.objects.count()) == (1, 1)


def test_b70_call_with_a_wrong_signature_changes_nothing(twilio) -> None:
    assert twilio_calls(twilio, token="other", **sms()) == 401
    assert not Message.objects.exists()
    assert not Receipt.objects.exists()


def test_second_sms_goes_into_the_open_conversation(twilio, agent) -> None:
    twilio_calls(twilio, **sms("SM1"))
    twilio_calls(twilio, **sms("SM2", "Hello?"))
    assert Conversation.objects.get().last_seq == 2


def test_sms_after_the_end_begins_anew_for_the_same_customer(twilio, agent) -> None:
    twilio_calls(twilio, **sms("SM1"))
    drained()
    first = accepted(agent)
    conversations.close(first.pk, by=agent.user, now=timezone.now())
    twilio_calls(twilio, **sms("SM2", "One more thing"))
    second = Conversation.objects.exclude(pk=first.pk).get()
    assert (second.status, second.customer) == (Status.WAITING, first.customer)


def test_stop_and_start_are_orders_and_no_conversations(twilio) -> None:
    twilio_calls(twilio, **sms("SM1", "STOP"))
    assert Suppression.objects.get().address == PHONE
    twilio_calls(twilio, **sms("SM2", "start"))
    assert not Suppression.objects.exists()
    assert not Conversation.objects.exists()


def test_answer_to_somebody_who_said_stop_stays_here(twilio, agent) -> None:
    twilio_calls(twilio, **sms())
    drained()
    conversation = accepted(agent)
    preferences.stop(way=Way.SMS, address=PHONE, now=timezone.now())
    make_message(conversation, "Hello", user=agent.user)
    drained()
    sending.work_off(Way.SMS, clock=timezone.now)
    assert (Delivery.objects.get().state, Delivery.objects.get().reason) == (
        DeliveryState.SUPPRESSED,
        Reason.OPTED_OUT,
    )
    assert not twilio.messages


def test_number_that_does_not_exist_any_more_is_not_written_to_again(twilio, agent) -> None:
    twilio_calls(twilio, **sms())
    drained()
    conversation = accepted(agent)
    make_message(conversation, "Hello", user=agent.user)
    drained()
    sending.work_off(Way.SMS, clock=timezone.now)
    delivery = Delivery.objects.get()
    form = {"MessageSid": delivery.provider_id, "MessageStatus": "undelivered", "ErrorCode": "30005"}
    twilio_calls(twilio, "status", **form)
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.DEAD
    assert Suppression.objects.get().reason == Reason.BOUNCED


def test_sender_without_a_number_is_read_and_cannot_be_answered(twilio) -> None:
    twilio_calls(twilio, **sms(sender="BANK"))
    assert not Customer.objects.get().contact_points.exists()


def test_sms_to_a_number_without_an_inbox_is_taken_and_goes_nowhere(twilio) -> None:
    assert twilio_calls(twilio, **sms(to="+4930000000")) == 200
    assert not Conversation.objects.exists()


def test_agent_is_told_what_an_sms_does_not_carry(twilio, agent) -> None:
    twilio_calls(twilio, **sms())
    drained()
    conversation = accepted(agent)
    with pytest.raises(errors.TooLongForSMS):
        make_message(conversation, "x" * 1601, user=agent.user)
    make_message(conversation, "x" * 1600, user=agent.user)


@pytest.mark.parametrize("path", ["/hooks/999999/sms/", "/hooks/1/../sms/"])
def test_gateway_that_is_not_there(path: str, db) -> None:
    assert (
        Client(raise_request_exception=False).post(path, b"x", content_type="text/plain").status_code == 404
    )


def test_b12_body_beyond_the_limit_is_not_read(twilio, settings) -> None:
    settings.ATTACHMENT_MAX_BYTES = 0
    answer = Client(raise_request_exception=False).post(
        f"/hooks/{twilio.row.pk}/sms/", b"x" * (1024 * 1024 + 1), content_type="text/plain"
    )
    assert answer.status_code == 413


# E-mail


@pytest.fixture
def inbox(team):
    queue = make_queue(team=team)
    return make_inbox(queue=queue, kind=InboxKind.EMAIL, address=SUPPORT, name="Support")


@pytest.fixture
def postmark(team) -> Gateway:
    return Gateway.objects.create(
        name="Postmark", way=Way.EMAIL, kind="anymail", rank=9,
        options={"esp": "postmark", "sender": SUPPORT},
        secrets={"keys": {"server_token": "x"}, "webhook_secret": "user:password"},
    )  # fmt: skip


def mail(
    number: int = 1, *, to: str = SUPPORT, text: str = "Hi, it is broken", sender: str = ANN, **headers: str
) -> dict:
    given = {"Message-ID": f"<m{number}@example.net>", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return {
        "FromFull": {"Email": sender, "Name": "Ann", "MailboxHash": ""},
        "ToFull": [{"Email": to, "Name": "", "MailboxHash": ""}],
        "OriginalRecipient": to, "Subject": "Broken", "MessageID": f"id-{number}", "TextBody": text,
        "Headers": [{"Name": name, "Value": value} for name, value in given.items()],
    }  # fmt: skip


def arrives(gateway: Gateway, message: dict, password: str = "user:password") -> int:
    authorization = "Basic " + base64.b64encode(password.encode()).decode()
    return (
        Client(raise_request_exception=False)
        .post(
            f"/hooks/{gateway.pk}/inbound/",
            json.dumps(message),
            content_type="application/json",
            headers={"Authorization": authorization},
        )
        .status_code
    )


def answered(post: Any, agent: Any, body: str = "Try again") -> Any:
    """The agent takes the mail's conversation and answers through a mail server."""
    Gateway.objects.create(
        name="SMTP", way=Way.EMAIL, kind="smtp", rank=1,
        options={"host": "127.0.0.1", "port": post.port, "security": "none", "sender": "EML <no-reply@example.com>"},
    )  # fmt: skip
    drained()
    conversation = accepted(agent)
    make_message(conversation, body, user=agent.user)
    drained()
    sending.work_off(Way.EMAIL, clock=timezone.now)
    return conversation, post.mails[-1]


def test_mail_arrives_is_answered_in_its_thread_and_the_answer_comes_back(postmark, inbox, agent) -> None:
    assert arrives(postmark, mail()) == 200
    with post_office() as post:
        conversation, sent = answered(post, agent)
    assert (sent["To"], sent["Subject"]) == (ANN, "Re: Broken")
    assert sent["From"] == "Support <support@example.com>"
    assert sent["In-Reply-To"] == "<m1@example.net>"
    assert sent["References"] == "<m1@example.net>"
    assert sent.get_content().strip() == "Try again"
    assert Delivery.objects.get().state == DeliveryState.SENT
    quoted = "Still broken\n\nOn Mon, 2 Mar 2026 Support wrote:\n> Try again"
    assert arrives(postmark, mail(2, to=sent["Reply-To"], text=quoted, sender="ann@work.example")) == 200
    last = Message.objects.filter(conversation=conversation).latest("seq")
    # What is quoted is not shown again, and kept.
    assert (last.body, last.arrival.text) == ("Still broken", quoted)
    assert Conversation.objects.count() == 1


def test_answer_is_found_by_the_id_of_our_mail(postmark, inbox, agent) -> None:
    arrives(postmark, mail())
    with post_office() as post:
        conversation, sent = answered(post, agent)
    arrives(postmark, mail(2, In_Reply_To=sent["Message-ID"]))
    assert Message.objects.filter(conversation=conversation, sender="customer").count() == 2


def test_b70_id_of_our_mail_counts_for_nobody_but_who_got_it(postmark, inbox, agent) -> None:
    arrives(postmark, mail())
    with post_office() as post:
        conversation, sent = answered(post, agent)
    arrives(postmark, mail(2, In_Reply_To=sent["Message-ID"], sender="eve@example.net"))
    assert Message.objects.filter(conversation=conversation, sender="customer").count() == 1
    assert Conversation.objects.count() == 2


@pytest.mark.parametrize("tag", ["c{}", "c{}.aaaaaaaaaaaaaaaa", "c{}.short"])
def test_b70_reply_address_that_is_not_ours_is_quarantined(postmark, inbox, tag: str) -> None:
    arrives(postmark, mail())
    conversation = Conversation.objects.get()
    address = f"support+{tag.format(conversation.pk)}@example.com"
    assert arrives(postmark, mail(2, to=address, sender="eve@example.net")) == 200
    assert Arrival.objects.latest("id").quarantined_because == Quarantined.FORGED
    assert (Message.objects.filter(sender="customer").count(), Conversation.objects.count()) == (1, 1)


def test_reply_address_of_one_conversation_is_none_of_another() -> None:
    address, tag = reply_address.split(reply_address.make(SUPPORT, 12).upper())
    assert (address, reply_address.conversation_of(tag)) == (SUPPORT, 12)
    assert reply_address.conversation_of(tag.replace("c12.", "c13.")) is None
    assert not reply_address.is_reply("shop")


def test_reply_address_outlives_a_change_of_the_secret_key(settings) -> None:
    tag = reply_address.split(reply_address.make(SUPPORT, 12))[1]
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert reply_address.conversation_of(tag) == 12


def test_answer_after_the_end_begins_a_conversation_that_names_the_first(postmark, inbox, agent) -> None:
    arrives(postmark, mail())
    first = Conversation.objects.get()
    address = reply_address.make(SUPPORT, first.pk)
    conversations.close(first.pk, by=agent.user, now=timezone.now())
    arrives(postmark, mail(2, to=address))
    second = Conversation.objects.exclude(pk=first.pk).get()
    assert second.customer == first.customer
    assert second.messages.filter(sender="system", body__contains=f"conversation {first.pk}").exists()


def test_machine_begins_no_conversation_and_is_never_answered(postmark, inbox) -> None:
    arrives(postmark, mail(Auto_Submitted="auto-replied"))
    assert Arrival.objects.get().quarantined_because == Quarantined.AUTOMATIC
    drained()
    assert not Conversation.objects.exists()
    assert not Delivery.objects.exists()


def test_b70_call_without_the_password_changes_nothing(postmark, inbox) -> None:
    assert arrives(postmark, mail(), password="user:guess") == 401
    assert not Arrival.objects.exists()


def test_files_are_kept_by_the_rules_for_all_files(postmark, inbox) -> None:
    def file(name: str, content: bytes) -> dict:
        return {"Name": name, "Content": base64.b64encode(content).decode(), "ContentType": "text/plain"}

    files = [file("note.txt", b"words"), file("page.html", b"<html><script>1</script>")]
    arrives(postmark, mail() | {"Attachments": files})
    assert Attachment.objects.get().name == "note.txt"
    assert Message.objects.filter(body__contains="page.html").exists()


def test_address_that_somebody_verified_is_his(postmark, inbox, team) -> None:
    owner, liar = make_customer([team]), make_customer([team])
    ContactPoint.objects.create(customer=liar, kind="email", value=ANN)
    ContactPoint.objects.create(customer=owner, kind="email", value=ANN, is_verified=True)
    arrives(postmark, mail())
    assert Conversation.objects.get().customer == owner


def test_b39_address_that_a_visitor_only_claimed_is_not_his(postmark, inbox, team) -> None:
    liar = make_customer([team])
    ContactPoint.objects.create(customer=liar, kind="email", value=ANN)
    arrives(postmark, mail())
    assert Conversation.objects.get().customer != liar


def stored(conversation: Conversation, agent: Agent, name: str, content: bytes) -> Attachment:
    upload = SimpleUploadedFile(name, content)
    return attachments.store(conversation, upload, by=agent.user, now=timezone.now())


def test_files_of_an_answer_go_with_its_mail(postmark, inbox, agent) -> None:
    arrives(postmark, mail())
    with post_office() as post:
        conversation, _first = answered(post, agent)
        files = [
            stored(conversation, agent, "Überweisung.txt", "wörds".encode()),
            stored(conversation, agent, "b.txt", b"x"),
        ]
        make_message(conversation, "See", user=agent.user, attachment_ids=tuple(file.pk for file in files))
        drained()
        sending.work_off(Way.EMAIL, clock=timezone.now)
        sent = post.mails[-1]
    assert sent.get_body().get_content().strip() == "See"
    parts = [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in sent.iter_attachments()
    ]
    assert parts == [("Überweisung.txt", "text/plain", "wörds".encode()), ("b.txt", "text/plain", b"x")]


def test_file_that_is_gone_is_told_and_not_tried_for_ever(postmark, inbox, agent) -> None:
    arrives(postmark, mail())
    with post_office() as post:
        conversation, _first = answered(post, agent)
        file = stored(conversation, agent, "a.txt", b"x")
        make_message(conversation, "See", user=agent.user, attachment_ids=(file.pk,))
        file.file.delete(save=False)
        drained()
        sending.work_off(Way.EMAIL, clock=timezone.now)
        assert len(post.mails) == 1
    delivery = Delivery.objects.latest("id")
    assert delivery.state == DeliveryState.DEAD
    assert delivery.attempts.get().detail == "a file is not there any more"


def test_too_much_for_one_mail_is_refused(postmark, inbox, agent, monkeypatch) -> None:
    monkeypatch.setattr(policy, "MOST_MAIL_BYTES", 5)
    arrives(postmark, mail())
    drained()
    conversation = accepted(agent)
    files = [stored(conversation, agent, f"{number}.txt", b"123") for number in range(2)]
    with pytest.raises(errors.FilesTooLargeForMail):
        make_message(conversation, "See", user=agent.user, attachment_ids=tuple(file.pk for file in files))
    make_message(conversation, "See", user=agent.user, attachment_ids=(files[0].pk,))


def test_agent_is_told_that_files_do_not_go_by_sms(twilio, agent) -> None:
    twilio_calls(twilio, **sms())
    drained()
    conversation = accepted(agent)
    file = stored(conversation, agent, "a.txt", b"x")
    with pytest.raises(errors.FilesNotSent):
        make_message(conversation, "See", user=agent.user, attachment_ids=(file.pk,))


@pytest.mark.parametrize(
    ("status", "state"), [("delivered", DeliveryState.DELIVERED), ("undelivered", DeliveryState.DEAD)]
)
def test_provider_that_is_faster_than_our_record_is_believed_later(
    twilio, agent, status: str, state: DeliveryState
) -> None:
    """Its call comes between its answer and the commit of what it answered."""
    twilio_calls(twilio, **sms())
    drained()
    make_message(accepted(agent), "Yes", user=agent.user)
    drained()
    recorded = recording.write

    def called_first(ended: Any, *, now: Any) -> None:
        for one in ended:
            if one.provider_id:
                form = {"MessageSid": one.provider_id, "MessageStatus": status, "ErrorCode": "30005"}
                assert twilio_calls(twilio, "status", **form) == 200
        recorded(ended, now=now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "write", called_first)
        sending.work_off(Way.SMS, clock=timezone.now)
    delivery = Delivery.objects.get()
    assert delivery.state == DeliveryState.SENT
    assert [receipts.catch_up(now=timezone.now()) for _ in range(2)] == [1, 0]
    delivery.refresh_from_db()
    assert delivery.state == state
    assert Receipt.objects.get(kind__in=("delivered", "bounced")).delivery == delivery


def test_notice_about_what_is_not_ours_is_looked_for_an_hour(twilio, team) -> None:
    twilio_calls(twilio, "status", MessageSid="SM9", MessageStatus="delivered")
    assert receipts.catch_up(now=timezone.now()) == 0
    delivery = make_delivery(
        to=make_customer([team]), way=Way.SMS, state=DeliveryState.SENT, provider_id="SM9"
    )
    Delivery.objects.update(gateway=twilio.row)
    assert receipts.catch_up(now=timezone.now() + timedelta(minutes=61)) == 0
    assert receipts.catch_up(now=timezone.now()) == 1
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.DELIVERED


def test_what_is_said_in_a_chat_goes_nowhere(team, agent) -> None:
    conversation = make_conversation(make_inbox(team), agent=agent.user)
    make_message(conversation, "Hello", user=agent.user)
    drained()
    assert not Delivery.objects.exists()
