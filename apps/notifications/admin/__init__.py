"""What supervisors set up and read here, by subject."""

from __future__ import annotations

from . import (
    automations,
    campaigns,
    deliveries,
    gateways,
    people,
    purposes,
    queues,
    reminders,
    segments,
    templates,
    webhooks,
)

__all__ = [
    "automations",
    "campaigns",
    "deliveries",
    "gateways",
    "people",
    "purposes",
    "queues",
    "reminders",
    "segments",
    "templates",
    "webhooks",
]
