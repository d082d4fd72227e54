"""The admin's exception to the strict content policy: its widgets need what no other page may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from csp.constants import NONCE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property

# Alpine evaluates its attributes, and the theme's colours are a style element. No nonce beside the latter: browsers
# ignore 'unsafe-inline' where there is one.
POLICY = {"script-src": [SELF, NONCE, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}


class AdminPolicy:
    """Inside CSPMiddleware, which writes the header on the way out."""

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
        return self._relaxed(request, self.get_response(request))

    async def _acall(self, request: HttpRequest) -> HttpResponse:
        return self._relaxed(request, await self.get_response(request))

    @cached_property
    def _root(self) -> str:
        return reverse("admin:index")

    def _relaxed(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.path.startswith(self._root):
            response._csp_replace = POLICY  # type: ignore[attr-defined]
        return response
