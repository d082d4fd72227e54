"""Durable follow-ups: in order per stream, at least once, backed off, parked, retried."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from apps.core import dispatch, events
from apps.core.events import SYSTEM, Fact
from apps.core.models import Event, Handling


@dataclasses.dataclass(frozen=True)
class Knocked(Fact, type="tests.door.knocked"):
    number: int


@pytest.fixture
def done(monkeypatch) -> list[int]:
    """The numbers one subscriber has worked off."""
    monkeypatch.setattr(events, "_listeners", events.defaultdict(list))
    monkeypatch.setattr(events, "_subscribers", events.defaultdict(dict))
    monkeypatch.setattr(events.bell, "ring", lambda: None)
    numbers: list[int] = []

    @events.subscribe(Knocked)
    def note(event: Event) -> None:
        number = event.payload["number"]
        if number < 0:
            raise ValueError(f"no {number}")
        numbers.append(number)

    return numbers


def _knock(*numbers: int, door: str = "door:1") -> None:
    with transaction.atomic():
        for number in numbers:
            events.record(Knocked(number=number), stream=door, actor=SYSTEM)


def _make_due() -> None:
    Handling.objects.update(due_at=timezone.now())


def test_what_is_done_disappears(db, done) -> None:
    _knock(1, 2, 3)
    assert dispatch.drain() == 3
    assert done == [1, 2, 3]
    assert not Handling.objects.exists()
    assert dispatch.drain() == 0


def test_a_failure_rests_longer_each_time_then_is_parked(db, done) -> None:
    _knock(-1)
    rests = []
    for _ in range(dispatch.MOST_TRIES):
        _make_due()
        before = timezone.now()
        assert dispatch.drain() == 1
        rests.append(round((Handling.objects.get().due_at - before).total_seconds()))
    handling = Handling.objects.get()
    assert rests[:4] == [1, 4, 16, 64]
    assert (handling.is_dead, handling.tries, handling.last_error) == (True, 5, "ValueError: no -1")
    _make_due()
    assert dispatch.drain() == 0


def test_a_failure_undoes_what_its_handler_wrote(db, done, monkeypatch) -> None:
    def write_and_fail(event: Event) -> None:
        Event.objects.create(type="x", stream="x", actor="x", at=timezone.now())
        raise ValueError

    monkeypatch.setitem(events._subscribers, Knocked.type, {"tests.broken": write_and_fail})
    _knock(1)
    dispatch.drain()
    assert not Event.objects.filter(type="x").exists()
    assert Handling.objects.get().tries == 1


def test_order_is_kept_per_stream_and_streams_do_not_wait_for_each_other(db, done) -> None:
    _knock(-1, 2)
    _knock(3, 4, door="door:2")
    dispatch.drain()
    assert done == [3, 4]  # 2 waits behind -1
    for _ in range(dispatch.MOST_TRIES):
        _make_due()
        dispatch.drain()
    assert done == [3, 4, 2]  # the dead one is out of the way


def test_the_dead_are_put_back_to_work(db, done) -> None:
    _knock(-1)
    Handling.objects.update(is_dead=True, tries=5, last_error="x")
    Event.objects.update(payload={"number": 9})
    living = Handling.objects.get().pk
    assert dispatch.retry([living, living + 1]) == 1
    assert dispatch.retry([living]) == 0
    dispatch.drain()
    assert done == [9]


def test_a_handler_that_died_with_its_process_comes_back_and_is_parked_at_last(db, done) -> None:
    _knock(1)
    now = timezone.now()
    for _ in range(dispatch.MOST_TRIES):
        assert len(dispatch._claim(now=now)) == 1  # claimed, and never finished
        assert dispatch._claim(now=now + dispatch.LEASE / 2) == []
        now += dispatch.LEASE + timedelta(seconds=1)
    assert dispatch._claim(now=now) == []
    assert dispatch.park_exhausted(now=now) == 1
    assert Handling.objects.get().is_dead


def test_f09_what_was_claimed_when_the_database_went_away_is_due_again_at_once(
    transactional_db, done, monkeypatch
) -> None:
    def fail(handling_id: int, tries: int) -> None:
        raise OperationalError("the connection is lost")

    _knock(1)
    _knock(2, door="door:2")
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "_run", fail)
        with pytest.raises(OperationalError):
            dispatch.drain()
    assert [handling.tries for handling in Handling.objects.all()] == [1, 1]
    assert dispatch.drain() == 2
    assert done == [1, 2]


def test_who_comes_too_late_does_nothing(db, done) -> None:
    _knock(1)
    now = timezone.now()
    ((handling_id, tries),) = dispatch._claim(now=now)
    dispatch._claim(now=now + dispatch.LEASE * 2)
    dispatch._run(handling_id, tries)
    assert done == []
    dispatch._run(handling_id, tries + 1)
    assert done == [1]


def test_a_subscriber_whose_code_is_gone_is_parked_like_any_other(db, done) -> None:
    _knock(1)
    Handling.objects.update(subscriber="gone.away")
    for _ in range(dispatch.MOST_TRIES):
        _make_due()
        dispatch.drain()
    assert Handling.objects.get().is_dead


def test_draining_stops_at_its_limit(db, done) -> None:
    for number in range(5):
        _knock(number, door=f"door:{number}")
    assert dispatch.drain(most=1) >= 1
    dispatch.drain()
    assert sorted(done) == [0, 1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_many_workers_do_each_once_and_in_order(done) -> None:
    for door in range(5):
        _knock(*range(door * 10, door * 10 + 8), door=f"door:{door}")
    failed: list[Exception] = []

    def work() -> None:
        try:
            dispatch.drain()
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dispatch.drain()
    assert not failed
    assert sorted(done) == [number for door in range(5) for number in range(door * 10, door * 10 + 8)]
    for door in range(5):
        own = [number for number in done if number // 10 == door]
        assert own == sorted(own)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_slow_handler_is_neither_parked_nor_waited_for(done, monkeypatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        started.set()
        go_on.wait(10)

    monkeypatch.setitem(events._subscribers, Knocked.type, {"tests.slow": slow})
    _knock(1)

    def work() -> None:
        dispatch.drain()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(10)
    far = timezone.now() + dispatch.LEASE * 10
    assert dispatch._claim(now=far) == []
    assert dispatch.park_exhausted(now=far) == 0
    go_on.set()
    thread.join()
    assert not Handling.objects.exists()


def test_a_long_drain_gives_its_worker_back_and_rings_for_the_rest(db, done, monkeypatch) -> None:
    for number in range(25):
        _knock(number, door=f"door:{number}")
    rung: list[bool] = []
    monkeypatch.setattr(dispatch.bell, "ring", lambda: rung.append(True))
    assert dispatch.drain(seconds=0) == dispatch.CLAIMED_AT_ONCE
    assert rung
    rung.clear()
    assert dispatch.drain() == 25 - dispatch.CLAIMED_AT_ONCE
    assert not rung
