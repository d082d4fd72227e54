"""Cases B07, B08, B10, B11, B13, B14, B16, B32, B35: what a field may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.models import Event

from .conftest import refused

pytestmark = pytest.mark.django_db
WRONG: list[Any] = [True, "1", 1.0, [1], {"$gt": ""}, None]
NAUGHTY = [
    "undefined", "NULL", "0", "1/0", "1E+02", "-Infinity", "0xabad1dea", "123456789012345678901234567890",
    " ,./;'[]\\-=", "<>?:\"{}|_+", "!@#$%^&*()`~", "\x01\x02\x7f\x80\x9f", "\t\x0b\x0c \x85\u1680\u2003", "Ω≈ç√∫˜µ≤≥÷",
    "¡™£¢∞§¶•ªº–≠", "⁰⁴⁵₀₁₂", "田中さんにあげて下さい", "ﾟ･✿ヾ╲(｡◕‿◕｡)╱✿･ﾟ", "👾 🙇 💁 🙅", "🇺🇸🇷🇺🇸", "１２３", "١٢٣",
    "ثم نفس سقطت",
    "\u202etest\u202c", "test\u2060test\u200b", "Ṱ̺̺̕o͞ ̷i̲̬͇̪͙n̝̗͕v̟̜̘̦͟o̶̙̰̠kè͚̮̺̪̹̱̤", "ʇunpᴉpᴉɔuᴉ", "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "' OR 1=1 -- 1", "1;DROP TABLE users", "-", "--help",
    "$(touch /tmp/x)", "`id`", "../../../etc/passwd", "{{ 7*7 }}", "{% debug %}", "%s%s%n", "${x}", "%00", "eval(1)",
    "\ufeffbom", "  leading and trailing  ", "line\r\nbreak", "\u00e9 and e\u0301", "İ ı ß ﬁ", "\U0010ffff \ufffe",
]  # fmt: skip


def send(api: APIClient, **fields: Any) -> Any:
    return api.post("/api/v1/fields/", fields)


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", ["number", "big", "event"])
def test_b08_integer_or_id_in_another_type(api: APIClient, name: str, value: Any) -> None:
    body = refused(send(api, **{name: value}), 400)
    assert set(body["fields"]) == {name}


@pytest.mark.parametrize("value", [1, 1.5, True, ["x"], {"$gt": ""}, None])
@pytest.mark.parametrize("name", ["text", "line", "mail", "zone", "uid", "at", "choice"])
def test_b08_text_in_another_type(api: APIClient, name: str, value: Any) -> None:
    body = refused(send(api, **{name: value}), 400)
    assert set(body["fields"]) == {name}


@pytest.mark.parametrize("value", [1, 0, "true", "on", "", None, []])
def test_b08_boolean_in_another_type(api: APIClient, value: Any) -> None:
    refused(send(api, flag=value), 400)


@pytest.mark.parametrize("value", [True, "1.0", [], None])
def test_b08_float_in_another_type(api: APIClient, value: Any) -> None:
    refused(send(api, share=value), 400)


def test_b08_the_right_types(api: APIClient, events: list[Event]) -> None:
    data = {"number": -5, "share": 1, "flag": False, "choice": "1", "event": events[0].pk, "free": {"a": [1]}}
    assert send(api, **data).json() == data | {"hidden": "h"}


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_b07_integer_beyond_32_bits(api: APIClient, value: int) -> None:
    refused(send(api, number=value), 400)
    assert send(api, big=2**31).json()["big"] == 2**31


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1])
def test_b08_id_of_nothing(api: APIClient, value: int) -> None:
    refused(send(api, event=value), 400, "does_not_exist")


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "{0}",
        "urn:uuid:12345678-1234-5678-1234-567812345678",
        "12345678123456781234567812345678",
        "z" * 36,
        "-" * 36,
    ],
)
def test_b08_uuid_in_another_spelling(api: APIClient, value: str) -> None:
    refused(send(api, uid=value), 400)


@pytest.mark.parametrize("value", [[], "x", 1, {"a": "x" * 1_000}])
def test_b08_free_json_is_a_small_object(api: APIClient, value: Any) -> None:
    refused(send(api, free=value), 400)


@pytest.mark.parametrize(
    "name",
    ["role", "is_staff", "team", "assignee", "seq", "id", "created_at", "server", "hidden", "__class__"],
)
def test_b10_unknown_or_server_owned_field(api: APIClient, name: str) -> None:
    body = refused(api.post("/api/v1/fields/", {"text": 1, name: "x"}), 400, "unknown_field")
    assert set(body["fields"]) == {name}


def test_b10_many_and_long_names_make_no_large_answer(api: APIClient) -> None:
    response = api.post("/api/v1/fields/", {f"{n}{'x' * 500}": 1 for n in range(1_000)})
    refused(response, 400, "unknown_field")
    assert len(response.content) < 10_000


def test_b11_patch(api: APIClient, events: list[Event]) -> None:
    event = events[0]
    refused(api.patch(f"/api/v1/events/{event.pk}/", {"id": 7}), 400, "unknown_field")
    assert api.patch(f"/api/v1/events/{event.pk}/", {}).status_code == 200
    assert Event.objects.values().get(pk=event.pk) == Event.objects.filter(pk=event.pk).values()[0]
    assert Event.objects.get(pk=event.pk).type == event.type


@pytest.mark.parametrize("value", NAUGHTY)
def test_b13_naughty_text_comes_back_byte_for_byte(api: APIClient, value: str) -> None:
    key, at = {"HTTP_IDEMPOTENCY_KEY": "k"}, "2026-01-01T00:00:00Z"
    data = {"type": "t", "stream": "s", "actor": "a", "at": at, "payload": {value: value}}
    created = api.post("/api/v1/events/", data, **key).json()
    assert api.get(f"/api/v1/events/{created['id']}/").json()["payload"] == {value: value}
    if value.strip():
        assert send(api, text=value).json()["text"] == value


@pytest.mark.parametrize("value", ["", " ", "\t\r\n", "\u2003"])
def test_b13_nothing_but_space_is_blank(api: APIClient, value: str) -> None:
    refused(send(api, text=value), 400, "blank")


def test_b14_length_in_code_points_and_bytes(api: APIClient) -> None:
    assert send(api, text="e" + "\u0301" * 4_000).status_code == 200
    refused(send(api, text="e" + "\u0301" * 10_000), 400)
    refused(send(api, text="x" * 5_001), 400, "max_length")
    refused(send(api, text="👩‍👩‍👧‍👦" * 500), 400, "max_bytes")


@pytest.mark.parametrize("value", ["a\r\nBcc: x@y.z", "a\n", "\x00", "a\x85b", "a\u2028b", "a\x1b[31m"])
def test_b16_line_breaks_where_one_line_belongs(api: APIClient, value: str) -> None:
    refused(send(api, line=value), 400)
    refused(send(api, mail=f"a@example.org{value}"), 400)


@pytest.mark.parametrize(
    "value",
    [
        "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z", "2026-01-01T12:00:00", "2026-01-01",
        "10000-01-01T00:00:00Z", "",
        "now", "2026-01-01T00:00:00+99:99", "٢٠٢٦-01-01T00:00:00Z", "1" * 5_000, "1899-12-31T00:00:00Z",
    ],
)  # fmt: skip
def test_b32_moments_that_are_none(api: APIClient, value: str) -> None:
    assert set(refused(send(api, at=value), 400)["fields"]) == {"at"}


def test_b32_moment_with_offset_is_kept_in_utc(api: APIClient) -> None:
    assert send(api, at="2026-07-01T12:00:00+02:00").json()["at"] == "2026-07-01T10:00:00Z"


@pytest.mark.parametrize(
    "value", ["Europe/Foo", "UTC+2", "../../etc/passwd", "", "x" * 10_000, "europe/berlin", "Europe/Berlin\n"]
)
def test_b35_zones_that_are_none(api: APIClient, value: str) -> None:
    refused(send(api, zone=value), 400)


def test_b35_zone(api: APIClient) -> None:
    assert send(api, zone="Europe/Berlin").json()["zone"] == "Europe/Berlin"


def test_answer_quotes_little_of_a_long_wrong_value(api: APIClient) -> None:
    for name in ("choice", "uid", "event", "zone", "mail", "at"):
        response = send(api, **{name: "x" * 100_000})
        refused(response, 400)
        assert len(response.content) < 2_000, name
    assert json.loads(send(api, choice="a").content)["choice"] == "a"
