"""What supervisors set up and read here, by subject."""

from __future__ import annotations

from . import automations, people, purposes, templates

__all__ = ["automations", "people", "purposes", "templates"]
