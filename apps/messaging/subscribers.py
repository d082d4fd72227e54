"""What must follow. Each handler may run twice."""

from __future__ import annotations

from apps.core.events import subscribe
from apps.core.models import Event
from apps.users.events import CustomerMerged

from .services import conversations


@subscribe(CustomerMerged)
def follow_merge(event: Event) -> None:
    conversations.move_to_customer(
        from_customer_id=event.payload["customer"], to_customer_id=event.payload["into"]
    )
