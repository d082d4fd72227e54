"""What each fragment shows; several views answer with the same one."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from apps.messaging.choices import Status
from apps.messaging.models import Conversation
from apps.notifications import selectors as notifications
from apps.routing import selectors as routing
from apps.routing.choices import ItemState

from .. import texts
from ..selectors import desk as desk_selectors
from ..selectors import presence as presence_selectors
from ..selectors import talk as talk_selectors
from .door import DeskRequest, fragment, get_visible

Context = dict[str, Any]


def whole_page(
    request: DeskRequest, context: Context, conversation: Conversation | None = None
) -> HttpResponse:
    own = list_context(request) | line_context(request) | presence_context(request) | offers_context(request)
    own |= notices_context(request)
    shown = {"conversation": conversation, "may_supervise": desk_selectors.may_supervise(request.user)}
    return render(request, "console/desk.html", own | shown | {"texts": texts.for_scripts()} | context)


def stage(request: DeskRequest, pk: int) -> HttpResponse:
    """The conversation with everything around it."""
    return fragment(request, "stage", stage_context(request, get_visible(request, pk)))


def empty(request: DeskRequest) -> HttpResponse:
    """No conversation: what to do next."""
    return fragment(request, "empty", nothing_context(request))


def nothing_context(request: DeskRequest) -> Context:
    held = desk_selectors.conversations_of(request.user).count()
    return presence_context(request) | line_context(request) | {"held": held}


def list_context(request: DeskRequest) -> Context:
    rows: list[Any] = list(desk_selectors.conversations_of(request.user))
    return {
        "rows": rows,
        "held": len(rows),
        "wrap_ups": desk_selectors.wrap_ups_of(request.user),
        "snoozed": list(desk_selectors.snoozed_by(request.user)),
        "unread": sum(row.unread for row in rows),
    }


def line_context(request: DeskRequest) -> Context:
    return {"line": desk_selectors.line_seen_by(request.user)}


def presence_context(request: DeskRequest) -> Context:
    now = timezone.now()
    found = presence_selectors.presence_of(request.user, now=now)
    return {"presence": found, "reasons": presence_selectors.not_ready_reasons(), "server_now": now}


def offers_context(request: DeskRequest) -> Context:
    return {"offers": desk_selectors.offers_ringing_at(request.user, now=timezone.now())}


def notices_context(request: DeskRequest) -> Context:
    newest = notifications.notices_of(request.user)[: notifications.NOTICES_SHOWN]
    return {"notices": newest, "unread_notices": notifications.unread_notices(request.user)}


def head_context(request: DeskRequest, conversation: Conversation) -> Context:
    item = talk_selectors.item_of(conversation)
    is_mine = conversation.agent_id == request.user.pk
    supervises = desk_selectors.may_supervise(request.user)
    wraps_up = item is not None and item.state == ItemState.WRAP_UP and is_mine
    return {
        "conversation": conversation,
        "item": item,
        "is_mine": is_mine,
        "composer_state": f"{conversation.status}-{conversation.agent_id or 0}",
        "may_write": is_mine and conversation.status == Status.ACTIVE,
        "may_act": conversation.is_open and (is_mine or supervises),
        "may_tag": is_mine or supervises,
        "may_follow_up": is_mine or supervises,
        "snoozed_until": item and item.snoozed_until,
        "may_wake": item and (supervises or talk_selectors.is_snoozed_for(request.user, item)),
        "wrap_up": item if wraps_up else None,
        "callback": routing.open_callback(conversation.pk),
        "server_now": timezone.now(),
    }


def details_context(request: DeskRequest, conversation: Conversation) -> Context:
    shown = {"details": talk_selectors.details_of(conversation, user=request.user)}
    return head_context(request, conversation) | shown


def stage_context(request: DeskRequest, conversation: Conversation) -> Context:
    return details_context(request, conversation) | {"part": talk_selectors.newest_part(conversation)}
