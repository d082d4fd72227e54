"""Questions about conversations, scoped to who asks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet

from apps.core.models import Event
from apps.users import selectors as people
from apps.users.choices import Role
from apps.users.models import User

from .choices import WRITTEN_KINDS, InboxKind
from .models import (
    Arrival,
    ArrivalQuerySet,
    Attachment,
    CannedReply,
    Conversation,
    ConversationQuerySet,
    Disposition,
    Inbox,
    Message,
    Note,
    VisitorSession,
    stream,
)

# Longer than any number we give out.
_MOST_ID_DIGITS = 15


def conversations_visible_to(user: User) -> ConversationQuerySet:
    """Administrators see all; everybody else what belongs to his teams."""
    if user.has_role(Role.ADMIN):
        return Conversation.objects.all()
    if not user.has_role(Role.AGENT):
        return Conversation.objects.none()
    return Conversation.objects.filter(team_id__in=user.teams.values("id"))


def with_names(conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Ready to be listed: two queries, however many."""
    related = ("inbox", "customer", "team", "agent", "disposition")
    return conversations.select_related(*related).prefetch_related("tags")


def search_conversations(
    user: User, conversations: QuerySet[Conversation], text: str
) -> QuerySet[Conversation]:
    """Those whose number is `text`, or whose customer is found by it (name, whole e-mail or phone, external id)."""
    text = text.strip()
    found = Q(customer_id__in=people.search_customers(user, text).values("id"))
    if text.isascii() and text.isdigit() and len(text) <= _MOST_ID_DIGITS:
        found |= Q(id=int(text))
    return conversations.filter(found)


def messages_of(conversation_id: int, *, after_seq: int = 0) -> QuerySet[Message]:
    """In order, with what is needed to show them; two queries however many."""
    shown = Message.objects.filter(conversation_id=conversation_id, seq__gt=after_seq).order_by("seq")
    files = Prefetch("attachments", Attachment.objects.order_by("created_at"))
    return shown.select_related("user").prefetch_related(files)


def notes_of(conversation_id: int) -> QuerySet[Note]:
    return Note.objects.filter(conversation_id=conversation_id).select_related("author").order_by("id")


def timeline_of(conversation_id: int) -> QuerySet[Event]:
    """Everything that happened, oldest first; what was said is in the messages."""
    return Event.objects.filter(stream=stream(conversation_id)).order_by("id")


def attachments_visible_to(user: User) -> QuerySet[Attachment]:
    return Attachment.objects.filter(conversation__in=conversations_visible_to(user))


def arrivals_visible_to(user: User) -> ArrivalQuerySet:
    """What was held back: administrators see all, supervisors what came to inboxes of their teams."""
    held = Arrival.objects.once_held()
    if user.has_role(Role.ADMIN):
        return held
    if not user.has_role(Role.SUPERVISOR):
        return held.none()
    return held.filter(inbox__team__in=user.teams.values("id"))


def written_inboxes_of(user: User) -> QuerySet[Inbox]:
    """Where he may put what arrives by e-mail or SMS."""
    return Inbox.objects.filter(
        kind__in=WRITTEN_KINDS, is_active=True, team__in=people.teams_visible_to(user)
    )


def attachment_of_conversation(attachment_id: UUID, *, conversation_id: int) -> Attachment | None:
    return Attachment.objects.filter(id=attachment_id, conversation_id=conversation_id).first()


def active_inboxes() -> QuerySet[Inbox]:
    """Those with a chat page."""
    return Inbox.objects.filter(is_active=True, kind=InboxKind.CHAT).select_related("team")


def active_dispositions() -> QuerySet[Disposition]:
    return Disposition.objects.filter(is_active=True)


def canned_replies_for(user: User, *, team_id: int | None = None) -> QuerySet[CannedReply]:
    """Those for all teams and those of the user's teams (of one of them, if given)."""
    teams = people.teams_visible_to(user)
    if team_id is not None:
        teams = teams.filter(id=team_id)
    return CannedReply.objects.filter(Q(team=None) | Q(team__in=teams))


def visitor_state(conversation_id: int) -> dict[str, Any]:
    """What the customer's screen starts from. No name of a person but the agent's short one, no ids of ours."""
    conversation = Conversation.objects.select_related("agent", "customer").get(id=conversation_id)
    return {
        "conversation": conversation.pk,
        "status": str(conversation.status),
        "last_seq": conversation.last_seq,
        "agent_name": conversation.agent.get_short_name() if conversation.agent else None,
        "read_seq": conversation.agent_read_seq,
        "customer_name": conversation.customer.name,
    }


class LiveSession(NamedTuple):
    customer_id: int
    last_seq: int


def live_sessions(session_ids: Collection[int], *, now: datetime) -> dict[int, LiveSession]:
    """Those that are not over, with the newest seq of their conversation."""
    live = VisitorSession.objects.filter(id__in=session_ids, expires_at__gt=now)
    rows = live.values_list("id", "conversation__customer_id", "conversation__last_seq")
    return {session_id: LiveSession(customer_id, last_seq) for session_id, customer_id, last_seq in rows}


class Watched(NamedTuple):
    team_id: int
    last_seq: int


def watched(conversation_ids: Collection[int]) -> dict[int, Watched]:
    rows = Conversation.objects.filter(id__in=conversation_ids).values_list("id", "team_id", "last_seq")
    return {conversation_id: Watched(team_id, last_seq) for conversation_id, team_id, last_seq in rows}
