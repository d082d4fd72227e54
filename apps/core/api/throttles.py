"""How often somebody may ask. Counted in the cache, in fixed windows, with one atomic increment per request."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from ..errors import TooMany, Unavailable
from .callers import caller_of, network_of

logger = structlog.stdlib.get_logger(__name__)

# A cache that hangs costs one request its timeout, not every request.
DEAD_CACHE_SECONDS = 5.0
_dead_until = 0.0


class PerCaller(SimpleRateThrottle):
    """The limit of everything. Open while the cache is dead: customers keep talking."""

    scope = "caller"
    num_requests: int
    duration: int
    is_open_without_cache = True

    def get_rate(self) -> str:
        # The base class reads the settings once, at import.
        return str(api_settings.DEFAULT_THROTTLE_RATES[self.scope])

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": caller_of(request)}

    def allow_request(self, request: Request, view: Any) -> bool:
        now = time.time()
        self.wait_seconds = self.duration - now % self.duration
        key = f"{self.get_cache_key(request, view)}_{int(now // self.duration)}"
        count = _count(key, self.duration)
        if count is not None:
            return count <= self.num_requests
        if self.is_open_without_cache:
            return True
        raise Unavailable(retry_after=int(DEAD_CACHE_SECONDS))

    def wait(self) -> float:
        return self.wait_seconds


class ChatStart(PerCaller):
    """By network, because whoever starts a chat is nobody yet."""

    scope = "chat-start"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": network_of(request)}


class ChatWrite(PerCaller):
    scope = "chat-write"


class Upload(PerCaller):
    scope = "upload"
    # Uploads fill the disk: they wait until they can be counted again.
    is_open_without_cache = False


def check_network(request: HttpRequest, *, scope: str) -> None:
    """The same limit for a page, by network: raises TooMany. Open while the cache is dead."""
    limit = PerNetwork(scope)
    if not limit.allow_request(Request(request), None):
        raise TooMany(retry_after=int(limit.wait()) + 1)


class PerNetwork(PerCaller):
    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__()

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": network_of(request)}


class Login(PerCaller):
    """By network, whoever the name is tried for."""

    scope = "login"
    # Closed without a cache: an attacker who brings the cache down must not get unlimited tries.
    is_open_without_cache = False

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": network_of(request)}


def _count(key: str, seconds: int) -> int | None:
    """This request's number in its window, or None while the cache doesn't answer."""
    global _dead_until
    if time.monotonic() < _dead_until:
        return None
    try:
        return _increment(key, seconds)
    except Exception as error:  # whatever the cache's client raises: limits are no reason to fail
        _dead_until = time.monotonic() + DEAD_CACHE_SECONDS
        logger.warning("cache not reached, requests are not counted", error=type(error).__name__)
        return None


def _increment(key: str, seconds: int) -> int:
    try:
        return cache.incr(key)
    except ValueError:
        # The first of its window; whoever loses the race to create the counter adds to it.
        return 1 if cache.add(key, 1, timeout=seconds + 1) else cache.incr(key)
