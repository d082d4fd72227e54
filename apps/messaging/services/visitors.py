"""Customers at the chat: a secret token in their browser is the key to one conversation."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.users.models import Customer

from .. import errors
from ..models import Conversation, Inbox, VisitorSession
from . import conversations

SESSION_PERIOD = timedelta(days=30)


@dataclasses.dataclass(frozen=True, slots=True)
class Visitor:
    """Who holds a valid token. He acts as the customer of his conversation, and only there."""

    session_id: int
    conversation_id: int
    customer_id: int

    @property
    def actor_ref(self) -> str:
        return f"customer:{self.customer_id}"


def open_chat(
    inbox: Inbox,
    *,
    customer: Customer,
    body: str,
    start_key: UUID,
    now: datetime,
    is_left_message: bool = False,
) -> tuple[Conversation, str]:
    """Start a conversation and return it with the visitor's token.

    May be repeated with the same `start_key`: the same conversation, a fresh token, no second message.
    """
    with transaction.atomic():
        conversation = Conversation.objects.filter(start_key=start_key).first()
        if conversation is None:
            conversation = _start_once(inbox, customer, body, start_key, now, is_left_message)
        elif conversation.inbox_id != inbox.pk:
            raise errors.InboxNotFound
        return conversation, _new_token(conversation, now=now)


def _start_once(
    inbox: Inbox, customer: Customer, body: str, start_key: UUID, now: datetime, is_left_message: bool
) -> Conversation:
    try:
        with transaction.atomic():
            return conversations.start(
                inbox,
                customer=customer,
                body=body,
                now=now,
                client_msg_id=start_key,
                start_key=start_key,
                is_left_message=is_left_message,
            )
    except IntegrityError:
        # The same start arrived twice at once; the other one won.
        return Conversation.objects.get(start_key=start_key)


def authenticate(token: str, *, now: datetime) -> Visitor | None:
    """Whose token this is; None when it is unknown or over."""
    session = (
        VisitorSession.objects.select_related("conversation")
        .filter(token_hash=_hash(token), expires_at__gt=now)
        .first()
    )
    if session is None:
        return None
    return Visitor(session.pk, session.conversation_id, session.conversation.customer_id)


def _new_token(conversation: Conversation, *, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    VisitorSession.objects.create(
        conversation=conversation, token_hash=_hash(token), created_at=now, expires_at=now + SESSION_PERIOD
    )
    return token


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
