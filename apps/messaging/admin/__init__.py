"""Conversations in the admin."""

from __future__ import annotations

from . import conversations, setup  # noqa: F401
