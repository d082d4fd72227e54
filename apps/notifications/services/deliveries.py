"""Deliveries come to be in the transaction of their cause; the same one asked for twice is one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from apps.core import bulk
from apps.users.models import Customer, User

from .. import wake
from ..choices import DeliveryState, Priority, Reason
from ..models import Delivery, TemplateVersion

INSERTED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Draft:
    """Something to be sent. `cause`, `occurrence`, `to` and `way` together make it the one it is."""

    cause: str
    to: Customer | User | str
    way: str
    at: datetime
    occurrence: str = ""
    purpose_id: int | None = None
    template_version_id: int | None = None
    context: dict[str, Any] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    expires_at: datetime | None = None
    # Where it goes, when that is not the recipient's own address (a webhook, the address a customer wrote from).
    address: str = ""
    # The gateway it must go by, if it is not all the same.
    via_id: int | None = None
    # Why it never goes out; it is written down all the same, so that everybody can see why.
    suppressed: Reason | None = None


def make_many(drafts: Iterable[Draft], *, now: datetime) -> None:
    """Write those that do not exist yet, inside the caller's transaction; safe to repeat."""
    if not connection.in_atomic_block:
        raise RuntimeError("Deliveries are made inside the transaction of their cause.")
    rows = [unsaved(draft, now=now) for draft in drafts]
    if not rows:
        return
    for start in range(0, len(rows), INSERTED_AT_ONCE):
        bulk.insert_missing(Delivery, rows[start : start + INSERTED_AT_ONCE])
    wake.after_commit(due_at=min(row.due_at for row in rows), now=now)


def unsaved(draft: Draft, *, now: datetime) -> Delivery:
    """The row that a draft becomes; a preview asks about rows that never are."""
    return Delivery(
        cause=draft.cause,
        occurrence=draft.occurrence,
        recipient=draft.to if isinstance(draft.to, str) else draft.to.actor_ref,
        way=draft.way,
        customer=draft.to if isinstance(draft.to, Customer) else None,
        user=draft.to if isinstance(draft.to, User) else None,
        address=draft.address,
        via_id=draft.via_id,
        purpose_id=draft.purpose_id,
        template_version_id=draft.template_version_id,
        context=draft.context,
        priority=draft.priority,
        slot_at=draft.at,
        due_at=draft.at,
        expires_at=draft.expires_at,
        state=DeliveryState.SUPPRESSED if draft.suppressed else DeliveryState.DUE,
        reason=draft.suppressed or "",
        created_at=now,
    )


def cancel(*, cause: str, reason: Reason, occurrence: str | None = None) -> int:
    """Call off what waits for its time; what is being sent is past calling off. Returns how many."""
    waiting = Delivery.objects.filter(cause=cause, state=DeliveryState.DUE)
    if occurrence is not None:
        waiting = waiting.filter(occurrence=occurrence)
    return waiting.update(state=DeliveryState.CANCELLED, reason=reason)


def retime(*, cause: str, occurrence: str, at: datetime, now: datetime) -> int:
    """Another time for what is still to come; what is due already stays as it is."""
    coming = Delivery.objects.filter(
        cause=cause, occurrence=occurrence, state=DeliveryState.DUE, slot_at__gt=now
    )
    wake.after_commit(due_at=at, now=now)
    return coming.update(slot_at=at, due_at=at)


def use_version(template_id: int, *, number: int) -> int:
    """What waits with an older text of this template gets the one of version `number`."""
    version = TemplateVersion.objects.filter(template=template_id, number=number).first()
    if version is None:
        return 0
    older = Delivery.objects.filter(
        state=DeliveryState.DUE,
        template_version__template=template_id,
        template_version__number__lt=number,
    )
    return older.update(template_version=version)
