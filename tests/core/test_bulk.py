"""The same rows, whichever way they go."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core import bulk
from apps.core.models import Event, Handling
from apps.messaging.choices import Sender
from apps.messaging.models import Message
from tests.factories import make_conversation

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("how_many", [0, 1, bulk.FEW, 20])
def test_rows_are_stored_as_they_are_and_have_their_keys(how_many):
    now = timezone.now()
    rows = [
        Event(
            type="x",
            stream=f"s:{n}",
            payload={"n": n, "text": 'tab\t"ü"\n\\N', "none": None},
            actor="a",
            at=now,
        )
        for n in range(how_many)
    ]
    stored = bulk.insert(Event, rows)
    assert [row.stream for row in stored] == [f"s:{n}" for n in range(how_many)]
    assert not any(row._state.adding for row in stored)
    for row in stored:
        again = Event.objects.get(pk=row.pk)
        assert (again.type, again.stream, again.payload, again.at) == ("x", row.stream, row.payload, now)


@pytest.mark.parametrize("how_many", [0, 1, bulk.FEW, 20])
def test_values_are_stored_without_rows_and_what_is_not_named_has_its_default(how_many):
    now = timezone.now()
    streams, payloads = (
        [f"s:{n}\t\\N\r" for n in range(how_many)],
        [{"n": n, "ü": True} for n in range(how_many)],
    )
    keys = bulk.insert_values(Event, {"stream": streams, "payload": payloads}, type="x", actor="", at=now)
    stored = [Event.objects.get(pk=key) for key in keys]
    assert [(one.stream, one.payload) for one in stored] == list(zip(streams, payloads, strict=True))
    assert all((one.type, one.actor, one.at) == ("x", "", now) for one in stored)
    ones = bulk.insert_values(Handling, {"event_id": keys}, subscriber="me", stream="s", due_at=now)
    assert all((one.tries, one.is_dead, one.last_error) == (0, False, "") for one in Handling.objects.all())
    assert len(ones) == how_many


def test_values_that_are_equal_and_not_the_same_in_json_are_kept_apart():
    payloads = [{"n": 1}, {"n": True}, {"n": 1.0}, {"n": 1}]
    rows = [Event(type="x", stream="s", payload=one, actor="a", at=timezone.now()) for one in payloads]
    found = [Event.objects.get(pk=row.pk).payload["n"] for row in bulk.insert(Event, rows)]
    assert [type(one) for one in found] == [int, bool, float, int]


@pytest.mark.parametrize("how_many", [2, 20])
def test_what_the_database_refuses_is_an_error_of_django(how_many):
    now = timezone.now()
    event = Event.objects.create(type="x", stream="s", payload={}, actor="a", at=now)
    rows = [Handling(event=event, subscriber="same", stream="s", due_at=now) for _ in range(how_many)]
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert(Handling, rows)
    assert not Handling.objects.exists()


@pytest.mark.parametrize("how_many", [0, 1, 20])
def test_fields_of_many_rows_are_written_and_no_others(how_many):
    now = timezone.now()
    events = bulk.insert(
        Event, [Event(type="x", stream=f"s:{n}", payload={}, actor="a", at=now) for n in range(how_many + 1)]
    )
    *rows, other = bulk.insert(
        Handling,
        [Handling(event=event, subscriber=event.stream, stream=event.stream, due_at=now) for event in events],
    )
    for n, row in enumerate(rows):
        row.subscriber, row.tries, row.last_error = "unwritten", n, f'ü"{n}\\'
        row.event = events[how_many - n]
    bulk.update(rows, ["tries", "last_error", "event"])
    for n, row in enumerate(rows):
        again = Handling.objects.get(pk=row.pk)
        assert (again.subscriber, again.tries, again.event) == (f"s:{n}", n, events[how_many - n])
        assert again.last_error == row.last_error
    assert Handling.objects.get(pk=other.pk).tries == 0


def test_values_of_json_are_written():
    rows = bulk.insert(
        Event, [Event(type="x", stream="s", payload={}, actor="a", at=timezone.now()) for _ in range(3)]
    )
    for n, row in enumerate(rows):
        row.payload = {"n": n, "list": [None, "ü"]}
    bulk.update(rows, ["payload"])
    assert [row.payload for row in Event.objects.order_by("id")] == [row.payload for row in rows]


@pytest.mark.parametrize("how_many", [0, 1, 3])
def test_what_is_there_already_is_not_stored_again(how_many):
    now = timezone.now()
    bulk.insert_missing(
        Event, [Event(type="x", stream="s", payload={"list": [None, "ü"]}, actor="a", at=now)]
    )
    event = Event.objects.get()
    assert event.payload == {"list": [None, "ü"]}

    def rows() -> list[Handling]:
        return [
            Handling(event=event, subscriber=f'{{"{n}\\', stream="s", due_at=now) for n in range(how_many)
        ]

    bulk.insert_missing(Handling, rows()[1:])
    bulk.insert_missing(Handling, rows())
    names = Handling.objects.values_list("subscriber", flat=True)
    assert sorted(names) == [row.subscriber for row in rows()]


def test_keys_of_other_systems_are_written():
    conversation, now = make_conversation(), timezone.now()
    keys = [uuid.uuid4() for _ in range(bulk.FEW)]
    bulk.insert(
        Message,
        [
            Message(conversation=conversation, seq=9 + n, sender=Sender.CUSTOMER, client_msg_id=key, at=now)
            for n, key in enumerate(keys)
        ],
    )
    stored = Message.objects.filter(seq__gte=9).order_by("seq")
    assert list(stored.values_list("client_msg_id", flat=True)) == keys
