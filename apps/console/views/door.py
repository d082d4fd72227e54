"""What every view of the desk has in common: who may come in, and how a refusal is told."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render, resolve_url
from django_htmx.http import HttpResponseClientRedirect, reswap, trigger_client_event
from django_htmx.middleware import HtmxDetails

from apps.core.errors import EMLError, Forbidden
from apps.messaging.errors import ConversationNotFound, NotYourConversation
from apps.messaging.models import Conversation
from apps.users.choices import Role
from apps.users.models import User

from ..selectors import desk as desk_selectors
from ..selectors import talk as talk_selectors

View = Callable[..., HttpResponse]


class DeskRequest(HttpRequest):
    """What a request of the desk is after `agents_only`: for types only."""

    user: User
    htmx: HtmxDetails


def agents_only(*methods: str) -> Callable[[View], View]:
    """Signed-in agents, and these methods. What is refused to HTMX becomes a toast instead of a page."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: DeskRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            try:
                if not request.user.has_role(Role.AGENT):
                    raise Forbidden
                return view(request, *args, **kwargs)
            except EMLError as error:
                if not request.htmx:
                    raise
                return refusal(error)

        return guarded

    return decorate


def _to_sign_in(request: DeskRequest) -> HttpResponse:
    """The whole window goes there: a sign-in page inside a fragment helps nobody."""
    if request.htmx:
        return HttpResponseClientRedirect(resolve_url("account_login"))
    return redirect_to_login(request.get_full_path())


def refusal(error: EMLError) -> HttpResponse:
    """Swaps nothing, says why, and lets the desk look again: what it showed may be outdated."""
    response = reswap(HttpResponse(status=error.status), "none")
    response["X-Error-Code"] = error.code
    return told(trigger_client_event(response, "desk:changed"), str(error), kind="danger")


def fragment(request: DeskRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, f"console/{template}.html", context)


def changed(response: HttpResponse) -> HttpResponse:
    """All fragments on the desk look again, without waiting for a frame: those that come with this answer as well.
    A frame that arrived before them found only what they replace."""
    return trigger_client_event(response, "desk:changed", after="settle")


def told(response: HttpResponse, text: str, *, kind: str = "success") -> HttpResponse:
    return trigger_client_event(response, "desk:toast", {"kind": kind, "text": str(text)})


def back_to(request: DeskRequest, name: str, *args: Any) -> HttpResponse | None:
    """Where a form posted without HTMX goes."""
    return None if request.htmx else redirect(name, *args)


def get_visible(request: DeskRequest, pk: int) -> Conversation:
    found = talk_selectors.get_conversation(request.user, pk)
    if found is None:
        raise ConversationNotFound
    return found


def get_own(request: DeskRequest, pk: int) -> Conversation:
    """One he may act on: his, or any of his teams' for a supervisor."""
    conversation = get_visible(request, pk)
    if conversation.agent_id != request.user.pk and not desk_selectors.may_supervise(request.user):
        raise NotYourConversation
    return conversation


def pushed(response: HttpResponse, url: str) -> HttpResponse:
    """The address bar follows."""
    response["HX-Push-Url"] = url
    return response
