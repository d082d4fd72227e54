"""Who waits where nobody comes for him goes on to another queue, at his old place in line."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from apps.core.events import SYSTEM

from .. import openings
from ..choices import ItemState, Otherwise
from ..models import Item, Queue
from . import queueing

# One sweep moves so many from each queue; the next one comes in a few seconds.
BATCH = 200


def sweep(*, now: datetime) -> int:
    """Move what waits in a closed queue, or too long in an open one, where its overflow leads. Safe to repeat."""
    wanted = Q(when_closed=Otherwise.OVERFLOW) | Q(when_full=Otherwise.OVERFLOW)
    queues = Queue.objects.filter(wanted, overflow_to__isnull=False)
    return sum(_sweep_queue(queue, now=now) for queue in queues.order_by("id"))


def _sweep_queue(queue: Queue, *, now: datetime) -> int:
    leaving = Item.objects.waiting().filter(queue=queue)
    if openings.standing(queue, now=now).is_open:
        if queue.when_full != Otherwise.OVERFLOW or queue.longest_wait_seconds is None:
            return 0
        leaving = leaving.filter(at__lte=now - timedelta(seconds=queue.longest_wait_seconds))
    elif queue.when_closed != Otherwise.OVERFLOW:
        return 0
    moved = 0
    for item_id in list(leaving.order_by("line_key", "id").values_list("id", flat=True)[:BATCH]):
        # Asked for each: the ones before it may have filled the other queue.
        target = _target(queue, now=now)
        if target is None:
            break
        moved += _move(item_id, queue=queue, to=target, now=now)
    return moved


def _target(queue: Queue, *, now: datetime) -> Queue | None:
    """The first on the path that takes somebody; the path goes on only through queues that overflow themselves."""
    for following in openings.overflow_path(queue):
        current = openings.standing(following, now=now)
        if current.takes:
            return following
        if current.otherwise != Otherwise.OVERFLOW:
            return None
    return None


def _move(item_id: int, *, queue: Queue, to: Queue, now: datetime) -> bool:
    with transaction.atomic():
        item = Item.objects.select_for_update(no_key=True).get(pk=item_id)
        if item.state != ItemState.WAITING or item.queue_id != queue.pk:
            return False  # he was offered or moved meanwhile
        queueing.move(item, to=to, by=SYSTEM, now=now)
        return True
