"""Where providers call us. Their signature is the key; nobody signs in."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.core.json import TooLarge

from .. import gateways
from ..services import receipts

# A mail with the largest attachments, written in base64, and what stands around it.
AROUND_BYTES = 1024 * 1024


@csrf_exempt  # the signature is checked instead
@require_http_methods(["POST"])
def call(request: HttpRequest, gateway: int, what: str) -> HttpResponse:
    """200 for what was believed, whether it was new or not; 401 for a wrong signature."""
    receipts.take(gateway, _as_it_came(request), now=timezone.now())
    return HttpResponse()


def _as_it_came(request: HttpRequest) -> gateways.Request:
    body = _body(request)
    form = QueryDict(body) if request.content_type == "application/x-www-form-urlencoded" else QueryDict()
    return gateways.Request(
        # As the provider was told, whatever our proxies made of it.
        url=settings.BASE_URL + request.get_full_path(),
        method=request.method or "",
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        form=form.dict(),
    )


def _body(request: HttpRequest) -> bytes:
    most = settings.ATTACHMENT_MAX_BYTES * 4 // 3 + AROUND_BYTES
    if int(request.META.get("CONTENT_LENGTH") or 0) > most:
        raise TooLarge
    body = request.read(most + 1)
    if len(body) > most:
        raise TooLarge
    return body


urlpatterns = [path("<int:gateway>/<slug:what>/", call, name="hook")]
