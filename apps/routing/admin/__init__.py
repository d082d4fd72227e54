"""Routing in the admin: policies, people, the line and its decisions."""

from __future__ import annotations

from . import agents, conversations, decisions, line, queues, versions, words  # noqa: F401
