"""E-mail providers through django-anymail: Mailgun signs its calls, Postmark's carry a password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from email.message import EmailMessage
from urllib.parse import urlencode

import pytest

from apps.notifications.choices import ErrorKind
from apps.notifications.gateways import Arrival, CallMalformed, Notice, Outgoing, Request, SignatureWrong
from apps.notifications.gateways.anymail import Anymail, mail
from apps.notifications.gateways.anymail.gateway import PROVIDERS
from apps.notifications.gateways.fields import Wrong, complete

from .local import Reply

KEYS = {"api_key": "key", "webhook_signing_key": "signing"}


def mailgun(url: str = "https://api.mailgun.net/v3") -> Anymail:
    settings = {"api_url": url, "sender_domain": "example.com"}
    options = {"esp": "mailgun", "sender": "Support <support@example.com>", "settings": settings}
    return Anymail(options, {"keys": KEYS})


def postmark(secret: str = "user:password") -> Anymail:
    options = {"esp": "postmark", "sender": "support@example.com"}
    return Anymail(options, {"keys": {"server_token": "x"}, "webhook_secret": secret})


def outgoing(**more) -> Outgoing:
    given = {"delivery": 3, "key": "eml-3", "to": "ann@example.net", "subject": "Re: Hi", "text": "Hello"}
    return Outgoing(**given | more)


def signed(payload: dict, *, key: str = "signing", what: str = "tracking") -> Request:
    timestamp, token = "1700000000", "t" * 50
    digest = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    body = {"signature": {"timestamp": timestamp, "token": token, "signature": digest}, "event-data": payload}
    return call(json.dumps(body).encode(), what=what)


def call(body: bytes, *, what: str, kind: str = "application/json", password: str = "") -> Request:
    headers = {"content-type": kind}
    if password:
        headers["authorization"] = "Basic " + base64.b64encode(password.encode()).decode()
    return Request(f"https://eml.example/hooks/1/{what}/", "POST", headers, body, {})


@pytest.mark.parametrize("esp", PROVIDERS)
def test_every_provider_offered_is_there_with_its_two_views(esp: str) -> None:
    gateway = Anymail({"esp": esp, "sender": "a@example.com"}, {"webhook_secret": "a:b"})
    for what in ("tracking", "inbound"):
        with pytest.raises((SignatureWrong, CallMalformed)):
            gateway.receive(call(b"{}", what=what))


def test_mail_goes_to_the_provider_with_its_key_and_headers(serve) -> None:
    server = serve(lambda call: Reply(200, b'{"id": "<abc@example.com>", "message": "Queued"}'))
    message = outgoing(
        html="<b>Hello</b>", headers={"In-Reply-To": "<x@y>"}, sender="Sales <sales@example.com>"
    )
    (outcome,) = mailgun(server.url).send([message])
    (sent,) = server.calls
    form = sent.body.decode()
    assert (outcome.error, outcome.provider_id) == (None, "abc@example.com")
    for part in ("ann@example.net", "sales@example.com", "<eml-3@example.com>", "<x@y>", "<b>Hello</b>"):
        assert part in form or urlencode({"": part})[1:] in form


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ErrorKind.PERMANENT), (401, ErrorKind.TEMPORARY), (429, ErrorKind.RATE_LIMITED),
     (500, ErrorKind.TEMPORARY)],
)  # fmt: skip
def test_error_of_the_provider_says_what_follows(serve, status: int, kind: ErrorKind) -> None:
    (outcome,) = mailgun(serve(lambda call: Reply(status)).url).send([outgoing()])
    assert (outcome.error, outcome.detail) == (kind, f"HTTP {status}")


def test_answer_that_breaks_off_leaves_the_outcome_unknown(serve) -> None:
    (outcome,) = mailgun(serve(lambda call: Reply(raw=lambda wire: None)).url).send([outgoing()])
    assert outcome.error == ErrorKind.UNKNOWN


def test_provider_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        # Bound, but nobody listens.
        (outcome,) = mailgun(url).send([outgoing()])
    assert outcome.error == ErrorKind.UNREACHABLE


def test_missing_key_is_a_passing_trouble_of_ours() -> None:
    gateway = Anymail({"esp": "mailgun", "sender": "a@example.com"}, {})
    (outcome,) = gateway.send([outgoing()])
    assert outcome.error == ErrorKind.TEMPORARY


def delivered(**more) -> dict:
    message = {"headers": {"message-id": "abc@example.com"}}
    return {
        "event": "delivered",
        "recipient": "ann@example.net",
        "timestamp": 1700000000.1,
        "message": message,
    } | more


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (delivered(), "delivered"),
        (delivered(event="failed", severity="permanent", reason="bounce"), "bounced"),
        (delivered(event="complained"), "complained"),
    ],
)
def test_what_became_of_a_mail(payload: dict, kind: str) -> None:
    (notice,) = mailgun().receive(signed(payload))
    assert isinstance(notice, Notice)
    assert (notice.kind, notice.provider_id, notice.id) == (kind, "abc@example.com", "t" * 50)


@pytest.mark.parametrize(
    "payload", [delivered(event="opened"), delivered(event="failed", severity="temporary", reason="generic")]
)
def test_what_changes_nothing_is_no_news(payload: dict) -> None:
    assert mailgun().receive(signed(payload)) == []


@pytest.mark.parametrize(
    "request_",
    [signed(delivered(), key="other"), call(b"{}", what="tracking"), call(b"junk", what="inbound"),
     call(b"\xff\xfe", what="tracking"), call(b"", what="tracking", kind="text/plain")],
)  # fmt: skip
def test_b70_call_without_a_good_signature_is_refused(request_: Request) -> None:
    with pytest.raises(SignatureWrong):
        mailgun().receive(request_)


def arrived(**more) -> bytes:
    message = {
        "FromName": "Ann", "MessageStream": "inbound", "From": "ann@example.net",
        "FromFull": {"Email": "ann@example.net", "Name": "Ann", "MailboxHash": ""},
        "To": "support@example.com",
        "ToFull": [{"Email": "support+c5.aaaa@example.com", "Name": "", "MailboxHash": ""}],
        "OriginalRecipient": "support+c5.aaaa@example.com", "Subject": "Re: Hi", "MessageID": "22c74902",
        "TextBody": "Thanks!\r\n\r\n> Hello", "HtmlBody": "", "Date": "Thu, 5 Nov 2026 16:59:01 +0000",
        "Headers": [
            {"Name": "Message-ID", "Value": "<m1@example.net>"},
            {"Name": "In-Reply-To", "Value": "<eml-3@example.com>"},
            {"Name": "References", "Value": "<first@example.net> <eml-3@example.com>"},
        ],
        "Attachments": [{"Name": "a.txt", "Content": base64.b64encode(b"words").decode(), "ContentType": "text/plain"}],
    }  # fmt: skip
    return json.dumps(message | more).encode()


def test_mail_that_arrives() -> None:
    (arrival,) = postmark().receive(call(arrived(), what="inbound", password="user:password"))
    assert isinstance(arrival, Arrival)
    assert (arrival.id, arrival.sender, arrival.sender_name) == ("m1@example.net", "ann@example.net", "Ann")
    assert arrival.to.startswith("support+c5.aaaa@example.com")
    assert (arrival.subject, arrival.text) == ("Re: Hi", "Thanks!\n\n> Hello")
    assert arrival.reply_to == ("eml-3@example.com", "first@example.net")
    assert arrival.files == (("a.txt", b"words"),)
    assert not arrival.is_automatic


@pytest.mark.parametrize("password", ["", "user:wrong"])
def test_b70_password_of_a_call_is_checked(password: str) -> None:
    with pytest.raises(SignatureWrong):
        postmark().receive(call(arrived(), what="inbound", password=password))


def test_b70_provider_that_does_not_sign_needs_a_password() -> None:
    with pytest.raises(SignatureWrong):
        postmark(secret="").receive(call(arrived(), what="inbound"))


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"junk", arrived(FromFull=None), arrived(Headers=7)])
def test_call_that_no_provider_sends_is_malformed(body: bytes) -> None:
    with pytest.raises(CallMalformed):
        postmark().receive(call(body, what="inbound", password="user:password"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("Auto-Submitted", "auto-replied"), ("Precedence", "bulk"), ("X-Autoreply", "yes"), ("List-Id", "<l>"),
     ("Return-Path", "<>"), ("Auto-Submitted", "auto-generated; x=y")],
)  # fmt: skip
def test_machines_are_known_by_their_headers(name: str, value: str) -> None:
    message = EmailMessage()
    message[name] = value
    assert mail.is_automatic(message)


def test_people_are_not_taken_for_machines() -> None:
    message = EmailMessage()
    message["Auto-Submitted"] = "no"
    assert not mail.is_automatic(message)


def test_words_of_an_html_mail() -> None:
    markup = "<style>p{}</style><p>One &amp; two</p><script>evil()</script><div>three<br>four</div>"
    assert mail.plain(markup) == "One & two\nthree\nfour"


@pytest.mark.parametrize(
    ("field", "value"),
    [("sender", "nobody"), ("sender", "a@b.c\r\nBcc: x@y.z"), ("settings", ["a"]), ("settings", {"a": []}),
     ("settings", {"api_url": "http://127.0.0.1/"})],
)  # fmt: skip
def test_wrong_settings_are_told_at_their_field(field: str, value: object) -> None:
    given = {"esp": "mailgun", "sender": "a@example.com", "keys": KEYS} | {field: value}
    with pytest.raises(Wrong) as told:
        complete(Anymail.FIELDS, given)
    assert told.value.field == field
