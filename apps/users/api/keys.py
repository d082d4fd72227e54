"""Where programs find the keys that API tokens are checked with."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from ..services import signing

# How long after a change of keys somebody may still hold the old list.
MAX_AGE_SECONDS = 300


@cache_control(public=True, max_age=MAX_AGE_SECONDS)
@require_safe
def jwks(request: HttpRequest) -> JsonResponse:
    """The public keys (RFC 7517): the one that signs first, then those that are accepted too."""
    return JsonResponse({"keys": signing.ring.jwks}, content_type="application/jwk-set+json")


urlpatterns = [path("jwks.json", jwks, name="jwks")]
