"""Tokens over the API: Z25, Z26, Z33, Z36, Z40."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from axes.models import AccessAttempt
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from apps.core.models import Event
from apps.users import errors
from apps.users.choices import Role
from apps.users.models import User
from apps.users.services import cleaning, tokens
from tests.factories import make_team, make_user
from tests.users.conftest import PASSWORD

pytestmark = pytest.mark.django_db
ME = "/api/v1/me/"
SECRET = totp.generate_totp_secret()


@pytest.fixture
def user(db) -> User:
    return make_user(email="ana@example.com", password=PASSWORD)


def sign_in(email: str = "ana@example.com", password: str = PASSWORD, **extra):
    client = APIClient(REMOTE_ADDR=extra.pop("address", "192.0.2.1"))
    return client.post("/api/v1/auth/token/", {"email": email, "password": password} | extra)


def refresh(token: str):
    return APIClient().post("/api/v1/auth/token/refresh/", {"refresh": token})


def me_with(token: str):
    return APIClient().get(ME, headers={"authorization": f"Bearer {token}"})


def totp_code() -> str:
    return totp.format_hotp_value(totp.hotp_value(SECRET, int(time.time()) // 30))


# Signing in


def test_a_token_tells_who_asks(user):
    pair = sign_in().json()
    assert me_with(pair["access"]).json()["email"] == "ana@example.com"
    assert set(pair) == {"access", "refresh"}


def test_a_refresh_token_is_not_kept(user):
    pair = sign_in().json()
    assert pair["refresh"] not in str(list(OutstandingToken.objects.values()))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ana@example.com"},
        {"email": 1, "password": "x"},
        {"email": ["a"], "password": {"$gt": ""}},
    ],
)
def test_a_sign_in_without_its_fields_is_a_bad_request(body, user):
    assert APIClient().post("/api/v1/auth/token/", body).status_code == 400


def test_b10_a_role_cannot_be_asked_for(user):
    answer = sign_in(role="admin")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")


def test_z25_z33_wrong_password_unknown_user_and_switched_off_look_alike(user):
    make_user(email="off@example.com", password=PASSWORD, is_active=False)
    answers = [sign_in(password="wrong"), sign_in("nobody@example.com"), sign_in("off@example.com")]
    for answer in answers:
        assert answer.status_code == 401
        body = answer.json()
        del body["request_id"]
        assert body == {
            "type": "authentication_error",
            "code": "wrong_credentials",
            "detail": "The e-mail address or the password is wrong.",
            "fields": {},
        }


def test_z33_unknown_and_known_users_cost_the_same_number_of_hashes(user, monkeypatch):
    from django.contrib.auth.hashers import MD5PasswordHasher

    hashes: list[str] = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(
        MD5PasswordHasher, "encode", lambda self, *args: hashes.append("x") or encode(self, *args)
    )
    counts = []
    for email in ("ana@example.com", "nobody@example.com"):
        hashes.clear()
        sign_in(email, "wrong")
        counts.append(len(hashes))
    assert counts[0] == counts[1] > 0


def test_z33_eight_wrong_passwords_lock_the_address_out(user):
    for spelling in ["ana@example.com", "ANA@example.com"] * 4:
        answer = sign_in(spelling, "wrong")
    assert (answer.status_code, answer.json()["code"]) == (429, "locked_out")
    assert answer["Retry-After"] == "600"
    assert sign_in().status_code == 429  # even with the right one
    assert sign_in(address="192.0.2.2").status_code == 200  # somebody else locks nobody out


def test_z33_a_success_in_between_and_a_forged_address_do_not_help(user):
    client = APIClient(REMOTE_ADDR="192.0.2.1")
    for n in range(8):
        body = {"email": "ana@example.com", "password": PASSWORD if n == 4 else "wrong"}
        answer = client.post("/api/v1/auth/token/", body, headers={"x-forwarded-for": f"198.51.100.{n}"})
    assert sign_in(password="wrong").status_code == 429
    assert AccessAttempt.objects.get().ip_address == "192.0.2.1"
    assert answer["Content-Type"] == "application/json"


def test_z33_the_network_may_not_try_many_names(user):
    for n in range(21):
        answer = sign_in(f"person{n}@example.com")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


# The second factor


def test_z40_a_second_factor_is_asked_for_and_used_once(user):
    totp.TOTP.activate(user, SECRET)
    assert sign_in().json()["code"] == "code_required"
    code = totp_code()
    assert sign_in(code=code).status_code == 200
    assert sign_in(code=code).json()["code"] == "code_wrong"


def test_z40_a_recovery_code_works_once(user):
    totp.TOTP.activate(user, SECRET)
    code = RecoveryCodes.activate(user).get_unused_codes()[0]
    assert sign_in(code=code).status_code == 200
    assert sign_in(code=code).json()["code"] == "code_wrong"


def test_z40_guessing_codes_locks_out_like_guessing_passwords(user):
    totp.TOTP.activate(user, SECRET)
    for n in range(7):
        assert sign_in(code=f"00000{n}").status_code == 401
    assert sign_in(code="000007").status_code == 429
    assert sign_in(code=totp_code()).status_code == 429


def test_z40_where_it_is_required_a_supervisor_gets_no_token_without_it(settings):
    settings.REQUIRE_MFA = True
    boss = make_user(Role.SUPERVISOR, email="boss@example.com", password=PASSWORD)
    make_user(email="ana@example.com", password=PASSWORD)
    answer = sign_in("boss@example.com")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_missing")
    assert sign_in("ana@example.com").status_code == 200  # agents need none
    totp.TOTP.activate(boss, SECRET)
    assert sign_in("boss@example.com", code=totp_code()).status_code == 200


# Refreshing and leaving


def test_a_refresh_token_gives_the_next_pair(user):
    pair = refresh(sign_in().json()["refresh"]).json()
    assert me_with(pair["access"]).status_code == 200
    assert refresh(pair["refresh"]).status_code == 200


def test_z36_a_refresh_token_used_again_ends_the_whole_family(user):
    first = sign_in().json()
    second = refresh(first["refresh"]).json()
    answer = refresh(first["refresh"])
    assert (answer.status_code, answer.json()["code"]) == (401, "token_reused")
    assert me_with(second["access"]).status_code == 401
    assert refresh(second["refresh"]).json()["code"] == "token_invalid"
    event = Event.objects.get(type="users.user.signed_out")
    assert event.payload == {"user": user.pk, "reason": "token_reused"}


def test_z36_an_old_token_of_an_ended_sign_in_ends_nothing_new(user):
    first = sign_in().json()
    refresh(first["refresh"])
    refresh(first["refresh"])
    again = sign_in().json()
    assert refresh(first["refresh"]).json()["code"] == "token_invalid"
    assert me_with(again["access"]).status_code == 200


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_z36_two_uses_at_once_are_one_and_a_theft():
    user = make_user()
    token = tokens.issue(user).refresh
    barrier, outcomes = threading.Barrier(2), []

    def rotate() -> None:
        barrier.wait()
        try:
            tokens.rotate(token)
            outcomes.append("rotated")
        except errors.TokenReused as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["rotated", "token_reused"]
    assert User.objects.get(pk=user.pk).sign_in_epoch == 1


def test_signing_out_ends_the_refresh_token(user):
    pair = sign_in().json()
    assert APIClient().post("/api/v1/auth/logout/", {"refresh": pair["refresh"]}).status_code == 204
    assert refresh(pair["refresh"]).status_code == 401


def test_z29_signing_out_everywhere_ends_the_others_too(user):
    one, other = sign_in().json(), sign_in().json()
    body = {"refresh": one["refresh"], "everywhere": True}
    assert APIClient().post("/api/v1/auth/logout/", body).status_code == 204
    assert me_with(other["access"]).status_code == 401
    assert refresh(other["refresh"]).status_code == 401


@pytest.mark.parametrize("path", ["auth/token/refresh/", "auth/logout/"])
@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 100_000])
def test_z25_what_is_no_refresh_token_is_refused(path, token):
    answer = APIClient().post(f"/api/v1/{path}", {"refresh": token})
    assert answer.status_code in (400, 401)
    assert set(answer.json()) == {"type", "code", "detail", "fields", "request_id"}


def test_old_tokens_are_thrown_away(user):
    tokens.issue(user)
    cleaning.delete_expired(now=timezone.now())
    assert OutstandingToken.objects.count() == 1
    cleaning.delete_expired(now=timezone.now() + timedelta(days=2))
    assert not OutstandingToken.objects.exists()


def test_z26_a_token_in_the_address_is_nobody(user):
    access = tokens.issue(user).access
    for name in ("token", "access_token", "authorization", "jwt"):
        assert APIClient().get(ME, {name: access}).status_code == 401


def test_whoever_has_no_token_is_asked_for_one():
    answer = APIClient().get(ME)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


# Sessions and tickets


def test_z30_a_session_needs_the_csrf_token(user):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.get(ME).status_code == 200
    answer = client.patch(ME, {"name": "Other"})
    assert answer.status_code == 403
    assert client.patch(ME, {"name": "Other"}, headers={"x-csrftoken": "x" * 32}).status_code == 403


def test_a_ticket_is_for_agents_who_are_signed_in(user, api_as):
    answer = api_as(user).post("/api/v1/auth/ticket/")
    assert answer.json()["expires_in"] == 30
    assert APIClient().post("/api/v1/auth/ticket/").status_code == 401
    assert api_as(make_user(None, [make_team()])).post("/api/v1/auth/ticket/").status_code == 403


def test_a_second_factor_leaves_no_secret_in_the_answers(user):
    totp.TOTP.activate(user, SECRET)
    stored = Authenticator.objects.get().data["secret"]
    assert stored not in sign_in().content.decode()
