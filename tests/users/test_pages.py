"""Signing in with a browser: redirects, second factor (Z40), lockout page (Z33), language and time zone, profile."""

from __future__ import annotations

import asyncio

import pytest
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from asgiref.sync import markcoroutinefunction
from django.db import connections
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.utils import timezone, translation

from apps.users.choices import Role
from apps.users.middleware import ViewerMiddleware
from apps.users.models import User
from tests.factories import make_team, make_user
from tests.users.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/account/login/"
ACTIVATE = "/account/2fa/totp/activate/"


def sign_in(user: User, password: str = PASSWORD, client: Client | None = None, **extra):
    return (client or Client()).post(LOGIN, {"login": user.email, "password": password}, **extra)


@pytest.mark.parametrize(
    ("role", "path"),
    [
        (Role.AGENT, "/console/"),
        (Role.SUPERVISOR, "/admin/"),
        (Role.ADMIN, "/admin/"),
        (None, "/account/profile/"),
    ],
)
def test_work_begins_where_the_role_belongs(role, path):
    client = Client()
    answer = sign_in(make_user(role, password=PASSWORD), client=client)
    assert (answer.status_code, answer.url) == (302, path)
    assert client.get("/account/home/").url == path


def test_z30_nobody_is_sent_to_a_foreign_site():
    user = make_user(password=PASSWORD)
    answer = Client().post(
        LOGIN, {"login": user.email, "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert answer.url == "/console/"


def test_nobody_signs_up():
    body = {"email": "new@example.com", "password1": PASSWORD}
    assert "Accounts are made by supervisors" in Client().post("/account/signup/", body).content.decode()
    assert not User.objects.exists()


def test_z33_a_wrong_password_tells_nothing_about_the_account():
    user = make_user(password=PASSWORD)
    known, unknown = sign_in(user, "wrong"), sign_in(User(email="nobody@example.com"), "wrong")
    assert known.status_code == unknown.status_code == 200
    assert "not correct" in known.content.decode()
    assert "not correct" in unknown.content.decode()


def test_z33_the_page_after_too_many_tries(settings):
    settings.ACCOUNT_RATE_LIMITS = False
    user = make_user(password=PASSWORD)
    for _ in range(8):
        answer = sign_in(user, "wrong")
    assert answer.status_code == 429
    assert answer["Retry-After"] == "600"
    assert "Too many attempts" in answer.content.decode()
    assert sign_in(user).status_code == 429
    assert sign_in(user, REMOTE_ADDR="192.0.2.9").status_code == 302


def test_z33_tries_at_the_page_and_at_the_api_are_counted_together(settings):
    settings.ACCOUNT_RATE_LIMITS = False
    user = make_user(password=PASSWORD)
    for n in range(4):
        sign_in(user, "wrong")
        body = {"email": user.email.upper(), "password": "wrong"}
        answer = Client().post("/api/v1/auth/token/", body, content_type="application/json")
        assert answer.status_code == (401 if n < 3 else 429)


def test_somebody_switched_off_is_told_so_only_with_the_right_password():
    user = make_user(password=PASSWORD, is_active=False)
    assert sign_in(user).url == "/account/inactive/"
    assert sign_in(user, "wrong").status_code == 200


# The second factor


def test_z40_a_browser_needs_the_code_as_well():
    user = make_user(password=PASSWORD)
    totp.TOTP.activate(user, totp.generate_totp_secret())
    client = Client()
    assert sign_in(user, client=client).url == "/account/2fa/authenticate/"
    assert "_auth_user_id" not in client.session


@pytest.fixture
def required(settings) -> None:
    settings.REQUIRE_MFA = True


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.ADMIN])
def test_z40_supervisors_set_up_a_second_factor_before_anything_else(role, required):
    client = Client()
    client.force_login(make_user(role))
    for path in ("/admin/", "/account/profile/", "/console/", "/account/home/"):
        answer = client.get(path)
        assert (answer.status_code, answer.url) == (302, ACTIVATE), path
    answer = client.get("/api/v1/me/")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_missing")


def test_z40_setting_it_up_and_leaving_stay_possible(required):
    client = Client()
    user = make_user(Role.SUPERVISOR, password=PASSWORD)
    sign_in(user, client=client)
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    assert client.get(ACTIVATE).status_code == 200
    assert client.get("/account/logout/").status_code == 200


def test_z40_whoever_has_one_and_agents_are_let_through(required):
    supervisor, agent = make_user(Role.SUPERVISOR), make_user(Role.AGENT)
    totp.TOTP.activate(supervisor, totp.generate_totp_secret())
    for user in (supervisor, agent):
        client = Client()
        client.force_login(user)
        assert client.get("/account/profile/").status_code == 200


