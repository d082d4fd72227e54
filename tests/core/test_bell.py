"""The doorbell never makes anybody wait, and never fails anybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from apps.core import bell, tasks


@pytest.fixture
def rings(monkeypatch) -> list[float]:
    """A bell of its own, and when it was heard."""
    heard: list[float] = []
    monkeypatch.setattr(bell, "_thread", None)
    monkeypatch.setattr(bell, "_rung", threading.Event())
    _answer(monkeypatch, lambda: heard.append(time.monotonic()))
    return heard


def _answer(monkeypatch, ring: Callable[[], object]) -> None:
    """What happens when this test's bell is heard; threads of earlier tests may still be about to say something."""

    def apply_async(**options: object) -> None:
        if threading.current_thread() is bell._thread:
            ring()

    monkeypatch.setattr(tasks.drain, "apply_async", apply_async)


def _until(is_true, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not is_true() and time.monotonic() < until:
        time.sleep(0.005)
    return is_true()


def test_a_ring_is_heard(rings) -> None:
    bell.ring()
    assert _until(lambda: len(rings) == 1)


def test_rings_while_it_is_busy_fold_into_one(rings, monkeypatch) -> None:
    go_on = threading.Event()

    def slow() -> None:
        rings.append(time.monotonic())
        go_on.wait(5)

    _answer(monkeypatch, slow)
    bell.ring()
    assert _until(lambda: len(rings) == 1)
    began = time.monotonic()
    for _ in range(100):
        bell.ring()
    assert time.monotonic() - began < 1  # nobody waited for the broker
    go_on.set()
    assert _until(lambda: len(rings) == 2)
    time.sleep(0.05)
    assert len(rings) == 2


def test_a_dead_broker_is_asked_again_later(rings, monkeypatch, caplog) -> None:
    monkeypatch.setattr(bell, "PAUSE_AFTER_FAILURE_SECONDS", 0.01)
    failures = iter([True])

    def flaky() -> None:
        if next(failures, False):
            raise ConnectionError
        rings.append(time.monotonic())

    _answer(monkeypatch, flaky)
    bell.ring()
    assert _until(lambda: "broker not reached (ConnectionError)" in caplog.text)
    bell.ring()
    assert _until(lambda: len(rings) == 1)


def test_the_child_of_a_fork_gets_a_thread_of_its_own(rings, monkeypatch) -> None:
    bell.ring()
    assert _until(lambda: len(rings) == 1)
    monkeypatch.setattr(bell, "_pid", -1)
    before = bell._thread
    bell.ring()
    assert bell._thread is not before
