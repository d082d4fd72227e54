"""One-time tickets: what lets a websocket in without a token in its address."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from ..models import Ticket, User

LIFETIME = timedelta(seconds=30)
MOST_CHARACTERS = 100


def issue(user: User, *, now: datetime) -> str:
    """A token that opens one websocket for this user, once, within 30 seconds."""
    token = secrets.token_urlsafe(32)
    Ticket.objects.create(
        token_hash=_hash(token), user=user, sign_in_epoch=user.sign_in_epoch, expires_at=now + LIFETIME
    )
    return token


def redeem(token: object, *, now: datetime) -> User | None:
    """The user of a ticket that is used here for the first time; None for everything else."""
    if not isinstance(token, str) or not 0 < len(token) <= MOST_CHARACTERS:
        return None
    ticket = Ticket.objects.select_related("user").filter(token_hash=_hash(token), expires_at__gt=now).first()
    if ticket is None:
        return None
    # Of several who redeem it at once, the one whose delete finds the row is let in.
    deleted, _ = Ticket.objects.filter(pk=ticket.pk).delete()
    if not deleted or not ticket.user.is_active or ticket.user.sign_in_epoch != ticket.sign_in_epoch:
        return None
    return ticket.user


def delete_expired(*, now: datetime) -> int:
    return Ticket.objects.filter(expires_at__lte=now).delete()[0]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
