"""Limits: exact under concurrency, open or closed on purpose when the cache is dead."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.utils.connection import ConnectionProxy
from rest_framework.test import APIClient

from apps.core.api import throttles

from .conftest import refused
from .test_idempotency import at_once


@pytest.fixture(autouse=True)
def _rates(settings: Any) -> None:
    rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] | {"caller": "3/min", "login": "2/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}


@pytest.fixture
def dead_cache(monkeypatch: Any) -> list[str]:
    calls: list[str] = []

    def incr(*args: Any, **kwargs: Any) -> int:
        calls.append("incr")
        raise ConnectionError

    monkeypatch.setattr(throttles, "cache", type("Dead", (), {"incr": staticmethod(incr)}))
    return calls


def get(api: APIClient, **extra: Any) -> Any:
    return api.get("/api/v1/limited/", **extra)


def test_h11_limit_then_429_until_the_next_window(api: APIClient) -> None:
    with time_machine.travel("2026-01-01T00:00:10Z", tick=False) as clock:
        assert [get(api).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        response = get(api)
        refused(response, 429, "rate_limited")
        assert response["Retry-After"] == "50"
        clock.shift(50)
        assert get(api).status_code == 200


def test_h11_callers_are_counted_apart(api: APIClient) -> None:
    with time_machine.travel("2026-01-01T00:00:10Z", tick=False):
        for extra in (
            {"HTTP_X_TEST_CALLER": "5"},
            {"HTTP_X_TEST_CALLER": "6"},
            {},
            {"REMOTE_ADDR": "10.0.0.9"},
        ):
            assert [get(api, **extra).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_h11_forged_address_and_neighbouring_ipv6_are_the_same_caller(api: APIClient) -> None:
    with time_machine.travel("2026-01-01T00:00:10Z", tick=False):
        forged = [get(api, HTTP_X_FORWARDED_FOR=f"10.1.1.{n}").status_code for n in range(4)]
        ipv6 = [get(api, REMOTE_ADDR=f"2001:db8::{n}").status_code for n in range(1, 5)]
        assert forged == ipv6 == [200, 200, 200, 429]
        assert get(api, REMOTE_ADDR="2001:db8:0:1::1").status_code == 200


def test_z33_twenty_at_once_get_through_as_often_as_allowed() -> None:
    with time_machine.travel("2026-01-01T00:00:10Z", tick=False):
        statuses = at_once(20, lambda: get(APIClient()).status_code)
    assert sorted(statuses) == [200] * 3 + [429] * 17


def test_f14_dead_cache_leaves_the_api_open_and_is_not_asked_each_time(
    api: APIClient, dead_cache: list[str]
) -> None:
    assert [get(api).status_code for _ in range(5)] == [200] * 5
    assert len(dead_cache) == 1


def test_f14_dead_cache_closes_login(api: APIClient, dead_cache: list[str]) -> None:
    response = api.get("/api/v1/login/")
    refused(response, 503, "unavailable")
    assert response["Retry-After"]


def test_f14_cache_that_is_back_is_used_again(
    api: APIClient, dead_cache: list[str], monkeypatch: Any
) -> None:
    get(api)
    monkeypatch.setattr(throttles, "cache", cache)
    assert isinstance(cache, ConnectionProxy)
    monkeypatch.setattr(throttles, "_dead_until", 0.0)
    assert [get(api).status_code for _ in range(4)].count(200) in {3, 4}
    assert cache.get("x") is None


@pytest.mark.parametrize(
    ("throttle", "scope", "is_open"),
    [
        (throttles.PerCaller, "caller", True),
        (throttles.ChatStart, "chat-start", True),
        (throttles.ChatWrite, "chat-write", True),
        (throttles.Upload, "upload", False),
        (throttles.Login, "login", False),
    ],
)
def test_h11_every_scope_has_a_rate(throttle: Any, scope: str, is_open: bool) -> None:
    made = throttle()
    assert (made.scope, made.is_open_without_cache) == (scope, is_open)
    assert made.num_requests > 0
    assert made.duration > 0
