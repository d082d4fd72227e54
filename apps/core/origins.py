"""Which pages may open a websocket here: our own, or listed ones (CORS_ALLOWED_ORIGINS). The rest gets 403."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host


async def refuse(scope: dict[str, Any], receive: Callable, send: Callable) -> None:
    """403 instead of a websocket."""
    await receive()
    # Closed before it was accepted: no server sends this code.
    await send({"type": "websocket.close", "code": 1000})


class SameOriginOnly:
    """Wraps a socket. A browser always sends Origin; programs have none.

    `may_lack_origin`: programs may connect, because nothing but a ticket lets them in (cookies are then ignored).
    """

    def __init__(self, app: Callable, *, may_lack_origin: bool = False) -> None:
        self.app = app
        self.may_lack_origin = may_lack_origin

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        headers = scope["headers"]
        origins = [value.decode("latin1") for name, value in headers if name == b"origin"]
        if not origins and self.may_lack_origin:
            # Without an Origin a cookie proves nothing about the page: only a ticket counts.
            kept = [(name, value) for name, value in headers if name != b"cookie"]
            return await self.app(scope | {"headers": kept}, receive, send)
        if len(origins) == 1 and self._is_allowed(origins[0], scope):
            return await self.app(scope, receive, send)
        return await refuse(scope, receive, send)

    @staticmethod
    def _is_allowed(origin: str, scope: dict[str, Any]) -> bool:
        if origin in settings.CORS_ALLOWED_ORIGINS or origin in settings.CSRF_TRUSTED_ORIGINS:
            return True
        hosts = [value.decode("latin1") for name, value in scope["headers"] if name == b"host"]
        scheme = "https" if settings.BASE_URL.startswith("https://") else "http"
        if len(hosts) != 1 or origin != f"{scheme}://{hosts[0]}":
            return False
        domain, _port = split_domain_port(hosts[0])
        return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
