"""Estimated waits: what is announced to who joins a line, and what the queue's table learns from his real wait."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter

from django.db import transaction
from django.db.models import Q

from .. import hours, openings, waits
from ..choices import ItemState
from ..estimate import Estimate, Table
from ..models import Announcement, Item, WaitTable

logger = logging.getLogger(__name__)

# One sweep learns so many waits; the next one comes in a few seconds.
BATCH = 500


def announce(item: Item, *, now: datetime) -> None:
    """Remember what somebody who just joined a line is told; nothing if he is not told anything."""
    length = waits.length_before(item)
    told = waits.estimate(item.queue, length=length, now=now)
    if told:
        Announcement.objects.create(
            item=item, queue=item.queue, length=length, low=told.low, high=told.high, mean=told.mean
        )


def learn(*, now: datetime) -> int:
    """Teach the tables the waits that ended since the last sweep; returns how many. Safe to repeat.

    An announcement is its own list of things to do: it goes with what it taught, in one commit. Accepting an offer is
    not made slower by it.
    """
    over = ~Q(item__state__in=[ItemState.WAITING, ItemState.OFFERED]) | Q(item__answered_at__isnull=False)
    ended = (
        Announcement.objects.filter(over).select_related("item__queue").order_by("queue", "item__answered_at")
    )
    learned = 0
    for queue_id, rows in itertools.groupby(list(ended[:BATCH]), key=attrgetter("queue_id")):
        learned += _learn_queue(queue_id, list(rows), now=now)
    return learned


def _learn_queue(queue_id: int, rows: list[Announcement], *, now: datetime) -> int:
    """Only who was answered where he was told teaches: who left, or was moved, has no wait there."""
    with transaction.atomic():
        WaitTable.objects.get_or_create(queue_id=queue_id)
        stored = WaitTable.objects.select_for_update(no_key=True).get(pk=queue_id)
        still = set(Announcement.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
        taught = [
            row for row in rows if row.pk in still and row.item.answered_at and row.item.queue_id == queue_id
        ]
        if taught:
            table = waits.table_of(stored)
            _observe(table, taught)
            stored.table, stored.updated_at = table.as_json(), now
            stored.save(update_fields=["table", "updated_at"])
        Announcement.objects.filter(pk__in=still).delete()
        return len(taught)


def _observe(table: Table, rows: Iterable[Announcement]) -> None:
    for row in rows:
        told, answered = Estimate(row.low, row.high, row.mean), row.item.answered_at
        if answered:
            table.observe(row.length, _waited(row.item, answered), int(answered.timestamp()), announced=told)


def _waited(item: Item, answered: datetime) -> float:
    """The time in which the queue was open: a night in between says nothing about the line."""
    calendar = openings.calendar_of(item.queue)
    if calendar is None:
        return max((answered - item.at).total_seconds(), 0)
    return hours.open_seconds(calendar, start=item.at, end=answered)
