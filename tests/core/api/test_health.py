"""H34: alive, ready, degraded."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError, connection
from django.test import override_settings
from rest_framework.test import APIClient

from apps.core import health


@pytest.fixture(autouse=True)
def _broker_in_memory(monkeypatch: Any) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", "memory://localhost/")
    monkeypatch.setattr(current_app.conf, "broker_write_url", "memory://localhost/")


@pytest.fixture
def no_database(monkeypatch: Any) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection refused at 10.0.0.1 for user eml")

    monkeypatch.setattr(connection, "cursor", fail)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health/", "/health/ready/"])
def test_h34_ready(api: APIClient, path: str) -> None:
    response = api.get(path)
    assert response.json() == {"status": "ok", "checks": {"database": "ok", "cache": "ok", "broker": "ok"}}
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]


def test_h34_alive_without_anything(api: APIClient, no_database: None) -> None:
    assert api.get("/health/live/").json() == {"status": "ok"}


@pytest.mark.django_db
def test_h34_not_ready_without_a_database(api: APIClient, no_database: None) -> None:
    response = api.get("/health/")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert "10.0.0.1" not in response.content.decode()


@pytest.mark.django_db
def test_h34_degraded_without_a_broker(api: APIClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", "amqp://127.0.0.1:1//")
    monkeypatch.setattr(current_app.conf, "broker_write_url", "amqp://127.0.0.1:1//")
    response = api.get("/health/")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "checks": {"database": "ok", "cache": "ok", "broker": "down"},
    }


@pytest.mark.django_db
def test_h34_degraded_without_a_cache(api: APIClient) -> None:
    dead = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    with override_settings(CACHES={"default": dead}):
        assert not health.cache_answers()
        assert api.get("/health/").json()["status"] == "degraded"


def test_h34_only_looking_is_allowed(api: APIClient) -> None:
    assert api.post("/health/live/").status_code == 405
