"""Questions about conversations, scoped to who asks."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet

from apps.users.choices import Role
from apps.users.models import User

from .models import Attachment, CannedReply, Conversation, Message


def conversations_visible_to(user: User) -> QuerySet[Conversation]:
    """Administrators see all; everybody else what belongs to his teams."""
    if user.has_role(Role.ADMIN):
        return Conversation.objects.all()
    if not user.has_role(Role.AGENT):
        return Conversation.objects.none()
    return Conversation.objects.filter(team_id__in=user.teams.values("id"))


def messages_of(conversation_id: int, *, after_seq: int = 0) -> QuerySet[Message]:
    """In order, with what is needed to show them; three queries however many."""
    shown = Message.objects.filter(conversation_id=conversation_id, seq__gt=after_seq).order_by("seq")
    return shown.select_related("user").prefetch_related(
        Prefetch("attachments", Attachment.objects.order_by("created_at"))
    )


def canned_replies_for(user: User, *, team_id: int | None = None) -> QuerySet[CannedReply]:
    shared = CannedReply.objects.filter(team=None)
    teams = [team_id] if team_id else user.teams.values("id")
    return shared | CannedReply.objects.filter(team_id__in=teams)


def last_seqs(conversation_ids: list[int]) -> dict[int, int]:
    return dict(Conversation.objects.filter(id__in=conversation_ids).values_list("id", "last_seq"))
