"""The event log: recorded with its cause, followed durably or live."""

from __future__ import annotations

import dataclasses
import logging

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core import events
from apps.core.events import SYSTEM, Entry, Fact
from apps.core.models import Event, Handling


@dataclasses.dataclass(frozen=True)
class Rang(Fact, type="tests.bell.rang"):
    bell: int
    times: int = 1


@pytest.fixture
def heard(monkeypatch) -> list:
    """What live listeners got; nobody else listens or subscribes."""
    monkeypatch.setattr(events, "_listeners", events.defaultdict(list))
    monkeypatch.setattr(events, "_joint_listeners", events.defaultdict(list))
    monkeypatch.setattr(events, "_subscribers", events.defaultdict(dict))
    monkeypatch.setattr(events, "_followed", {})
    got: list = []
    events.listen(Rang)(got.append)
    return got


def _record(bell: int = 1, **more) -> Event:
    return events.record(Rang(bell=bell), stream=f"bell:{bell}", actor=SYSTEM, **more)


def test_a_fact_is_written_with_who_and_where(db) -> None:
    event = _record(3)
    event.refresh_from_db()
    assert (event.type, event.stream, event.actor) == ("tests.bell.rang", "bell:3", "system")
    assert event.payload == {"bell": 3, "times": 1}


@pytest.mark.django_db(transaction=True)
def test_nothing_is_recorded_outside_a_transaction() -> None:
    with pytest.raises(RuntimeError):
        _record()
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_never_happened(heard) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        _fail_after_recording()
    assert not Event.objects.exists()
    assert heard == []


def _fail_after_recording() -> None:
    _record()
    raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_a_savepoint_that_is_rolled_back_takes_its_events_along(heard) -> None:
    with transaction.atomic():
        _record(1)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            _fail_after_recording()
        _record(2)
    assert [event.payload["bell"] for event in heard] == [1, 2]
    assert Event.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_listeners_hear_after_the_commit_in_order_with_the_row(heard) -> None:
    with transaction.atomic():
        events.record_many(Entry(Rang(bell=n), "bell:1", "system", subject=f"row {n}") for n in range(3))
        assert heard == []
    assert [event.subject for event in heard] == ["row 0", "row 1", "row 2"]
    assert all(event.pk for event in heard)


@pytest.mark.django_db(transaction=True)
def test_joint_listeners_hear_once_of_all_that_was_recorded_together(heard) -> None:
    together: list[list[Event]] = []
    events.listen_together(Rang)(together.append)
    with transaction.atomic():
        both = events.record_many(Entry(Rang(bell=n), f"bell:{n}", "system") for n in (1, 2))
        third = _record(3)
    assert together == [both, [third]]
    assert heard == [*both, third]


@pytest.mark.django_db(transaction=True)
def test_steps_that_belong_together_are_written_at_their_end_in_their_order(heard) -> None:
    together: list[list[Event]] = []
    events.listen_together(Rang)(together.append)
    with transaction.atomic():
        with events.written_together():
            first = _record(1)
            with events.written_together():
                second = _record(2)
            assert not Event.objects.exists()
        assert list(Event.objects.order_by("id")) == [first, second]
        third = _record(3)
    assert together == [[first, second], [third]]
    assert heard == [first, second, third]


@pytest.mark.django_db(transaction=True)
def test_of_steps_that_belong_together_all_are_written_or_none(heard) -> None:
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), events.written_together():
            _fail_after_recording()
        _record(2)
    assert [event.payload["bell"] for event in heard] == [2]
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_listener_that_fails_harms_nobody(heard, caplog) -> None:
    @events.listen(Rang)
    def broken(event: Event) -> None:
        raise ZeroDivisionError

    other: list = []
    events.listen(Rang)(other.append)
    with caplog.at_level(logging.ERROR), transaction.atomic():
        _record()
    assert len(heard) == len(other) == 1
    assert "broken failed" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_durable_subscribers_get_a_handling_each_and_the_bell_rings_once(heard, monkeypatch) -> None:
    rings: list = []
    monkeypatch.setattr(events.bell, "ring", lambda: rings.append(1))

    @events.subscribe(Rang)
    def one(event: Event) -> None: ...

    @events.subscribe(Rang)
    def two(event: Event) -> None: ...

    with transaction.atomic():
        event = _record(7)
    rows = Handling.objects.filter(event=event).order_by("subscriber")
    names = [events.subscriber_name(handler) for handler in (one, two)]
    assert [(row.subscriber, row.stream) for row in rows] == [(name, "bell:7") for name in names]
    assert rings == [1]


def test_what_nobody_follows_at_the_moment_is_no_work(heard, db) -> None:
    """Asked once for all that are recorded together, as things are then."""
    asked, followed = [], set()

    def follows(types: set[str]) -> set[str]:
        asked.append(types)
        return followed

    @events.subscribe(Rang, followed=follows)
    def one(event: Event) -> None: ...

    @events.subscribe(Rang)
    def always(event: Event) -> None: ...

    def recorded() -> list[str]:
        Handling.objects.all().delete()
        events.record_many(Entry(Rang(bell=n), "bell:1", "system") for n in range(3))
        return [row.rpartition(".")[2] for row in Handling.objects.values_list("subscriber", flat=True)]

    assert recorded() == ["always"] * 3
    followed.add(Rang.type)
    assert sorted(recorded()) == ["always"] * 3 + ["one"] * 3
    assert asked == [{Rang.type}] * 2


def test_many_facts_cost_as_few_statements_as_some(db, heard) -> None:
    @events.subscribe(Rang)
    def one(event: Event) -> None: ...

    def statements(count: int) -> int:
        entries = [Entry(Rang(bell=n), "bell:1", "system") for n in range(count)]
        with CaptureQueriesContext(connection) as captured:
            events.record_many(entries)
        return len(captured)

    # Events and handlings; PostgreSQL takes many by COPY, which asks for their ids first.
    assert statements(1) == 2
    assert statements(20) == statements(100) <= 4


def test_subscribers_are_named_after_their_floor() -> None:
    from apps.messaging.subscribers import follow_merge

    assert events.subscriber_name(follow_merge) == "messaging.follow_merge"
    assert events.handler_of("users.customer.merged", "messaging.follow_merge") is follow_merge
