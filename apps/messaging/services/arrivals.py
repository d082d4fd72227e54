"""What came by e-mail or SMS and is in no conversation: held with its files until somebody decides, or for a month."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Sum

from apps.core import events
from apps.core.events import SYSTEM, Actor
from apps.users.models import User

from .. import policy
from ..choices import Quarantined
from ..errors import ArrivalSettled
from ..events import ArrivalDropped, ArrivalHeld
from ..models import Arrival, HeldFile

HELD_PERIOD = timedelta(days=30)
DROPPED_AT_ONCE = 200
# Anybody can write to us: of all that is held, files are kept up to so much.
MOST_HELD_BYTES = 500 * 1024 * 1024


def stream(arrival_id: int) -> str:
    return f"arrival:{arrival_id}"


def hold(arrival: Arrival, reason: Quarantined, *, files: Sequence[tuple[str, bytes]]) -> None:
    """Inside the caller's transaction."""
    arrival.quarantined_because, arrival.message = reason, None
    arrival.save(update_fields=["quarantined_because", "message"])
    _keep(arrival, files)
    fact = ArrivalHeld(arrival=arrival.pk, reason=reason)
    events.record(fact, stream=stream(arrival.pk), actor=SYSTEM)


def _keep(arrival: Arrival, files: Sequence[tuple[str, bytes]]) -> None:
    held = HeldFile.objects.aggregate(size=Sum("size"))["size"] or 0
    for name, content in files[: policy.MOST_ATTACHMENTS]:
        held += len(content)
        if held > MOST_HELD_BYTES:
            return
        row = HeldFile(arrival=arrival, name=name[:255] or "file", size=len(content))
        row.file.save("", ContentFile(content), save=True)


def locked(arrival_id: int) -> Arrival:
    """The row, locked, if nobody has decided about it yet; ArrivalSettled otherwise."""
    arrival = Arrival.objects.select_for_update(of=("self",)).select_related("inbox__team").get(pk=arrival_id)
    if not arrival.is_held:
        raise ArrivalSettled
    return arrival


def settle(arrival: Arrival, *, by: User | None, now: datetime) -> None:
    """Somebody has decided (None: time has). Its files go with the commit."""
    arrival.settled_at, arrival.settled_by = now, by
    arrival.save(update_fields=["settled_at", "settled_by", "text", "message"])
    files = list(arrival.files.all())
    arrival.files.all().delete()
    transaction.on_commit(functools.partial(_delete, files), robust=True)


def _delete(files: Sequence[HeldFile]) -> None:
    for row in files:
        row.file.delete(save=False)


def drop(arrival_id: int, *, by: User | None, now: datetime) -> None:
    """It stays out: who wrote when is kept, what was written is gone. Raises ArrivalSettled."""
    with transaction.atomic():
        arrival = locked(arrival_id)
        arrival.text = ""
        settle(arrival, by=by, now=now)
        actor: Actor = by or SYSTEM
        events.record(ArrivalDropped(arrival=arrival.pk), stream=stream(arrival.pk), actor=actor)


def drop_old(*, now: datetime) -> int:
    """What nobody decided about for a month. Safe to repeat."""
    old = Arrival.objects.held().filter(at__lt=now - HELD_PERIOD).order_by("at")
    ids = list(old.values_list("pk", flat=True)[:DROPPED_AT_ONCE])
    for pk in ids:
        drop(pk, by=None, now=now)
    return len(ids)
