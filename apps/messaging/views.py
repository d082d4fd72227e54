"""The customer's pages: the chat, the same as a frame for other pages, and the script that puts it there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from csp.constants import NONE
from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.utils.translation import override, to_language
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from . import policy
from .choices import InboxKind
from .models import Inbox

THEMES = {"light", "dark"}
MODULES = sorted(
    f"js/chat/{path.name}" for path in Path(settings.BASE_DIR, "static", "js", "chat").glob("*.js")
)


@require_safe
@cache_control(private=True, no_cache=True)
def chat_page(request: HttpRequest, slug: str) -> HttpResponse:
    inbox = _inbox(slug)
    with override(to_language(inbox.language)):
        return render(request, "chat/page.html", _context(request, inbox))


@require_safe
@xframe_options_exempt
@cache_control(private=True, no_cache=True)
def chat_frame(request: HttpRequest, slug: str) -> HttpResponse:
    """Only pages on the inbox's own list may show it; the browser sees to that."""
    inbox = _inbox(slug)
    origins = policy.framing_origins(inbox.allowed_origins)

    @csp_replace({"frame-ancestors": origins or [NONE]})
    def answer(request: HttpRequest) -> HttpResponse:
        return render(request, "chat/frame.html", _context(request, inbox, origins=origins))

    with override(to_language(inbox.language)):
        return cast(HttpResponse, answer(request))


@require_safe
@cache_control(public=True, max_age=60)
def widget_script(request: HttpRequest, slug: str) -> HttpResponse:
    """What a foreign page loads. It needs no cookie and sets none."""
    inbox = _inbox(slug)
    context = {"inbox": inbox, "origins": policy.framing_origins(inbox.allowed_origins)}
    with override(to_language(inbox.language)):
        response = render(request, "chat/widget.js", context, content_type="text/javascript; charset=utf-8")
    # A page that isolates itself (COEP) may load it as well.
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _inbox(slug: str) -> Inbox:
    return get_object_or_404(Inbox, slug=slug, kind=InboxKind.CHAT, is_active=True)


def _context(request: HttpRequest, inbox: Inbox, *, origins: list[str] | None = None) -> dict[str, Any]:
    theme = request.GET.get("theme")
    return {
        "inbox": inbox,
        "theme": theme if theme in THEMES else "",
        "is_embedded": origins is not None,
        "origins": origins or [],
        "api": "/api/v1/chat/",
        "socket": "/ws/chat/",
        "max_bytes": settings.ATTACHMENT_MAX_BYTES,
        "modules": {settings.STATIC_URL + name: static(name) for name in MODULES},
        "ratings": list(enumerate([_("Very bad"), _("Bad"), _("Fair"), _("Good"), _("Very good")], start=1)),
    }
