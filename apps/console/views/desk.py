"""The desk itself: the page, my conversations, my presence, what rings."""

from __future__ import annotations

from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import HttpResponseClientRedirect

from apps.core.errors import Forbidden
from apps.routing.choices import Chosen
from apps.routing.services import acceptance, agents
from apps.routing.services import offers as offer_life

from .. import forms
from ..selectors import desk as desk_selectors
from . import fragments
from .door import DeskRequest, agents_only, back_to, changed, fragment, pushed


@agents_only("GET")
def page(request: DeskRequest) -> HttpResponse:
    if request.htmx:
        return fragments.empty(request)
    return fragments.whole_page(request, {})


@agents_only("GET")
def nothing(request: DeskRequest) -> HttpResponse:
    """What stands where no conversation is shown."""
    return fragment(request, "nothing", fragments.nothing_context(request))


@agents_only("GET")
def conversations(request: DeskRequest) -> HttpResponse:
    return fragment(request, "list", fragments.list_context(request))


@agents_only("GET")
def line(request: DeskRequest) -> HttpResponse:
    """How many wait. Nobody is told by a frame of each who comes: it looks again every now and then."""
    return fragment(request, "line", fragments.line_context(request))


@agents_only("GET")
def queues(request: DeskRequest) -> HttpResponse:
    """The dialog with his queues; its rows only, when it looks again."""
    rows = desk_selectors.queues_of(request.user, now=timezone.now())
    template = "queue_rows" if request.htmx.target == "queue-rows" else "queues"
    return fragment(request, template, {"queues": rows})


@agents_only("GET")
def team(request: DeskRequest) -> HttpResponse:
    if not desk_selectors.may_supervise(request.user):
        raise Forbidden
    people = desk_selectors.team_agents(request.user, now=timezone.now())
    return fragment(
        request, "team", {"rows": desk_selectors.team_conversations(request.user), "people": people}
    )


@agents_only("GET", "POST")
def presence(request: DeskRequest) -> HttpResponse:
    """POST: available, or not ready for a reason."""
    if request.method == "POST":
        data = forms.cleaned(forms.PresenceForm(request.POST))
        agents.choose(
            request.user, chosen=data["chosen"], reason=data["reason"], now=timezone.now(), by=request.user
        )
        if elsewhere := back_to(request, "console:desk"):
            return elsewhere
        return changed(fragment(request, "presence", fragments.presence_context(request)))
    return fragment(request, "presence", fragments.presence_context(request))


@agents_only("GET")
def offers(request: DeskRequest) -> HttpResponse:
    return fragment(request, "offers", fragments.offers_context(request))


@agents_only("POST")
def accept(request: DeskRequest, pk: int) -> HttpResponse:
    offer = acceptance.accept_in_batch(pk, by=request.user, now=timezone.now())
    number = offer.item.conversation_id
    if elsewhere := back_to(request, "console:conversation", number):
        return elsewhere
    return changed(pushed(fragments.stage(request, number), reverse("console:conversation", args=[number])))


@agents_only("POST")
def decline(request: DeskRequest, pk: int) -> HttpResponse:
    offer_life.decline(pk, by=request.user, now=timezone.now())
    return back_to(request, "console:desk") or changed(
        fragment(request, "offers", fragments.offers_context(request))
    )


@agents_only("GET", "POST")
def sign_out(request: DeskRequest) -> HttpResponse:
    """GET asks once more, and says what becomes of open conversations; POST leaves."""
    if request.method == "GET":
        held = desk_selectors.conversations_of(request.user)
        return fragment(request, "sign_out", {"held": held})
    agents.choose(request.user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=request.user)
    logout(request)
    return HttpResponseClientRedirect(reverse("account_login")) if request.htmx else redirect("account_login")
