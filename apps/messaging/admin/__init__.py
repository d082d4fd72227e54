"""Conversations in the admin."""

from __future__ import annotations

from . import arrivals, conversations, setup  # noqa: F401
