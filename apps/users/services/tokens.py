"""Tokens of API clients: a short-lived access token, and a refresh token that is good for one use."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token
from rest_framework_simplejwt.utils import datetime_from_epoch

from .. import errors
from ..choices import SignOutReason
from ..models import User
from . import sign_ins, signing

EPOCH_CLAIM = "epoch"
_ID = re.compile(r"[0-9]{1,18}", re.ASCII)
# Ours have less than 600 characters; nobody makes us verify a signature over a book.
MOST_CHARACTERS = 2_000


class Pair(NamedTuple):
    access: str
    refresh: str


class Access(AccessToken):
    def get_token_backend(self) -> signing.KeyRing:
        return signing.ring


class Refresh(RefreshToken):
    access_token_class = Access

    def get_token_backend(self) -> signing.KeyRing:
        return signing.ring

    def check_blacklist(self) -> None:
        """Not while parsing: it is looked at under the user's lock, so that two uses at once are told apart."""


def issue(user: User) -> Pair:
    """A fresh pair. Only the refresh token's id is kept, never the token."""
    refresh = Refresh()
    refresh[api_settings.USER_ID_CLAIM] = str(user.pk)
    refresh[EPOCH_CLAIM] = user.sign_in_epoch
    OutstandingToken.objects.create(
        user=user,
        jti=refresh[api_settings.JTI_CLAIM],
        created_at=refresh.current_time,
        expires_at=datetime_from_epoch(refresh["exp"]),
    )
    return Pair(access=str(refresh.access_token), refresh=str(refresh))


def rotate(raw: str) -> Pair:
    """A new pair for an unused refresh token.

    TokenInvalid when it is not one of ours or its sign-in ended; TokenReused when it was used before: then somebody has
    a copy, and the user is signed out everywhere.
    """
    token = _parsed(raw)
    with transaction.atomic():
        user, is_first = _use(token)
        if is_first:
            return issue(user)
        sign_ins.end_all(user, by=user, reason=SignOutReason.TOKEN_REUSED)
    raise errors.TokenReused


def revoke(raw: str) -> User:
    """Use a refresh token up without a new one: signing out. Revoking it again changes nothing."""
    token = _parsed(raw)
    with transaction.atomic():
        user, _ = _use(token)
        return user


def user_of(token: Token) -> QuerySet[User]:
    """The active user the token was made for, if its sign-in has not ended: one row or none."""
    user_id, epoch = token.get(api_settings.USER_ID_CLAIM), token.get(EPOCH_CLAIM)
    # Only the types we write; the database must not be asked for whatever stands in a token.
    if type(user_id) is not str or not _ID.fullmatch(user_id) or type(epoch) is not int:
        return User.objects.none()
    return User.objects.filter(pk=int(user_id), sign_in_epoch=epoch, is_active=True)


def _parsed(raw: str) -> Refresh:
    if len(raw) > MOST_CHARACTERS:
        raise errors.TokenInvalid
    try:
        return Refresh(raw)  # type: ignore[arg-type]  # its stubs say Token, its docs the text of one
    except TokenError:
        raise errors.TokenInvalid from None


def _use(token: Refresh) -> tuple[User, bool]:
    user = user_of(token).select_for_update().first()
    if user is None:
        # A token of an ended sign-in is merely old, not stolen: no reason to sign out whoever signed in since.
        raise errors.TokenInvalid
    known = OutstandingToken.objects.filter(user=user, jti=token[api_settings.JTI_CLAIM]).first()
    if known is None:
        raise errors.TokenInvalid
    return user, BlacklistedToken.objects.get_or_create(token=known)[1]
