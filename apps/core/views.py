"""Health, for load balancers and people."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from . import health


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process answers: restart it if this does not."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """503 without a database. Without cache or broker the work goes on, slower: `degraded`."""
    checks = {
        "database": health.database_answers(),
        "cache": health.cache_answers(),
        "broker": health.broker_answers(),
    }
    status = "ok" if all(checks.values()) else "degraded" if checks["database"] else "unavailable"
    body = {"status": status, "checks": {name: "ok" if works else "down" for name, works in checks.items()}}
    return JsonResponse(body, status=200 if checks["database"] else 503)
