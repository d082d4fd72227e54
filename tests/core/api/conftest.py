from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from apps.core.api import throttles
from apps.core.models import Event

BODY_KEYS = {"type", "code", "detail", "fields", "request_id"}
MIDDLEWARE = [
    "apps.core.middleware.RequestIdMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]


@pytest.fixture(autouse=True)
def _own_api(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.core.api.doors"
    settings.MIDDLEWARE = MIDDLEWARE
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "api"}
    }
    cache.clear()
    throttles._dead_until = 0.0
    yield
    cache.clear()
    throttles._dead_until = 0.0


@pytest.fixture
def api() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.fixture
def post_raw(api: APIClient) -> Callable[..., Any]:
    def post(
        body: bytes, content_type: str = "application/json", path: str = "/api/v1/fields/", **extra: Any
    ) -> Any:
        return api.generic("POST", path, body, content_type=content_type, **extra)

    return post


@pytest.fixture
def events(db: None) -> list[Event]:
    """60 events, three to each moment, so that pages end between equals."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        Event(type=f"t{n % 7}", stream="s", actor="system", at=start + timedelta(seconds=n // 3))
        for n in range(60)
    ]
    return Event.objects.bulk_create(rows)


def refused(response: Any, status: int, code: str | None = None) -> dict[str, Any]:
    """The body of an error, after what holds for every error was checked."""
    assert response.status_code == status, response.content[:500]
    body = response.json()
    assert set(body) == BODY_KEYS
    assert body["request_id"] == response["X-Request-Id"]
    assert body["detail"]
    for secret in ("Traceback", "SELECT ", "/apps/", "django."):
        assert secret not in response.content.decode()
    if code is not None:
        assert body["code"] == code
    return body
