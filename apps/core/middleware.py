"""First in line for every request: a name for it, one log line, and no way in for requests that are malformed."""

from __future__ import annotations

import ipaddress
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from .api import errors as answers
from .errors import Invalid

access = structlog.stdlib.get_logger("eml.access")

# The second class are the C1 controls and what some servers take for a line end.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# A tab may come with text pasted into a search field.
_CONTROLS_IN_QUERY = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


class RequestIdMiddleware:
    """Gives `request.request_id`, answers with `X-Request-Id`, keeps private answers out of caches.

    The id is always ours: one from outside could forge log lines or join strangers' requests.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        if self.is_async:
            return self._acall(request)
        with _in_log(request):
            started = time.perf_counter()
            response = _refusal(request) or self.get_response(request)
            return _finish(request, response, started)

    async def _acall(self, request: HttpRequest) -> HttpResponse:
        with _in_log(request):
            started = time.perf_counter()
            response = _refusal(request) or await self.get_response(request)
            return _finish(request, response, started)

    @staticmethod
    def process_exception(request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return answers.handle_in_view(request, exception)


@contextmanager
def _in_log(request: HttpRequest) -> Iterator[None]:
    request.request_id = uuid.uuid4().hex  # type: ignore[attr-defined]
    with structlog.contextvars.bound_contextvars(request_id=request.request_id):  # type: ignore[attr-defined]
        yield


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """400 for what no honest client sends, before anything looks at it."""
    try:
        _check(request)
    except Invalid as error:
        return answers.respond(request, answers.answer_to(error))
    return None


def _check(request: HttpRequest) -> None:
    if _CONTROLS.search(request.path):
        raise Invalid(_("The address holds a character that is not allowed."), code="bad_character")
    query = request.META.get("QUERY_STRING", "")
    if query and _CONTROLS_IN_QUERY.search(unquote(query) if "%" in query else query):
        raise Invalid(_("The address holds a character that is not allowed."), code="bad_character")
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        # Without a length there is nothing to limit; with one as well it is an attempt at smuggling.
        raise Invalid(_("Send a Content-Length instead of a Transfer-Encoding."), code="length_required")
    try:
        # Two Host headers arrive joined by a comma, which is no host either.
        request.get_host()
    except DisallowedHost:
        raise Invalid(_("This host is not served here."), code="bad_host") from None


def _finish(request: HttpRequest, response: HttpResponse, started: float) -> HttpResponse:
    response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
    user = _known_user(request)
    if user is not None:
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"
        patch_vary_headers(response, ["Cookie"])
    route = request.resolver_match.route if request.resolver_match else None
    # Probes come every few seconds and say nothing.
    write = access.debug if request.path_info.startswith("/health/") else access.info
    write(
        "request",
        method=request.method if request.method in _METHODS else "other",
        route=route,
        status=response.status_code,
        ms=round((time.perf_counter() - started) * 1000, 1),
        user_id=getattr(user, "pk", None),
    )
    return response


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def _known_user(request: HttpRequest) -> Any | None:
    """Who asked, if anybody looked; asking here would cost every static file a query."""
    user = getattr(request, "_cached_user", None) or getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        return None
    return user if getattr(user, "is_authenticated", False) else None


def client_ip(request: HttpRequest) -> str:
    """The address of who really asks: proxies of ours are believed, headers from anybody else are not."""
    return ip_behind_proxies(request.META.get("REMOTE_ADDR"), request.META.get("HTTP_X_FORWARDED_FOR"))


def ip_behind_proxies(peer: str | None, forwarded_for: str | None) -> str:
    """Each of our proxies appended the address it saw, so the client is the n-th entry from the right."""
    proxies = settings.TRUSTED_PROXIES
    if proxies and forwarded_for:
        entries = forwarded_for[-2000:].split(",")
        if len(entries) >= proxies and (address := _address(entries[-proxies])):
            return address
    # A unix socket has no address.
    return _address(peer or "") or "0.0.0.0"


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return None
        address = address.ipv4_mapped or address
    return str(address)
