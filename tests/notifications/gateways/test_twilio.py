"""SMS over Twilio's protocol: form and answers as documented, every call to us checked by its signature."""

from __future__ import annotations

import pytest

from apps.notifications.choices import ErrorKind
from apps.notifications.gateways import Arrival, CallMalformed, Notice, Outgoing, Request, SignatureWrong, net
from apps.notifications.gateways.fields import Wrong, complete
from apps.notifications.gateways.twilio import Twilio, signature

from .local import FakeTwilio, Reply, Server

ACCOUNT, TOKEN = "AC" + "0" * 32, "12345"
URL = "https://eml.example/hooks/1/sms/"


def gateway(server: Server | None = None, **options) -> Twilio:
    options = {
        "account_sid": ACCOUNT,
        "sender": "+4930901820",
        "countries": ["DE"],
        "base_url": server.url if server else "https://api.twilio.com",
        "callback_url": URL,
    } | options
    return Twilio(options, {"auth_token": TOKEN}, caller=net.Caller(seconds=2))


def sms(**more) -> Outgoing:
    return Outgoing(**{"delivery": 1, "key": "eml-1", "to": "+4915112345678", "text": "Hello"} | more)


def called(form: dict[str, str], *, token: str = TOKEN, url: str = URL, **headers: str) -> Request:
    signed = {"x-twilio-signature": signature.sign(token, url, form)}
    return Request(URL, "POST", signed | headers, b"", form)


def test_signature_is_the_one_of_the_documentation() -> None:
    """The example on Twilio's page about the security of webhooks."""
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    url = "https://example.com/myapp.php?foo=1&bar=2"
    assert signature.sign("12345", url, form) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


def test_message_goes_out_as_documented(serve) -> None:
    twilio = FakeTwilio(ACCOUNT, TOKEN)
    (outcome,) = gateway(serve(twilio)).send([sms(sender="+4930111222")])
    assert twilio.messages[outcome.provider_id] == {
        "To": "+4915112345678",
        "From": "+4930111222",
        "Body": "Hello",
        "StatusCallback": URL,
    }


def test_messaging_service_sends_in_its_own_name(serve) -> None:
    twilio = FakeTwilio(ACCOUNT, TOKEN)
    (outcome,) = gateway(serve(twilio), sender="MG" + "1" * 32).send([sms()])
    assert twilio.messages[outcome.provider_id]["MessagingServiceSid"] == "MG" + "1" * 32


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 21211, ErrorKind.BAD_ADDRESS), (400, 21610, ErrorKind.BAD_ADDRESS),
        (400, 21602, ErrorKind.PERMANENT), (401, 20003, ErrorKind.TEMPORARY),
        (429, 20429, ErrorKind.RATE_LIMITED), (503, 20503, ErrorKind.UNREACHABLE),
    ],
)  # fmt: skip
def test_error_of_the_provider_says_what_follows(serve, status: int, code: int, kind: ErrorKind) -> None:
    twilio = FakeTwilio(ACCOUNT, TOKEN)
    twilio.failures = [(status, code)]
    (outcome,) = gateway(serve(twilio)).send([sms()])
    assert (outcome.error, outcome.detail) == (kind, f"HTTP {status}, error {code}")
    assert outcome.retry_after == (7 if status == 429 else None)


@pytest.mark.parametrize(
    ("to", "kind"),
    [
        ("112", ErrorKind.BAD_ADDRESS), ("911", ErrorKind.BAD_ADDRESS), ("+499001234567", ErrorKind.BAD_ADDRESS),
        ("+43720123456", ErrorKind.PERMANENT), ("+41441234567", ErrorKind.PERMANENT),
        ("+49", ErrorKind.BAD_ADDRESS), ("nobody", ErrorKind.BAD_ADDRESS), ("", ErrorKind.BAD_ADDRESS),
    ],
)  # fmt: skip
def test_b38_h38_numbers_that_are_never_written_to(serve, to: str, kind: ErrorKind) -> None:
    server = serve(FakeTwilio(ACCOUNT, TOKEN))
    (outcome,) = gateway(server).send([sms(to=to)])
    assert outcome.error == kind
    assert server.calls == []


