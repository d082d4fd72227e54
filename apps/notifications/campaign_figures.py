"""How far a campaign has come, and what became of each of its recipients. Read-only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count

from .choices import CampaignState, DeliveryState, Reason
from .models import Campaign, CampaignRecipient, Delivery

RESULTS_AT_ONCE = 2000


@dataclass(slots=True)
class Progress:
    """Counts of messages: one for each recipient and way. `planned` is the sum of all the others."""

    planned: int = 0
    # Not looked at yet, or not their time yet.
    waiting: int = 0
    held: Counter[Reason] = field(default_factory=Counter)
    # In the sending queue or being sent.
    under_way: int = 0
    # Of those the provider says that they arrived.
    sent: int = 0
    delivered: int = 0
    suppressed: Counter[Reason] = field(default_factory=Counter)
    failed: int = 0
    review: int = 0
    cancelled: int = 0

    @property
    def done(self) -> int:
        return self.sent + self.suppressed.total() + self.failed + self.review + self.cancelled

    @property
    def percent(self) -> int:
        return self.done * 100 // self.planned if self.planned else 0

    @property
    def to_come(self) -> int:
        return self.planned - self.done

    def minutes_left(self, row: Campaign) -> int:
        """At its pace, not counting what is held; 0 when it is not running."""
        is_running = row.state == CampaignState.RUNNING
        return -(-(self.waiting + self.under_way) // row.per_minute) if is_running else 0


def progress(row: Campaign) -> Progress:
    """Two queries, whatever its size."""
    found = Progress()
    waiting = row.recipients.filter(is_planned=False).values("reason").annotate(count=Count("pk"))
    for reason, count in waiting.order_by().values_list("reason", "count"):
        if reason:
            found.held[Reason(reason)] += count
        else:
            found.waiting += count
    made = Delivery.objects.filter(cause=row.cause).values("state", "reason").annotate(count=Count("pk"))
    for state, reason, count in made.order_by().values_list("state", "reason", "count"):
        _count(found, DeliveryState(state), reason, count)
    found.planned = found.waiting + found.held.total() + found.under_way + found.done
    return found


def _count(found: Progress, state: DeliveryState, reason: str, count: int) -> None:
    match state:
        case DeliveryState.DUE if reason:
            found.held[Reason(reason)] += count
        case DeliveryState.DUE | DeliveryState.SENDING:
            found.under_way += count
        case DeliveryState.SENT | DeliveryState.DELIVERED:
            found.sent += count
            found.delivered += count if state == DeliveryState.DELIVERED else 0
        case DeliveryState.DEAD:
            found.failed += count
        case DeliveryState.REVIEW:
            found.review += count
        case DeliveryState.SUPPRESSED:
            found.suppressed[Reason(reason)] += count
        case DeliveryState.CANCELLED:
            found.cancelled += count


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one recipient by one way. `state` is a DeliveryState, or empty while he waits."""

    customer: int
    external_id: str
    name: str
    way: str
    address: str
    state: str
    reason: str
    sent_at: datetime | None
    delivered_at: datetime | None


def results(row: Campaign) -> Iterator[Result]:
    """In the order they were listed; a few queries for every RESULTS_AT_ONCE recipients."""
    last = 0
    listed = CampaignRecipient.objects.filter(campaign=row).select_related("customer").order_by("pk")
    while some := list(listed.filter(pk__gt=last)[:RESULTS_AT_ONCE]):
        last = some[-1].pk
        made = Delivery.objects.filter(cause=row.cause, customer__in=[one.customer_id for one in some])
        by_recipient = {(one.customer_id, one.way): one for one in made}
        for one in some:
            yield _result(one, by_recipient.get((one.customer_id, one.way)))


def _result(recipient: CampaignRecipient, delivery: Delivery | None) -> Result:
    customer = recipient.customer
    return Result(
        customer=customer.pk,
        external_id=customer.external_id or "",
        name=customer.name,
        way=recipient.way,
        address=delivery.address if delivery else "",
        state=delivery.state if delivery else "",
        reason=(delivery.reason if delivery else recipient.reason),
        sent_at=delivery.sent_at if delivery else None,
        delivered_at=delivery.delivered_at if delivery else None,
    )
