"""The front page: where each kind of user goes."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.messaging.choices import InboxKind
from apps.messaging.models import Inbox

from .demo import LOGINS


def front(request: HttpRequest) -> HttpResponse:
    context = {
        "inboxes": Inbox.objects.filter(is_active=True, kind=InboxKind.CHAT),
        "demo_logins": LOGINS if settings.DEMO else [],
    }
    return render(request, "front.html", context)
