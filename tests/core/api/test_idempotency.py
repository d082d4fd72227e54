"""Case B24 and promise P13: creating calls that are repeated."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from apps.core.api.idempotency import delete_old_keys
from apps.core.models import Event, IdempotencyKey

from .conftest import refused

LIST = "/api/v1/events/"
DATA = {"type": "t", "stream": "s", "actor": "a", "at": "2026-01-01T00:00:00Z", "payload": {"b": 1, "a": [2]}}


def post(api: APIClient, key: str | None = "k", data: dict[str, Any] | None = None, caller: str = "5") -> Any:
    headers = {} if key is None else {"HTTP_IDEMPOTENCY_KEY": key}
    return api.post(LIST, data or DATA, HTTP_X_TEST_CALLER=caller, **headers)


@pytest.mark.django_db
class TestOneAfterTheOther:
    def test_b24_key_is_required(self, api: APIClient) -> None:
        refused(post(api, key=None), 400, "idempotency_key_required")
        assert not Event.objects.exists()

    @pytest.mark.parametrize("key", ["", "x" * 201, "x" * 300, "a b", "ä", "a\tb", "\x7f"])
    def test_b24_key_of_a_wrong_form(self, api: APIClient, key: str) -> None:
        refused(post(api, key), 400, "idempotency_key_invalid")

    def test_b24_same_request_again_is_answered_not_done(self, api: APIClient) -> None:
        first, again = post(api, "x" * 200), post(api, "x" * 200)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert ("Idempotent-Replayed" in first, again["Idempotent-Replayed"]) == (False, "true")
        assert Event.objects.count() == IdempotencyKey.objects.count() == 1

    def test_b24_other_spelling_of_the_same_body_is_the_same_request(self, api: APIClient) -> None:
        post(api)
        assert post(api, data=dict(reversed(DATA.items())))["Idempotent-Replayed"] == "true"

    def test_b24_same_key_other_body(self, api: APIClient) -> None:
        post(api)
        refused(post(api, data=DATA | {"actor": "b"}), 422, "idempotency_key_reused")
        assert Event.objects.count() == 1

    def test_b24_keys_belong_to_their_caller(self, api: APIClient) -> None:
        first, other = post(api, caller="5"), post(api, caller="6")
        assert first.json()["id"] != other.json()["id"]

    @pytest.mark.parametrize(("kind", "status"), [("refuse", 409), ("answer-409", 409)])
    def test_b24_error_leaves_neither_effect_nor_key(self, api: APIClient, kind: str, status: int) -> None:
        assert post(api, data=DATA | {"type": kind}).status_code == status
        assert not Event.objects.exists()
        assert not IdempotencyKey.objects.exists()
        assert post(api).status_code == 201

    def test_b24_invalid_body_does_not_use_up_the_key(self, api: APIClient) -> None:
        refused(post(api, data=DATA | {"role": "admin"}), 400, "unknown_field")
        assert post(api).status_code == 201

    def test_p13_keys_are_forgotten_after_24_hours(self, api: APIClient) -> None:
        now = timezone.now()
        post(api, "young")
        post(api, "old")
        IdempotencyKey.objects.filter(key="young").update(created_at=now - timedelta(hours=23, minutes=59))
        IdempotencyKey.objects.filter(key="old").update(created_at=now - timedelta(hours=24, seconds=1))
        assert delete_old_keys(now) == 1
        assert delete_old_keys(now) == 0
        assert IdempotencyKey.objects.get().key == "young"


def at_once(count: int, work: Any) -> list[Any]:
    """The answers of `count` threads that start together."""
    barrier, answers = threading.Barrier(count), []

    def run() -> None:
        try:
            barrier.wait(10)
            answers.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


@pytest.mark.django_db(transaction=True)
def test_b24_twice_at_once_makes_one_row() -> None:
    for round_number in range(5):
        answers = at_once(
            4, lambda key=f"k{round_number}": post(APIClient(raise_request_exception=False), key)
        )
        assert len(answers) == 4
        done = [answer.json() for answer in answers if answer.status_code == 201]
        busy = [answer.json()["code"] for answer in answers if answer.status_code != 201]
        assert done
        assert all(body == done[0] for body in done)
        assert set(busy) <= {"in_progress"}
        assert Event.objects.count() == round_number + 1


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_b24_twin_of_a_slow_request_is_told_so_in_time(monkeypatch: Any) -> None:
    """On PostgreSQL the second waits at most lock_timeout for the first."""
    from .doors import EventView

    entered, leave, plain = threading.Event(), threading.Event(), EventView.perform_create

    def slowly(view: Any, serializer: Any) -> None:
        plain(view, serializer)
        entered.set()
        leave.wait(20)

    monkeypatch.setattr(EventView, "perform_create", slowly)
    first: list[Any] = []
    thread = threading.Thread(target=lambda: (first.append(post(APIClient())), connection.close()))
    thread.start()
    try:
        assert entered.wait(10)
        second = post(APIClient(raise_request_exception=False))
    finally:
        leave.set()
        thread.join(20)
    refused(second, 409, "in_progress")
    assert second["Retry-After"] == "1"
    assert first[0].status_code == 201
    assert post(APIClient()).json() == first[0].json()
