"""Old rows leave in batches; what still has something to come stays."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core import retention, tasks
from apps.core.models import Event, Handling
from apps.core.retention import EVENTS, older_than

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def make_events(*ages):
    """Events so many days old, the oldest first, as the log writes them."""
    days = (timedelta(days=age) for age in sorted(ages, reverse=True))
    return Event.objects.bulk_create(
        Event(type="t", stream="s", actor="system", at=NOW - age) for age in days
    )


@pytest.mark.parametrize("seed", range(10))
def test_border_between_old_and_new_is_found(seed):
    chance = random.Random(seed)
    make_events(*(chance.randint(0, 40) for _ in range(chance.randint(0, 30))))
    gone = chance.sample(list(Event.objects.values_list("id", flat=True)), k=Event.objects.count() // 2)
    Event.objects.filter(pk__in=gone).delete()
    before = NOW - timedelta(days=20)
    found = older_than(Event.objects.all(), field="at", before=before)
    assert set(found) == set(Event.objects.filter(at__lt=before))


def test_looks_do_not_grow_with_the_table(django_assert_max_num_queries):
    make_events(*range(200))
    with django_assert_max_num_queries(12):
        older_than(Event.objects.all(), field="at", before=NOW - timedelta(days=100))


def test_batches_add_up():
    make_events(1, *range(10, 17))
    assert list(retention.remove(EVENTS, days=5, now=NOW, batch=3)) == [3, 6, 7]
    assert list(retention.remove(EVENTS, days=5, now=NOW, batch=3)) == []
    assert Event.objects.count() == 1


def test_what_has_a_follow_up_to_come_stays():
    kept, _gone = make_events(20, 19)
    Handling.objects.create(event=kept, stream="s", subscriber="x", due_at=NOW, is_dead=True)
    assert list(retention.remove(EVENTS, days=5, now=NOW)) == [1]
    assert Event.objects.get() == kept


def test_events_are_kept_for_ever_unless_a_setting_says_otherwise(settings):
    make_events(5000, 3)
    assert tasks.prune() == 0
    settings.KEEP_DAYS = settings.KEEP_DAYS | {"events": 1000}
    assert tasks.prune() == 1
    assert Event.objects.count() == 1
