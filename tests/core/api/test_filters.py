"""Cases B20, B21 and B27: what may stand behind the question mark."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from apps.core.models import Event, Handling

from .conftest import refused

LIST = "/api/v1/events/"
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", "abc"), ("n", "9" * 5_000), ("n", "NaN"), ("n", "1e999"), ("uid", "zzz"), ("after", "zzz"),
        ("after", "10000-01-01"), ("after", "2026-02-30"), ("handled", "maybe"), ("handled", "1"), ("handled", "True"),
    ],
)  # fmt: skip
def test_b20_bad_value_names_its_field(api: APIClient, events: list[Event], name: str, value: str) -> None:
    assert set(refused(api.get(LIST, {name: value}), 400)["fields"]) == {name}


@pytest.mark.parametrize(
    "query", ["type=%00", "type=a%0d%0ab", "n=%00", "cursor=%00", "ordering=%1f", "x%00=1"]
)
def test_b20_control_characters(api: APIClient, query: str) -> None:
    refused(api.get(f"{LIST}?{query}"), 400, "bad_character")


@pytest.mark.parametrize(
    "name", ["q", "team__secret", "type__contains", "id", "x" * 5_000, "%24where", "pk", "format"]
)
def test_b20_unknown_parameter(api: APIClient, events: list[Event], name: str) -> None:
    response = api.get(f"{LIST}?{name}=api")
    refused(response, 400, "unknown_parameter")
    assert len(response.content) < 1_000
    refused(api.get(f"{LIST}{events[0].pk}/?{name}=api"), 400, "unknown_parameter")


def test_b20_large_number_finds_nothing(api: APIClient, events: list[Event]) -> None:
    for number in (2**31, 2**63, 10**30):
        assert api.get(LIST, {"n": number}).json()["results"] == []


def test_filters_filter(api: APIClient, events: list[Event]) -> None:
    Handling.objects.create(event=events[3], subscriber="x", stream="s", due_at=events[3].at)
    assert {row["type"] for row in api.get(LIST, {"type": "t3"}).json()["results"]} == {"t3"}
    assert [row["id"] for row in api.get(LIST, {"handled": "true"}).json()["results"]] == [events[3].pk]
    assert len(api.get(LIST, {"handled": "false", "page_size": 100}).json()["results"]) == 59
    assert len(api.get(LIST, {"handled": "", "page_size": 100}).json()["results"]) == 60
    assert len(api.get(LIST, {"after": "2026-01-01T00:00:18Z"}).json()["results"]) == 3


@pytest.mark.parametrize(
    "value", ["x", "-password", "id;x", "team__secret", "--at", "?", "", "at,type", "AT", "payload__a"]
)
def test_b21_ordering(api: APIClient, events: list[Event], value: str) -> None:
    assert set(refused(api.get(LIST, {"ordering": value}), 400)["fields"]) == {"ordering"}


def test_b21_no_ordering_where_none_is_offered(api: APIClient) -> None:
    refused(api.get("/api/v1/others/", {"ordering": "at"}), 400, "unknown_parameter")


def test_b21_allowed_ordering(api: APIClient, events: list[Event]) -> None:
    types = [row["type"] for row in api.get(LIST, {"ordering": "type"}).json()["results"]]
    assert types == sorted(types)


def test_b27_accept(api: APIClient, events: list[Event]) -> None:
    for accept in ("text/html", "application/xml", ";;;"):
        refused(api.get(LIST, HTTP_ACCEPT=accept), 406)
    for accept in ("*/*", "application/json", "text/html,*/*;q=0.1"):
        assert api.get(LIST, HTTP_ACCEPT=accept)["Content-Type"] == "application/json"
