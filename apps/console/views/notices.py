"""The notification centre."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from apps.notifications import selectors
from apps.notifications.services import notices

from . import fragments
from .door import DeskRequest, agents_only, back_to, fragment


@agents_only("GET", "POST")
def notice_list(request: DeskRequest) -> HttpResponse:
    """POST: all of them are read."""
    if request.method == "POST":
        notices.mark_read(request.user, now=timezone.now())
        if elsewhere := back_to(request, "console:desk"):
            return elsewhere
    return fragment(request, "notices", fragments.notices_context(request))


@agents_only("POST")
def follow(request: DeskRequest, pk: int) -> HttpResponse:
    """It is read, and what it is about is shown."""
    notice = get_object_or_404(selectors.notices_of(request.user), pk=pk)
    notices.mark_read(request.user, notice_id=notice.pk, now=timezone.now())
    return redirect(notice.link or "console:desk")
