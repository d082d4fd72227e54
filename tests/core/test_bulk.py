"""The same rows, whichever way they go."""

from __future__ import annotations

import pytest
from django.utils import timezone

from apps.core import bulk
from apps.core.models import Event

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
