"""For tests: a gateway that does what it is told and remembers what it saw, and a clock moved by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.notifications.choices import Way
from apps.notifications.gateways import Outcome, Outgoing
from apps.notifications.models import Delivery, Gateway
from apps.users.choices import ContactKind
from apps.users.models import ContactPoint, Customer
from tests.factories import make_customer

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class Time:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Gate:
    """`answer(outgoing)` is an outcome, or None for none at all."""

    knows_keys: bool = False
    seen: list[Outgoing] = field(default_factory=list)
    answer: Callable[[Outgoing], Outcome | None] = lambda outgoing: Outcome(outgoing.delivery)
    before_batch: Callable[[Sequence[Outgoing]], None] = lambda _batch: None
    way: Way = Way.EMAIL
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, options: Mapping[str, Any], secrets: Mapping[str, Any]) -> Gate:
        return self

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        self.before_batch(batch)
        for outgoing in batch:
            with self._lock:
                self.seen.append(outgoing)
            if (outcome := self.answer(outgoing)) is not None:
                yield outcome

    @property
    def keys(self) -> list[str]:
        return [outgoing.key for outgoing in self.seen]


def make_gateway(way: Way = Way.EMAIL, kind: str = "gate", **fields: Any) -> Gateway:
    name = fields.pop("name", f"Gateway {Gateway.objects.count()}")
    return Gateway.objects.create(name=name, way=way, kind=kind, **fields)


def reachable(**fields: Any) -> Customer:
    customer = make_customer(**fields)
    ContactPoint.objects.create(
        customer=customer, kind=ContactKind.EMAIL, value=f"c{customer.pk}@example.org", is_verified=True
    )
    return customer


def make_delivery(customer: Customer | None = None, *, due_at: datetime, **fields: Any) -> Delivery:
    customer = customer or reachable()
    return Delivery.objects.create(
        **{
            "cause": "test:1",
            "occurrence": str(Delivery.objects.count()),
            "recipient": customer.actor_ref,
            "customer": customer,
            "way": Way.EMAIL,
            "context": {"subject": "Hello", "body": "How are you?"},
            "slot_at": due_at,
            "due_at": due_at,
        }
        | fields
    )
