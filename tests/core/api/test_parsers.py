"""Cases B01, B02, B12, B15, B16: what a request body may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.models import Event, IdempotencyKey

from .conftest import refused

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true"])
def test_b01_top_level_is_no_object(post_raw: Callable[..., Any], body: bytes) -> None:
    refused(post_raw(body), 400, "not_an_object")


def test_b01_empty_body_where_fields_are_needed(api: APIClient) -> None:
    response = api.generic("POST", "/api/v1/events/", b"", "application/json", HTTP_IDEMPOTENCY_KEY="k")
    body = refused(response, 400, "required")
    assert {"type", "stream", "actor", "at"} == set(body["fields"])
    assert not Event.objects.exists()
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("body", [b" ", b"{", b"{}x", b'{"text":'])
def test_b02_body_is_not_json(post_raw: Callable[..., Any], body: bytes) -> None:
    refused(post_raw(body), 400, "not_json")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"free":' + b"[" * 100_000, "too_deep"),
        (rb'{"free":{"a":"\u0000"}}', "bad_character"),
        (rb'{"free":{"\ud800":1}}', "bad_character"),
        (b'{"share":NaN}', "bad_number"),
        (b'{"free":{"n":' + b"9" * 4_000 + b"}}", "bad_number"),
        (b'{"flag":true,"flag":false}', "duplicate_key"),
        (b"\xef\xbb\xbf{}", "not_utf8"),
    ],
)
def test_b03_to_b07_codes_reach_the_client(post_raw: Callable[..., Any], body: bytes, code: str) -> None:
    refused(post_raw(body), 400, code)


def test_b12_limit_plus_one(post_raw: Callable[..., Any], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert post_raw(b'{"text":"' + b"a" * 989 + b'"}').status_code == 200
    refused(post_raw(b'{"text":"' + b"a" * 990 + b'"}'), 413, "too_large")


def test_b12_length_that_is_not_said_or_understated_is_no_way_around(
    post_raw: Callable[..., Any], settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    refused(post_raw(b"{" + b" " * 5000 + b"}", CONTENT_LENGTH="3"), 400, "not_json")
    refused(post_raw(b"{}", HTTP_TRANSFER_ENCODING="chunked"), 400, "length_required")


@pytest.mark.parametrize("charset", ["bogus", "utf-16", "latin-1", "us-ascii"])
def test_b15_charset(post_raw: Callable[..., Any], charset: str) -> None:
    refused(post_raw(b"{}", f"application/json; charset={charset}"), 415)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=UTF-8", 'Application/JSON; charset="utf8"'],
)
def test_b15_utf8_however_spelled(post_raw: Callable[..., Any], content_type: str) -> None:
    assert post_raw('{"text":"äöü"}'.encode(), content_type).json()["text"] == "äöü"


def test_b15_body_in_utf16_or_broken(post_raw: Callable[..., Any]) -> None:
    refused(post_raw('{"text":"x"}'.encode("utf-16")), 400, "not_utf8")
    refused(post_raw(b'{"text":"\xff"}'), 400, "not_utf8")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "*/*;;",
        "application/json5",
    ],
)
def test_b16_only_json_is_json(post_raw: Callable[..., Any], content_type: str) -> None:
    refused(post_raw(b'{"text":"x"}', content_type), 415, "unsupported_media_type")
