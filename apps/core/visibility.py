"""Which streams of the event log somebody may read. The ground floor knows nobody, so an upper floor decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet

Decide = Callable[[Any], Q]


def _nobody(user: Any) -> Q:
    return Q(pk__in=[])


_decide: Decide = _nobody


def decided_by(decide: Decide) -> None:
    """Called once, at the start: `decide` gives the condition on `stream` for a user. Before, nobody sees a thing."""
    global _decide
    _decide = decide


def visible(rows: QuerySet, *, to: Any) -> QuerySet:
    """Rows with a `stream` (events, handlings), without those that `to` may not see."""
    return rows.filter(_decide(to))