def test_no_country_is_allowed_until_one_is_named(serve) -> None:
    server = serve(FakeTwilio(ACCOUNT, TOKEN))
    (outcome,) = gateway(server, countries=[]).send([sms()])
    assert (outcome.error, server.calls) == (ErrorKind.PERMANENT, [])


def test_b54_text_of_1601_characters_is_refused(serve) -> None:
    server = serve(FakeTwilio(ACCOUNT, TOKEN))
    good, bad = gateway(server).send([sms(text="x" * 1600), sms(text="x" * 1601)])
    assert (good.error, bad.error) == (None, ErrorKind.PERMANENT)
    assert len(server.calls) == 1


def test_answer_that_never_comes_leaves_the_outcome_unknown(serve) -> None:
    server = serve(lambda call: Reply(raw=lambda wire: None))
    (outcome,) = gateway(server).send([sms()])
    assert outcome.error == ErrorKind.UNKNOWN


def test_provider_that_is_not_there_is_unreachable(serve) -> None:
    server = serve()
    server.server.shutdown()
    server.server.server_close()
    (outcome,) = gateway(server).send([sms()])
    assert outcome.error == ErrorKind.UNREACHABLE


ARRIVED = {"MessageSid": "SM1", "From": "+4915112345678", "To": "+4930901820", "Body": "Hi", "NumMedia": "0"}


@pytest.mark.parametrize(
    "call",
    [
        Request(URL, "POST", {}, b"", ARRIVED),
        called(ARRIVED, token="other"),
        called(ARRIVED, url="https://eml.example/hooks/2/sms/"),
        Request(URL, "POST", called(ARRIVED).headers, b"", ARRIVED | {"Body": "altered"}),
        Request(URL, "POST", {"x-twilio-signature": "\xff"}, b"", ARRIVED),
    ],
    ids=["missing", "foreign", "of another address", "altered", "junk"],
)
def test_b70_call_without_a_good_signature_is_refused(call: Request) -> None:
    with pytest.raises(SignatureWrong):
        gateway().receive(call)


def test_b70_without_a_token_nothing_is_believed() -> None:
    with pytest.raises(SignatureWrong):
        Twilio({}, {}).receive(called(ARRIVED, token=""))


def test_signature_may_name_the_port() -> None:
    call = called(ARRIVED, url="https://eml.example:443/hooks/1/sms/")
    assert len(gateway().receive(call)) == 1


def test_message_that_arrives() -> None:
    assert gateway().receive(called(ARRIVED)) == [
        Arrival(id="SM1", sender="+4915112345678", to="+4930901820", text="Hi")
    ]


def test_b70_media_are_named_and_not_fetched() -> None:
    form = ARRIVED | {
        "NumMedia": "1",
        "MediaUrl0": "http://169.254.169.254/secret",
        "MediaContentType0": "image/png",
    }
    (arrival,) = gateway().receive(called(form))
    assert arrival.text == "Hi\n[image/png]"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [("delivered", "", "delivered"), ("undelivered", "30003", "bounced"), ("undelivered", "30008", "failed"),
     ("failed", "30007", "failed")],
)  # fmt: skip
def test_status_of_a_message(status: str, code: str, kind: str) -> None:
    (notice,) = gateway().receive(called({"MessageSid": "SM1", "MessageStatus": status, "ErrorCode": code}))
    detail = f"error {code}" if code else ""
    assert notice == Notice(id=f"SM1:{status}", provider_id="SM1", kind=kind, detail=detail)


@pytest.mark.parametrize("status", ["queued", "sent", "accepted", "something new"])
def test_status_on_the_way_is_no_news(status: str) -> None:
    assert gateway().receive(called({"MessageSid": "SM1", "MessageStatus": status})) == []


def test_signed_call_without_an_id_is_malformed() -> None:
    with pytest.raises(CallMalformed):
        gateway().receive(called({"MessageStatus": "delivered"}))


def test_countries_must_exist() -> None:
    given = {"account_sid": ACCOUNT, "auth_token": "x", "sender": "+4930901820", "countries": ["DE", "XX"]}
    with pytest.raises(Wrong, match="XX"):
        complete(Twilio.FIELDS, given)
