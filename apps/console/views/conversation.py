"""One conversation: the middle and the right-hand column."""

from __future__ import annotations

from django.http import HttpResponse

from . import fragments
from .door import DeskRequest, agents_only, fragment, get_visible


@agents_only("GET")
def page(request: DeskRequest, pk: int) -> HttpResponse:
    if request.htmx:
        return fragments.stage(request, pk)
    conversation = get_visible(request, pk)
    return fragments.whole_page(request, fragments.stage_context(request, conversation), conversation)


@agents_only("GET")
def head(request: DeskRequest, pk: int) -> HttpResponse:
    return fragment(request, "head", fragments.head_context(request, get_visible(request, pk)))


@agents_only("GET")
def composer(request: DeskRequest, pk: int) -> HttpResponse:
    """204 while the one on the screen will do: nobody's text field is exchanged under his fingers."""
    context = fragments.head_context(request, get_visible(request, pk))
    if request.GET.get("shown") == context["composer_state"]:
        return HttpResponse(status=204)
    return fragment(request, "composer", context)


@agents_only("GET")
def details(request: DeskRequest, pk: int) -> HttpResponse:
    return fragment(request, "details", fragments.details_context(request, get_visible(request, pk)))
