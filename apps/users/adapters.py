"""Where allauth's sign-in pages meet our rules: nobody signs up, roles decide where work begins."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from . import policy
from .choices import SignOutReason
from .models import User
from .permissions import user_of
from .services import people


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return policy.home_path(policy.highest(user_of(request).roles))

    def set_password(self, user: User, password: str) -> None:
        """Changed or reset: other browsers, tokens and sockets end with the old password."""
        people.set_password(user, password, by=user)
        user.refresh_from_db()


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Single sign-on lets in who works here already; it never makes a user."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Let a known account in, link an unknown one to its user, and send everybody else away."""
        if sociallogin.is_existing:
            user = sociallogin.user
        elif request.user.is_authenticated and sociallogin.state.get("process") == AuthProcess.CONNECT:
            return
        elif user := _user_to_link(sociallogin):
            sociallogin.connect(request, user)
        if user is None or not user.is_active:
            messages.error(request, _("There is no account here for this sign-in. Ask your supervisor."))
            raise ImmediateHttpResponse(redirect("account_login"))


def _user_to_link(sociallogin: SocialLogin) -> User | None:
    """The active user with an address that the provider has verified: an unverified one proves nothing.

    Not if he is linked to another account of the provider: then the address changed hands there.
    """
    verified = [address.email.lower() for address in sociallogin.email_addresses if address.verified]
    linked = SocialAccount.objects.filter(provider=sociallogin.account.provider).values("user")
    return User.objects.filter(email__in=verified, is_active=True).exclude(id__in=linked).first()


def second_factor_changed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Receiver of allauth's signals: whatever was signed in without this second factor ends, but for this browser."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        return
    user = people.sign_out_everywhere(user, by=user, reason=SignOutReason.SECOND_FACTOR_CHANGED)
    update_session_auth_hash(request, user)
    UserSession.objects.create_from_request(request)
