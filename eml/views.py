"""The front page: where each kind of user goes; and where the API begins."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from apps.messaging.choices import InboxKind
from apps.messaging.models import Inbox

from .demo import INBOX_SLUG, LOGINS


def front(request: HttpRequest) -> HttpResponse:
    inboxes = Inbox.objects.filter(is_active=True, kind=InboxKind.CHAT)
    context = {
        "inboxes": inboxes,
        # The one that is open day and night.
        "demo_inbox": next((inbox for inbox in inboxes if inbox.slug == INBOX_SLUG), None),
        "demo_logins": LOGINS if settings.DEMO else [],
    }
    return render(request, "front.html", context)


@extend_schema(exclude=True)
@api_view(["GET"])
@permission_classes([AllowAny])
def api_root(request: Request) -> HttpResponse:
    """Whoever comes to the bare address wants to know what there is."""
    return redirect("api-docs")
