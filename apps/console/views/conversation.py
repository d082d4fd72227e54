"""One conversation: the middle and the right-hand column."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from . import fragments
from .door import agents_only, fragment, get_visible


@agents_only("GET")
def page(request: HttpRequest, pk: int) -> HttpResponse:
    if request.htmx:
        return fragments.stage(request, pk)
    conversation = get_visible(request, pk)
    return fragments.whole_page(request, fragments.stage_context(request, conversation), conversation)


@agents_only("GET")
def head(request: HttpRequest, pk: int) -> HttpResponse:
    return fragment(request, "head", fragments.head_context(request, get_visible(request, pk)))


@agents_only("GET")
def composer(request: HttpRequest, pk: int) -> HttpResponse:
    return fragment(request, "composer", fragments.head_context(request, get_visible(request, pk)))


@agents_only("GET")
def details(request: HttpRequest, pk: int) -> HttpResponse:
    return fragment(request, "details", fragments.details_context(request, get_visible(request, pk)))
