"""What supervisors set up and read here, by subject."""

from __future__ import annotations

from . import automations, deliveries, gateways, people, purposes, queues, reminders, templates, webhooks

__all__ = [
    "automations",
    "deliveries",
    "gateways",
    "people",
    "purposes",
    "queues",
    "reminders",
    "templates",
    "webhooks",
]
