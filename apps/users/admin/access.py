"""Sign-in goes through the account pages, and secrets of sign-ins are not shown."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from apps.core.admin_base import site

# Rights come from roles alone, and secrets of sign-ins are nobody's to read.
for model in (
    Authenticator,
    BlacklistedToken,
    EmailAddress,
    Group,
    OutstandingToken,
    SocialAccount,
    SocialApp,
    SocialToken,
    UserSession,
):
    if site.is_registered(model):
        site.unregister(model)


def sign_in(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """The admin's own sign-in page knows no second factor, so nobody gets to see it."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"), settings.LOGIN_URL)
    if not request.user.is_staff:
        raise PermissionDenied
    return redirect("admin:index")


def change_password(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """The account page also ends what was signed in with the old password."""
    return redirect("account_change_password")


site.login = sign_in  # type: ignore[method-assign]
site.password_change = change_password  # type: ignore[method-assign,assignment]
