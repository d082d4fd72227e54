"""Who waits where nobody comes for him goes on to another queue, at his old place in line, or is told that he waits."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.core import events
from apps.core.events import SYSTEM

from .. import openings, staffing
from ..choices import ItemState, Otherwise
from ..events import QueueLeftAlone
from ..models import Item, Queue
from . import queueing

# One sweep moves so many from each queue; the next one comes in a few seconds.
BATCH = 200


def sweep(*, now: datetime) -> int:
    """Move what waits where nobody takes it, or too long, where its overflow leads. Safe to repeat.

    Nobody takes it in a closed queue, nor in one for which nobody is signed in.
    """
    wanted = (
        Q(when_closed=Otherwise.OVERFLOW)
        | Q(when_unstaffed=Otherwise.OVERFLOW)
        | Q(when_full=Otherwise.OVERFLOW)
    )
    queues = Queue.objects.filter(wanted, overflow_to__isnull=False)
    return sum(_sweep_queue(queue, now=now) for queue in queues.order_by("id"))


def follow(queues: QuerySet[Queue], *, now: datetime) -> int:
    """After somebody left: what waits in those of these queues that nobody is left for goes on at once, and whoever
    has to stay is told. Returns how many queues that were. Safe to repeat."""
    waiting = Exists(Item.objects.in_line().filter(queue=OuterRef("pk")))
    lonely = list(staffing.unstaffed(queues.filter(waiting), now=now).order_by("id"))
    for queue in lonely:
        _sweep_queue(queue, now=now)
        with transaction.atomic():
            if left := Item.objects.in_line().filter(queue=queue).count():
                fact = QueueLeftAlone(queue=queue.pk, waiting=left)
                events.record(fact, stream=f"queue:{queue.pk}", actor=SYSTEM)
    return len(lonely)


def _sweep_queue(queue: Queue, *, now: datetime) -> int:
    leaving = _leaving(queue, now=now)
    moved = 0
    for item_id in list(leaving.order_by("line_key", "id").values_list("id", flat=True)[:BATCH]):
        # Asked for each: the ones before it may have filled the other queue.
        target = _target(queue, now=now)
        if target is None:
            break
        moved += _move(item_id, queue=queue, to=target, now=now)
    return moved


def _leaving(queue: Queue, *, now: datetime) -> QuerySet[Item]:
    """Those of its line who are not to stay."""
    line = Item.objects.waiting().filter(queue=queue)
    current = openings.standing(queue, now=now)
    if not current.is_open:
        return line if queue.when_closed == Otherwise.OVERFLOW else line.none()
    if not current.is_staffed and queue.when_unstaffed == Otherwise.OVERFLOW:
        return line
    if queue.when_full != Otherwise.OVERFLOW or queue.longest_wait_seconds is None:
        return line.none()
    return line.filter(at__lte=now - timedelta(seconds=queue.longest_wait_seconds))


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
