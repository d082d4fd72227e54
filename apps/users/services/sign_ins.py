"""The end of everything a user is signed in with: sessions, tokens, tickets."""

from __future__ import annotations

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.db.models import F
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from apps.core import events
from apps.core.events import Actor

from ..choices import SignOutReason
from ..events import UserSignedOut
from ..models import Ticket, User


def end_all(user: User, *, by: Actor, reason: SignOutReason) -> None:
    """Call inside a transaction that holds the user's row lock. Open sockets close after the commit.

    The epoch alone makes every session cookie and token worthless; the rest is tidied up so that nobody shows it.
    """
    User.objects.filter(pk=user.pk).update(sign_in_epoch=F("sign_in_epoch") + 1)
    user.refresh_from_db(fields=["sign_in_epoch"])
    get_adapter().end_sessions(UserSession.objects.filter(user=user))
    unused = OutstandingToken.objects.filter(user=user, blacklistedtoken=None)
    BlacklistedToken.objects.bulk_create(
        (BlacklistedToken(token=token) for token in unused), ignore_conflicts=True
    )
    Ticket.objects.filter(user=user).delete()
    events.record(UserSignedOut(user=user.pk, reason=reason), stream=user.actor_ref, actor=by)
