"""What supervisors set up and read here, by subject."""

from __future__ import annotations

from . import automations, people, purposes, reminders, templates

__all__ = ["automations", "people", "purposes", "reminders", "templates"]
