"""Decisions, presence intervals and callbacks are kept for a while, then they leave."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from apps.core.retention import Kind, older_than

from ..choices import CallbackState
from ..models import Callback, Decision, Offer, PresenceInterval


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


def _old_callbacks(before: datetime) -> QuerySet[Callback]:
    """Those that ended before, with the numbers customers left; an open one stays, however old it is."""
    asked = older_than(Callback.objects.all(), field="requested_at", before=before)
    return asked.exclude(state=CallbackState.REQUESTED).filter(ended_at__lt=before)


def _delete_callbacks(ids: list[int]) -> None:
    Callback.objects.filter(pk__in=ids).delete()


DECISIONS = Kind("decisions", _old_decisions, _delete_decisions)
PRESENCE = Kind("presence", _old_intervals, _delete_intervals)
CALLBACKS = Kind("callbacks", _old_callbacks, _delete_callbacks)
KINDS = (DECISIONS, PRESENCE, CALLBACKS)
