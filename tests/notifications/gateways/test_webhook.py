"""Webhooks go out signed after the Standard Webhooks scheme, and one receiver's trouble is his own."""

from __future__ import annotations

import threading

import pytest

from apps.notifications.choices import ErrorKind
from apps.notifications.gateways import Outgoing, Request, SignatureWrong, net
from apps.notifications.gateways.webhook import Webhook, signature

from .local import Reply

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def event(to: str, number: int = 1, secrets: tuple[str, ...] = (SECRET,), text: str = '{"a": 1}') -> Outgoing:
    return Outgoing(delivery=number, key=f"eml-{number}", to=to, text=text, extra={"secrets": secrets})


def test_signature_is_the_one_of_the_scheme() -> None:
    """The example of the Standard Webhooks documentation."""
    signed = signature.signature(
        SECRET,
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_new_secret_is_one_of_the_scheme() -> None:
    first, second = signature.new_secret(), signature.new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(signature._key(first)) == 32


def test_receiver_gets_the_body_with_id_time_and_signatures(serve) -> None:
    server = serve()
    secrets = (signature.new_secret(), SECRET)
    (outcome,) = Webhook({}, {}).send([event(server.url, secrets=secrets, text='{"ö": "ü"}')])
    (call,) = server.calls
    assert outcome.error is None
    assert (call.method, call.json) == ("POST", {"ö": "ü"})
    timestamp = int(call.headers["webhook-timestamp"])
    expected = [
        signature.signature(secret, message_id="eml-1", timestamp=timestamp, body=call.body)
        for secret in secrets
    ]
    assert call.headers["webhook-id"] == "eml-1"
    assert call.headers["webhook-signature"].split(" ") == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None), (204, None), (301, ErrorKind.TEMPORARY), (307, ErrorKind.TEMPORARY),
        (400, ErrorKind.TEMPORARY), (404, ErrorKind.TEMPORARY), (410, ErrorKind.PERMANENT),
        (429, ErrorKind.TEMPORARY), (500, ErrorKind.TEMPORARY), (503, ErrorKind.TEMPORARY),
    ],
)  # fmt: skip
def test_b69_answer_decides_about_the_next_attempt(serve, status: int, kind: ErrorKind | None) -> None:
    server = serve(lambda call: Reply(status, headers={"retry-after": "30"}))
    (outcome,) = Webhook({}, {}).send([event(server.url)])
    assert outcome.error == kind
    if status in (429, 503):
        assert outcome.retry_after == 30


def test_b68_receiver_inside_is_not_called(serve, settings) -> None:
    server = serve()
    settings.OUTGOING_HOSTS = frozenset()
    (outcome,) = Webhook({}, {}).send([event(server.url)])
    assert (outcome.error, outcome.detail) == (ErrorKind.TEMPORARY, "not called: port")
    assert server.calls == []


def test_l08_silent_receiver_is_asked_once_and_the_others_do_not_wait(serve) -> None:
    released = threading.Event()
    silent = serve(lambda call: (released.wait(20), Reply())[1])
    good = serve()
    gateway = Webhook({}, {}, caller=net.Caller(seconds=0.5))
    batch = [event(silent.url, number) for number in (1, 2, 3)] + [event(good.url, 4)]
    outcomes = gateway.send(batch)
    assert next(outcomes).delivery == 4
    rest = list(outcomes)
    released.set()
    assert {outcome.error for outcome in rest} == {ErrorKind.TEMPORARY}
    assert len(silent.calls) == 1


def test_secret_that_is_none_fails_for_good(serve) -> None:
    (outcome,) = Webhook({}, {}).send([event(serve().url, secrets=("whsec_***",))])
    assert outcome.error == ErrorKind.PERMANENT


def test_nobody_calls_the_webhook_gateway() -> None:
    with pytest.raises(SignatureWrong):
        Webhook({}, {}).receive(Request("http://x/", "POST", {}, b"", {}))
