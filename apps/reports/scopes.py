"""Who may read what of the event log: administrators all of it, supervisors what their teams' work is about."""

from __future__ import annotations

from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from apps.messaging.selectors import conversations_visible_to
from apps.notifications.selectors import campaigns_visible_to
from apps.routing.selectors import agents_visible_to, queues_visible_to
from apps.users.choices import Role
from apps.users.models import User
from apps.users.selectors import customers_visible_to, users_visible_to


def visible_events(user: User) -> Q:
    """A condition on `stream`. Streams of a kind that is not named here are for administrators."""
    if user.has_role(Role.ADMIN):
        return Q()
    if not user.has_role(Role.SUPERVISOR):
        return Q(pk__in=[])
    kinds = {
        "conversation": conversations_visible_to(user),
        "agent": agents_visible_to(user),
        "queue": queues_visible_to(user),
        "customer": customers_visible_to(user),
        "user": users_visible_to(user),
        "campaign": campaigns_visible_to(user),
    }
    condition = Q(pk__in=[])
    for kind, rows in kinds.items():
        condition |= Q(stream__in=_streams(kind, rows))
    # Sending queues belong to no team: whoever may pause them sees who did.
    return condition | Q(stream__startswith="sending:")


def _streams(kind: str, rows: QuerySet) -> QuerySet:
    name = Concat(Value(f"{kind}:"), Cast("pk", CharField()), output_field=CharField())
    return rows.order_by().annotate(stream_name=name).values("stream_name")
