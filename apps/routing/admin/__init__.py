"""Routing in the admin: policies, people, the line and its decisions."""

from __future__ import annotations

from . import (  # noqa: F401
    agents,
    callbacks,
    conversations,
    decisions,
    hours,
    line,
    queues,
    versions,
    words,
)
