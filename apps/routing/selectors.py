"""Questions about the line and the people, scoped to who asks."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from apps.users.choices import Role
from apps.users.models import User

from .choices import ItemState
from .models import Agent, Decision, Item, Offer, Queue


def queues_visible_to(user: User) -> QuerySet[Queue]:
    if user.has_role(Role.ADMIN):
        return Queue.objects.all()
    if not user.has_role(Role.AGENT):
        return Queue.objects.none()
    return Queue.objects.filter(team_id__in=user.teams.values("id"))


def agents_visible_to(user: User) -> QuerySet[Agent]:
    """Oneself; supervisors their teams; administrators all."""
    if user.has_role(Role.ADMIN):
        return Agent.objects.all()
    if user.has_role(Role.SUPERVISOR):
        return Agent.objects.filter(user__teams__in=user.teams.values("id")).distinct()
    return Agent.objects.filter(user=user)


def live_offers_of(user: User) -> QuerySet[Offer]:
    related = ("item__queue", "item__conversation__customer", "item__conversation__inbox", "decision")
    return Offer.objects.live().filter(agent__user=user).select_related(*related).order_by("offered_at")


def decisions_of(conversation_id: int) -> QuerySet[Decision]:
    rows = Decision.objects.filter(item__conversation_id=conversation_id)
    return rows.select_related("agent__user", "queue", "offer").order_by("-id")


def position(item: Item) -> int | None:
    """1 for the next one; None when it does not wait in line (any more)."""
    if item.state not in (ItemState.WAITING, ItemState.OFFERED):
        return None
    before = Q(line_key__lt=item.line_key) | Q(line_key=item.line_key, id__lt=item.pk)
    return Item.objects.waiting().filter(before, queue_id=item.queue_id).count() + 1


def is_staffed(queue: Queue, *, now: datetime) -> bool:
    """Whether anybody of the queue's team is signed in."""
    return Agent.objects.connected(now).filter(user__teams=queue.team_id, user__is_active=True).exists()
