"""The outbox page: messages that stay in this installation, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from ..gateways.contract import Outgoing
from ..models import Delivery, OutboxMessage

KEPT = timedelta(days=30)
# Among the headers of an outbox message: the names of its files.
FILES = "X-EML-Files"


def put_many(batch: Sequence[Outgoing]) -> None:
    """One for each delivery; those that are there already stay as they are."""
    ids = [outgoing.delivery for outgoing in batch]
    ways = dict(Delivery.objects.filter(pk__in=ids).values_list("pk", "way"))
    rows = [
        OutboxMessage(
            delivery_id=outgoing.delivery,
            way=ways[outgoing.delivery],
            sender=outgoing.sender[:320],
            to=outgoing.to[:500],
            subject=outgoing.subject[:250],
            text=outgoing.text,
            html=outgoing.html,
            headers=dict(outgoing.headers) | _named(outgoing),
            at=timezone.now(),
        )
        for outgoing in batch
    ]
    OutboxMessage.objects.bulk_create(rows, ignore_conflicts=True)


def _named(outgoing: Outgoing) -> dict[str, str]:
    """Files stay where they are; the page says that they would go along."""
    return {FILES: ", ".join(file.name for file in outgoing.files)} if outgoing.files else {}


def delete_old(*, now: datetime) -> int:
    return OutboxMessage.objects.filter(at__lt=now - KEPT).delete()[0]
