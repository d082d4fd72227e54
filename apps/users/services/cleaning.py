"""Rows that outlived their use: tickets, refresh tokens, sessions. May run any number of times."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from . import tickets


def delete_expired(*, now: datetime) -> None:
    tickets.delete_expired(now=now)
    OutstandingToken.objects.filter(expires_at__lte=now).delete()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
