"""A provider set up by hand: the body is filled from an allow-list, and its answer is read as told."""

from __future__ import annotations

import json

import pytest

from apps.notifications.choices import ErrorKind
from apps.notifications.gateways import Outgoing, Request, SignatureWrong, net
from apps.notifications.gateways.fields import Wrong, complete
from apps.notifications.gateways.http import HTTP

from .local import Reply, Server

BODY = {"to": "{to}", "messages": [{"text": "{text}", "from": "{from}"}], "ref": "x-{key}", "n": 1}


def gateway(server: Server, **options) -> HTTP:
    options = {"url": f"{server.url}/send", "body": BODY, "sender": "Shop", "id_path": "data.0.id"} | options
    return HTTP(options, {"headers": {"Authorization": "Bearer s3cret"}}, caller=net.Caller(seconds=2))


def message(**more) -> Outgoing:
    return Outgoing(**{"delivery": 5, "key": "eml-5", "to": "+491701234567", "text": 'Hi "you" {to}'} | more)


def test_body_is_filled_and_the_id_is_read(serve) -> None:
    server = serve(lambda call: Reply(202, b'{"data": [{"id": 77}]}'))
    (outcome,) = gateway(server).send([message()])
    (call,) = server.calls
    assert (call.method, call.path, call.headers["authorization"]) == ("POST", "/send", "Bearer s3cret")
    assert call.json == {
        "to": "+491701234567",
        # What the text says is text.
        "messages": [{"text": 'Hi "you" {to}', "from": "Shop"}],
        "ref": "x-eml-5",
        "n": 1,
    }
    assert (outcome.error, outcome.provider_id) == (None, "77")


@pytest.mark.parametrize(
    "body", [b"", b"not json", b'{"data": []}', b'{"data": [{"id": {}}]}', b"[" * 100_000]
)
def test_answer_without_an_id_went_out_all_the_same(serve, body: bytes) -> None:
    (outcome,) = gateway(serve(lambda call: Reply(200, body))).send([message()])
    assert (outcome.error, outcome.provider_id) == (None, "")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, ErrorKind.RATE_LIMITED), (401, ErrorKind.TEMPORARY), (302, ErrorKind.TEMPORARY),
     (500, ErrorKind.TEMPORARY), (400, ErrorKind.PERMANENT), (422, ErrorKind.PERMANENT)],
)  # fmt: skip
def test_status_says_what_follows(serve, status: int, kind: ErrorKind) -> None:
    (outcome,) = gateway(serve(lambda call: Reply(status))).send([message()])
    assert (outcome.error, outcome.detail) == (kind, f"HTTP {status}")


def test_answer_that_breaks_off_leaves_the_outcome_unknown(serve) -> None:
    server = serve(lambda call: Reply(raw=lambda wire: None))
    (outcome,) = gateway(server).send([message()])
    assert outcome.error == ErrorKind.UNKNOWN


def test_b68_provider_inside_is_not_called(serve, settings) -> None:
    server = serve()
    settings.OUTGOING_HOSTS = frozenset()
    (outcome,) = gateway(server).send([message()])
    assert outcome.error == ErrorKind.UNREACHABLE
    assert server.calls == []


GOOD = {"url": "https://sms.example.com/send", "body": {"to": "{to}"}}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://127.0.0.1/"), ("url", "ftp://example.com/"), ("url", "https://a:b@example.com/"),
        ("body", ["{to}"]), ("body", {"x": "{secret}"}), ("body", {"x": ["{settings}"]}),
        ("headers", {"Bad Name": "x"}), ("headers", {"X": "a\r\nY: b"}), ("headers", {"X": 1}),
        ("id_path", "a..b"), ("id_path", "a[0]"), ("url", ""),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_at_their_field(field: str, value: object) -> None:
    with pytest.raises(Wrong) as told:
        complete(HTTP.FIELDS, GOOD | {field: value})
    assert told.value.field == field
    assert str(told.value)


def test_settings_left_out_get_their_defaults() -> None:
    made = complete(HTTP.FIELDS, GOOD)
    assert (made["method"], made["headers"], made["id_path"]) == ("POST", {}, "")
    json.dumps(made)


def test_nobody_calls_back() -> None:
    with pytest.raises(SignatureWrong):
        HTTP(GOOD, {}).receive(Request("http://x/", "POST", {}, b"", {}))
