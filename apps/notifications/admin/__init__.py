"""What supervisors set up and read here, by subject."""

from __future__ import annotations

from . import automations

__all__ = ["automations"]
