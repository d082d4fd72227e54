"""The overview's figures, fetched again every few seconds by the page itself."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from . import dashboard


@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Whoever may not open the admin (any more) gets no figures, and a page that asks is loaded anew: to sign in."""
    if not admin.site.has_permission(request):
        return HttpResponse(status=403, headers={"HX-Refresh": "true"})
    return render(request, "admin/overview/figures.html", dashboard.overview(request))
