"""Which events programs of others may be told, and what of them: ids and codes, never what somebody said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core.events import Fact
from apps.messaging.events import (
    ConversationAssigned,
    ConversationClosed,
    ConversationRated,
    ConversationReleased,
    ConversationStarted,
    ConversationTagged,
)
from apps.users.events import CustomerChanged, CustomerCreated, CustomerMerged

from .events import ConsentChanged, DeliveryDead

PING = "ping"


@dataclass(frozen=True, slots=True)
class Published:
    """`fields` are the names of the event's payload that go out."""

    fact: type[Fact]
    title: str | Promise
    fields: tuple[str, ...]


PUBLISHED: dict[str, Published] = {
    one.fact.type: one
    for one in (
        Published(ConversationStarted, _("A conversation is started"), ("conversation", "inbox", "customer")),
        Published(ConversationAssigned, _("An agent has a conversation"), ("conversation", "agent")),
        Published(ConversationReleased, _("A conversation waits again"), ("conversation", "agent", "reason")),
        Published(
            ConversationClosed,
            _("A conversation is closed"),
            ("conversation", "agent", "reason", "disposition"),
        ),
        Published(ConversationRated, _("A customer rated a conversation"), ("conversation", "rating")),
        Published(ConversationTagged, _("The tags of a conversation changed"), ("conversation", "tags")),
        Published(CustomerCreated, _("A customer is new"), ("customer",)),
        Published(CustomerChanged, _("A customer's record changed"), ("customer", "fields")),
        Published(CustomerMerged, _("Two customers are one"), ("customer", "into")),
        Published(
            ConsentChanged,
            _("A customer said what he wants"),
            ("customer", "purpose", "way", "is_wanted", "source"),
        ),
        Published(DeliveryDead, _("Something could not be sent"), ("delivery", "way", "error")),
    )
}
FACTS = tuple(one.fact for one in PUBLISHED.values())


def body(event_type: str, payload: Mapping[str, Any], *, seq: int, at: datetime) -> dict[str, Any]:
    """What is posted. `event_seq` grows with time, so that a receiver can tell older from newer."""
    fields = PUBLISHED[event_type].fields if event_type in PUBLISHED else tuple(payload)
    data = {name: payload[name] for name in fields if name in payload}
    return {"type": event_type, "timestamp": at.isoformat(), "event_seq": seq, "data": data}
