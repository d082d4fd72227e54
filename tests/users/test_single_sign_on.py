"""Z34: single sign-on lets in who works here already, and nobody else."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.internal.flows.login import complete_login
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.test import RequestFactory

from apps.users.choices import Role
from apps.users.models import User
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def provider(settings) -> None:
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "APPS": [
                {
                    "provider_id": "sso",
                    "name": "SSO",
                    "client_id": "eml",
                    "secret": "s",
                    "settings": {"server_url": "http://127.0.0.1:1"},
                }
            ]
        }
    }


def come_in(email: str, *, is_verified: bool = True, uid: str = "sub-1", process: str = "login") -> tuple:
    """What happens after the provider has sent somebody back to us; returns the answer and who is signed in."""
    request = RequestFactory().get("/account/oidc/sso/login/callback/")
    SessionMiddleware(lambda r: HttpResponse()).process_request(request)
    MessageMiddleware(lambda r: HttpResponse()).process_request(request)
    request.user = AnonymousUser()
    login = SocialLogin(
        provider=get_adapter(request).get_provider(request, "sso"),
        user=User(email=email),
        account=SocialAccount(provider="sso", uid=uid, extra_data={}),
        email_addresses=[EmailAddress(email=email, verified=is_verified, primary=True)],
    )
    login.state = {"process": process}
    with context.request_context(request):
        answer = complete_login(request, login)
    return answer, request.session.get("_auth_user_id")


def test_a_user_is_linked_by_his_verified_address():
    user = make_user(Role.SUPERVISOR, email="ana@example.com", password="kept password")
    answer, signed_in = come_in("Ana@Example.com")
    assert signed_in == str(user.pk)
    assert answer.url == "/admin/"
    assert SocialAccount.objects.get().user == user
    user.refresh_from_db()
    assert user.check_password("kept password")
    assert come_in("moved@example.com")[1] == str(user.pk)  # from now on the account counts, not the address


@pytest.mark.parametrize(
    "case",
    [
        {"email": "nobody@example.com"},
        {"email": "ana@example.com", "is_verified": False},
        {"email": "off@example.com"},
        {"email": "ana@example.com", "process": "connect"},
    ],
    ids=["unknown", "unverified", "switched off", "unverified connect while signed out"],
)
def test_z34_everybody_else_is_sent_away(case):
    make_user(email="ana@example.com")
    make_user(email="off@example.com", is_active=False)
    if case.get("process"):
        case["is_verified"] = False
    before = User.objects.count()
    answer, signed_in = come_in(**case)
    assert signed_in is None
    assert answer.url == "/account/login/"
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == before


def test_z34_a_linked_account_of_somebody_switched_off_is_refused():
    user = make_user(email="ana@example.com")
    come_in("ana@example.com")
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert come_in("ana@example.com")[1] is None


def test_z34_another_account_with_the_same_address_is_refused():
    make_user(email="ana@example.com")
    come_in("ana@example.com")
    _answer, signed_in = come_in("ana@example.com", uid="sub-2")
    assert signed_in is None
    assert SocialAccount.objects.count() == 1
