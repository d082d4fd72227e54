"""The notification centre: put there by deliveries, read by their user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from apps.core import events
from apps.core.events import SYSTEM
from apps.users.models import User

from ..events import NoticePut
from ..gateways.contract import Outgoing
from ..models import Notice

MOST_TITLE = 200
MOST_BODY = 2000


def put_many(batch: Sequence[Outgoing]) -> None:
    """One notice for each delivery (`to` is "user:5"); those that are there already stay as they are."""
    now = timezone.now()
    with transaction.atomic():
        known = set(
            Notice.objects.filter(delivery__in=[row.delivery for row in batch]).values_list(
                "delivery_id", flat=True
            )
        )
        new = [_row(outgoing, now) for outgoing in batch if outgoing.delivery not in known]
        # Whoever else sends the same at this moment has put it there.
        Notice.objects.bulk_create(new, ignore_conflicts=True)
        events.record_many(
            events.Entry(NoticePut(user=row.user_id), f"user:{row.user_id}", SYSTEM.actor_ref) for row in new
        )


def _row(outgoing: Outgoing, now: datetime) -> Notice:
    return Notice(
        user_id=int(outgoing.to.partition(":")[2]),
        delivery_id=outgoing.delivery,
        title=(outgoing.subject or outgoing.text)[:MOST_TITLE],
        body=outgoing.text[:MOST_BODY] if outgoing.subject else "",
        link=str(outgoing.extra.get("link", "")),
        at=now,
    )


def mark_read(user: User, *, now: datetime, notice_id: int | None = None) -> int:
    """One of his, or all of them; returns how many were unread until now."""
    unread = Notice.objects.filter(user=user, read_at=None)
    if notice_id is not None:
        unread = unread.filter(pk=notice_id)
    return unread.update(read_at=now)