@pytest.mark.django_db(transaction=True)  # allauth tells us after the commit
def test_z29_a_new_second_factor_ends_every_other_session():
    user = make_user(Role.SUPERVISOR, password=PASSWORD)
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        sign_in(user, client=client)
    here.post("/account/reauthenticate/", {"password": PASSWORD})
    here.get(ACTIVATE)
    code = totp.format_hotp_value(totp.hotp_value(here.session[totp.SECRET_SESSION_KEY], _counter()))
    assert here.post(ACTIVATE, {"code": code}).status_code == 302
    assert here.get("/account/profile/").status_code == 200
    assert elsewhere.get("/account/profile/").status_code == 302
    assert UserSession.objects.filter(user=user).count() == 1


def _counter() -> int:
    import time

    return int(time.time()) // 30


def test_z29_a_changed_password_ends_everything(api_as):
    user = make_user(password=PASSWORD)
    here, elsewhere, api = Client(), Client(), api_as(user)
    for client in (here, elsewhere):
        sign_in(user, client=client)
    body = {"oldpassword": PASSWORD, "password1": "a new one 4711", "password2": "a new one 4711"}
    assert here.post("/account/password/change/", body).status_code == 302
    for client in (here, elsewhere):
        assert client.get("/account/profile/").status_code == 302
    assert api.get("/api/v1/me/").status_code == 401
    assert sign_in(user, "a new one 4711").status_code == 302


# Profile, language, time zone


def test_a_profile_is_changed_by_its_owner():
    client, user = Client(), make_user(name="Ana", language="de", teams=[make_team("Billing")])
    client.force_login(user)
    page = client.get("/account/profile/").content.decode()
    assert "Billing" in page
    assert user.email in page
    answer = client.post("/account/profile/", {"name": "Ana B", "language": "en", "time_zone": "Asia/Tokyo"})
    assert answer.status_code == 302
    user.refresh_from_db()
    assert (user.name, user.language, user.time_zone) == ("Ana B", "en", "Asia/Tokyo")


def test_a_wrong_profile_is_shown_again():
    client, user = Client(), make_user(name="Ana")
    client.force_login(user)
    answer = client.post("/account/profile/", {"name": "", "language": "de", "time_zone": "Europe/Foo"})
    assert answer.status_code == 200
    user.refresh_from_db()
    assert user.name == "Ana"


def test_a_profile_is_for_those_who_are_signed_in():
    for path in ("/account/profile/", "/account/home/"):
        assert Client().get(path).url == f"/account/login/?next={path}"


def request_of(user: User | None, settings) -> object:
    request = RequestFactory().get("/")
    if user:
        request.COOKIES[settings.SESSION_COOKIE_NAME] = "x"
        request.user = user

        async def auser() -> User:
            return user

        request.auser = auser
    return request


def test_pages_are_in_the_language_and_time_zone_of_who_looks(settings):
    seen: list[tuple[str, str]] = []

    def view(request: object) -> HttpResponse:
        seen.append((translation.get_language(), str(timezone.get_current_timezone())))
        return HttpResponse()

    user = make_user(language="de", time_zone="Asia/Kathmandu")
    middleware = ViewerMiddleware(view)
    middleware(request_of(user, settings))
    middleware(request_of(None, settings))
    assert seen == [("de", "Asia/Kathmandu"), ("en", "UTC")]


def test_the_same_holds_for_asynchronous_servers(settings):
    seen: list[tuple[str, str]] = []

    async def view(request: object) -> HttpResponse:
        seen.append((translation.get_language(), str(timezone.get_current_timezone())))
        return HttpResponse()

    markcoroutinefunction(view)
    user = make_user(language="de", time_zone="Asia/Kathmandu")
    asyncio.run(ViewerMiddleware(view)(request_of(user, settings)))
    asyncio.run(ViewerMiddleware(view)(request_of(None, settings)))
    assert seen == [("de", "Asia/Kathmandu"), ("en", "UTC")]


@pytest.mark.django_db(transaction=True)
async def test_z40_holds_under_an_asynchronous_server_too(settings):
    from asgiref.sync import sync_to_async

    settings.REQUIRE_MFA = True
    client = AsyncClient()
    await client.aforce_login(await sync_to_async(make_user)(Role.SUPERVISOR))
    answer = await client.get("/account/profile/")
    assert (answer.status_code, answer.url) == (302, ACTIVATE)
    # The thread that ran the synchronous parts keeps its connection, and a test database in use cannot be dropped.
    await sync_to_async(connections.close_all)()


def test_public_pages_do_not_depend_on_cookies():
    assert "Cookie" not in Client().get("/health/live/").get("Vary", "")
