"""Decisions and presence intervals are kept for a while, then they leave."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from apps.core.retention import Kind, older_than

from ..models import Decision, Offer, PresenceInterval


def _old_decisions(before: datetime) -> QuerySet[Decision]:
    """But for those that ring now."""
    live = Exists(Offer.objects.live().filter(decision=OuterRef("pk")))
    return older_than(Decision.objects.all(), field="at", before=before).filter(~live)


def _delete_decisions(ids: list[int]) -> None:
    """The offers stay: who was rung when is the history of the item."""
    Offer.objects.filter(decision__in=ids).update(decision=None)
    Decision.objects.filter(pk__in=ids).delete()


def _old_intervals(before: datetime) -> QuerySet[PresenceInterval]:
    """Those that ended before; the open one of each agent stays."""
    begun = older_than(PresenceInterval.objects.all(), field="started_at", before=before)
    return begun.filter(ended_at__lt=before)


def _delete_intervals(ids: list[int]) -> None:
    PresenceInterval.objects.filter(pk__in=ids).delete()


DECISIONS = Kind("decisions", _old_decisions, _delete_decisions)
PRESENCE = Kind("presence", _old_intervals, _delete_intervals)
KINDS = (DECISIONS, PRESENCE)
