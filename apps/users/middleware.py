"""Every page in the language and time zone of who looks at it; second factor first where it is required."""

from __future__ import annotations

import zoneinfo
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone, translation

from apps.core.api import errors as answers

from . import errors, selectors
from .models import User

# Where somebody gets to whose second factor is still missing: setting it up, proving who he is, leaving.
_OPEN_PREFIX = "mfa_"
_OPEN_NAMES = {
    "account_reauthenticate",
    "account_logout",
    "account_login",
    "usersessions_list",
    "admin:logout",
}


class ViewerMiddleware:
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        # Without the cookie nobody is signed in, and not asking keeps public pages cacheable.
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if self.is_async:
            return self._acall(request, has_session)
        with _as_seen_by(request.user if has_session else None):
            return self.get_response(request)

    async def _acall(self, request: HttpRequest, has_session: bool) -> HttpResponse:
        with _as_seen_by(await request.auser() if has_session else None):
            return await self.get_response(request)

    @staticmethod
    def process_view(request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Runs in a thread under ASGI, so it may ask the database."""
        if not settings.REQUIRE_MFA or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return None
        name = request.resolver_match.view_name if request.resolver_match else ""
        if name.startswith(_OPEN_PREFIX) or name in _OPEN_NAMES or not isinstance(_user(request), User):
            return None
        if not selectors.must_set_up_second_factor(_user(request)):
            return None
        if request.path_info.startswith("/api/"):
            return answers.respond(request, answers.answer_to(errors.SecondFactorMissing()))
        return HttpResponseRedirect(reverse("mfa_activate_totp"))


def _user(request: HttpRequest) -> Any:
    user = request.user
    return user if user.is_authenticated else None


@contextmanager
def _as_seen_by(user: Any) -> Iterator[None]:
    """The override ends with the request: the thread serves somebody else next."""
    if user is None or not user.is_authenticated:
        yield
        return
    with timezone.override(zoneinfo.ZoneInfo(user.time_zone)), translation.override(user.language):
        yield
