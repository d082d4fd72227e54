"""What supervisors set up and read here, by subject."""

from __future__ import annotations

from . import automations, gateways, people, purposes, reminders, templates, webhooks

__all__ = ["automations", "gateways", "people", "purposes", "reminders", "templates", "webhooks"]
