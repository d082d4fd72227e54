"""Cases B18 and B19: pages, and cursors that were tampered with."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from apps.core.api.pagination import CursorPages
from apps.core.models import Event, IdempotencyKey

from .conftest import refused

LIST = "/api/v1/events/"


def walk(api: APIClient, url: str | None, link: str = "next") -> list[list[int]]:
    pages = []
    while url:
        body = api.get(url).json()
        assert set(body) == {"next", "previous", "results"}
        pages.append([row["id"] for row in body["results"]])
        url = body[link]
    return pages


def cursor_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["cursor"][0]


@pytest.mark.parametrize("path", [LIST, f"{LIST}raw/"])
@pytest.mark.parametrize("size", [1, 7, 25, 60, 100])
def test_pages_hold_every_row_once_in_order(
    api: APIClient, events: list[Event], path: str, size: int
) -> None:
    pages = walk(api, f"{path}?page_size={size}")
    expected = [event.pk for event in sorted(events, key=lambda event: (event.at, event.pk), reverse=True)]
    assert [pk for page in pages for pk in page] == expected
    assert all(len(page) == size for page in pages[:-1])


@pytest.mark.parametrize("ordering", ["at", "-at", "type", "-type"])
def test_pages_back_are_the_pages_there(api: APIClient, events: list[Event], ordering: str) -> None:
    there = walk(api, url := f"{LIST}?page_size=9&ordering={ordering}")
    body = api.get(url).json()
    while body["next"]:
        body = api.get(last := body["next"]).json()
    assert walk(api, last, "previous") == there[::-1]


def test_rows_that_arrive_meanwhile_shift_nothing(api: APIClient, events: list[Event]) -> None:
    first = api.get(f"{LIST}?page_size=10").json()
    Event.objects.create(type="t", stream="s", actor="a", at=events[-1].at + timedelta(days=1))
    Event.objects.filter(pk=first["results"][-1]["id"]).delete()
    rest = walk(api, first["next"])
    assert sum(map(len, rest)) == 50
    assert not {row["id"] for row in first["results"]} & {pk for page in rest for pk in page}


def test_filters_stay_in_the_links(api: APIClient, events: list[Event]) -> None:
    pages = walk(api, f"{LIST}?type=t0&page_size=4")
    assert [len(page) for page in pages] == [4, 4, 1]


def test_default_is_25_rows_one_query_and_no_count(api: APIClient, events: list[Event]) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert len(api.get(LIST).json()["results"]) == 25
    assert len(queries) == 1
    assert "COUNT" not in queries[0]["sql"].upper()


@pytest.mark.parametrize(
    "value", ["0", "-1", "101", "1" + "0" * 30, "9" * 5_000, "٢٥", "1.0", "x", "", "+5", " 5", "1e1", "%00"]
)
def test_b18_page_size(api: APIClient, events: list[Event], value: str) -> None:
    refused(api.get(f"{LIST}?page_size={value.replace('+', '%2B')}"), 400)


@pytest.mark.parametrize("name", ["page", "offset", "limit"])
def test_b18_other_ways_to_page(api: APIClient, events: list[Event], name: str) -> None:
    refused(api.get(f"{LIST}?{name}=1000000000"), 400, "unknown_parameter")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "p=abc",
        "p=\0",
        "o=10000000000000000000",
        "é",
        "a:b:c",
        ":::",
        "=" * 50,
        "x" * 5_000,
        "٣",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ],
)
def test_b19_junk_cursor(api: APIClient, events: list[Event], cursor: str) -> None:
    refused(api.get(LIST, {"cursor": cursor}), 400)
    refused(api.get(LIST, {"cursor": b64encode(cursor.encode()).decode()}), 400, "invalid_cursor")


def test_b19_tampered_cursor(api: APIClient, events: list[Event]) -> None:
    good = cursor_in(api.get(f"{LIST}?page_size=5").json()["next"])
    assert api.get(LIST, {"cursor": good}).status_code == 200
    for at in range(0, len(good), 7):
        changed = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        refused(api.get(LIST, {"cursor": changed}), 400, "invalid_cursor")


def test_b19_cursor_of_another_list_or_ordering(api: APIClient, events: list[Event]) -> None:
    good = cursor_in(api.get(f"{LIST}?page_size=5").json()["next"])
    refused(api.get("/api/v1/others/", {"cursor": good}), 400, "invalid_cursor")
    refused(api.get(LIST, {"cursor": good, "ordering": "type"}), 400, "invalid_cursor")


def test_b19_signed_cursor_from_another_version(api: APIClient, events: list[Event]) -> None:
    cursor = signing.dumps([0, "not a moment", "x"], salt=f"eml.cursor:{LIST}:-at,-pk")
    refused(api.get(LIST, {"cursor": cursor}), 400, "invalid_cursor")


def test_ordering_by_what_may_be_null_is_refused_at_development() -> None:
    class View:
        ordering = ("status",)

    request = Request(APIRequestFactory().get("/"))
    with pytest.raises(ImproperlyConfigured):
        CursorPages().paginate_queryset(IdempotencyKey.objects.all(), request, View())


def test_page_of_nothing(api: APIClient, db: Any) -> None:
    assert api.get(LIST).json() == {"next": None, "previous": None, "results": []}
