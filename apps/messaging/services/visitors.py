"""Customers at the chat: a secret token in their browser is the key to one conversation."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.core.errors import EMLError, Invalid
from apps.core.events import SYSTEM
from apps.users import contacts
from apps.users.choices import ContactKind
from apps.users.models import Customer
from apps.users.services import customers
from apps.users.services.customers import Contact

from .. import errors
from ..models import Conversation, Inbox, VisitorSession
from . import conversations

SESSION_PERIOD = timedelta(days=30)
MOST_TOKEN_CHARACTERS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Visitor:
    """Who holds a valid token. He acts as the customer of his conversation, and only there."""

    session_id: int
    conversation_id: int
    customer_id: int

    # For the API's limits and permissions; he is no user.
    is_authenticated: ClassVar[bool] = True

    @property
    def actor_ref(self) -> str:
        return f"customer:{self.customer_id}"


@dataclasses.dataclass(frozen=True, slots=True)
class Claims:
    """What a visitor says about himself. Nobody has checked it: addresses are kept as unverified."""

    name: str = ""
    email: str = ""
    phone: str = ""
    time_zone: str = ""
    language: str = ""


def open_chat(
    inbox: Inbox,
    *,
    claims: Claims,
    body: str,
    start_key: UUID,
    now: datetime,
    is_left_message: bool = False,
    previous_token: str = "",
) -> tuple[Conversation, str]:
    """Start a conversation and return it with the visitor's token.

    May be repeated with the same `start_key`: the same conversation, a fresh token, no second message, as long as its
    tokens may live (else ConversationIsClosed). With `previous_token` of this inbox the customer record is kept.
    """
    with transaction.atomic():
        conversation = Conversation.objects.filter(start_key=start_key).first()
        if conversation is None:
            conversation = _start_once(
                inbox,
                claims=claims,
                body=body,
                start_key=start_key,
                now=now,
                is_left_message=is_left_message,
                previous_token=previous_token,
            )
        if conversation.inbox_id != inbox.pk:
            raise errors.InboxNotFound
        return conversation, _new_token(conversation, now=now)


def _start_once(
    inbox: Inbox,
    *,
    claims: Claims,
    body: str,
    start_key: UUID,
    now: datetime,
    is_left_message: bool,
    previous_token: str,
) -> Conversation:
    try:
        with transaction.atomic():
            return conversations.start(
                inbox,
                customer=_customer(inbox, claims=claims, previous_token=previous_token, now=now),
                body=body,
                now=now,
                client_msg_id=start_key,
                start_key=start_key,
                is_left_message=is_left_message,
            )
    except IntegrityError:
        # The same start arrived twice at once; the other one won.
        if (started := Conversation.objects.filter(start_key=start_key).first()) is None:
            raise
        return started


def _customer(inbox: Inbox, *, claims: Claims, previous_token: str, now: datetime) -> Customer:
    claimed = _claimed_contacts(claims)
    known = _known_customer(inbox, claimed, previous_token=previous_token, now=now)
    if known is None:
        fields = {"name": claims.name, "time_zone": claims.time_zone, "language": claims.language}
        return customers.create(by=SYSTEM, contacts=claimed, teams=[inbox.team], **fields)
    for contact in claimed:
        customers.add_contact(known, kind=contact.kind, value=contact.value, by=SYSTEM)
    if claims.name and not known.name:
        customers.update(known, by=SYSTEM, name=claims.name)
    return known


def _known_customer(
    inbox: Inbox, claimed: list[Contact], *, previous_token: str, now: datetime
) -> Customer | None:
    """Whose earlier token this is; nobody if he now names another address: a browser may have two users."""
    visitor = authenticate(previous_token, now=now) if previous_token else None
    if visitor is None:
        return None
    known = Customer.objects.filter(
        id=visitor.customer_id,
        merged_into=None,
        conversations__inbox=inbox,
        conversations=visitor.conversation_id,
    ).first()
    if known is None:
        return None
    own = dict(known.contact_points.values_list("kind", "value"))
    is_other = any(own.get(contact.kind, contact.value) != contact.value for contact in claimed)
    return None if is_other else known


def _claimed_contacts(claims: Claims) -> list[Contact]:
    """Normalised; what is wrong with one is said at its field."""
    given = ((ContactKind.EMAIL, "email", claims.email), (ContactKind.PHONE, "phone", claims.phone))
    return [_contact(kind, field, value) for kind, field, value in given if value.strip()]


def _contact(kind: ContactKind, field: str, value: str) -> Contact:
    try:
        return Contact(kind, contacts.normalised(kind, value))
    except EMLError as error:
        raise Invalid(error.detail, code=error.code, fields={field: [str(error)]}) from None


def authenticate(token: str, *, now: datetime) -> Visitor | None:
    """Whose token this is; None when it is unknown or over."""
    if not 0 < len(token) <= MOST_TOKEN_CHARACTERS:
        return None
    session = (
        VisitorSession.objects.filter(token_hash=_hash(token), expires_at__gt=now)
        .values_list("id", "conversation_id", "conversation__customer_id")
        .first()
    )
    return Visitor(*session) if session else None


def delete_expired(*, now: datetime) -> int:
    return VisitorSession.objects.filter(expires_at__lte=now).delete()[0]


def _new_token(conversation: Conversation, *, now: datetime) -> str:
    expires_at = now + SESSION_PERIOD
    if conversation.closed_at is not None:
        expires_at = conversation.closed_at + conversations.RATING_PERIOD
        if expires_at <= now:
            raise errors.ConversationIsClosed
    token = secrets.token_urlsafe(32)
    VisitorSession.objects.create(
        conversation=conversation, token_hash=_hash(token), created_at=now, expires_at=expires_at
    )
    return token


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
