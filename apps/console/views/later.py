"""What an agent comes back to: follow-ups for himself or the customer, and conversations he snoozes."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django_htmx.http import retarget

from apps.core.errors import EMLError
from apps.messaging.choices import Status
from apps.messaging.models import Conversation
from apps.messaging.services import rights
from apps.notifications import selectors as notifications
from apps.notifications.planning import moment_of
from apps.notifications.services import follow_ups, reminders
from apps.routing.services import snoozes
from apps.users.models import User

from .. import forms, presets
from ..selectors import desk as desk_selectors
from . import fragments
from .door import DeskRequest, agents_only, back_to, changed, fragment, get_own, get_visible, pushed, told


@agents_only("GET", "POST")
def later(request: DeskRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: a follow-up, the conversation off the list until then, or both; or nothing at all."""
    conversation = get_own(request, pk)
    rights.check_member(conversation, by=request.user)
    if request.method == "GET":
        return fragment(request, "later", _dialog(request, conversation))
    try:
        data = forms.cleaned(forms.LaterForm(request.POST, zone=_zone(request)))
        with transaction.atomic():
            _come_back(conversation, data, zone=_zone(request), by=request.user)
    except EMLError as error:
        return _again(request, conversation, error)
    if elsewhere := back_to(request, "console:desk"):
        return elsewhere
    text = _("It comes back on %(when)s.") if data["snooze"] else _("Noted for %(when)s.")
    text %= {"when": date_format(data["wall"], "D j M, H:i")}
    if not data["snooze"]:
        return told(changed(fragments.stage(request, pk)), text)
    return told(changed(pushed(fragments.empty(request), reverse("console:desk"))), text)


def _zone(request: DeskRequest) -> ZoneInfo:
    return ZoneInfo(request.user.time_zone)


def _dialog(request: DeskRequest, conversation: Conversation) -> dict[str, Any]:
    now = timezone.now()
    ways = [(way.value, way.label) for way in notifications.addresses_of(conversation.customer)]
    return {
        "conversation": conversation,
        "presets": presets.presets(now, zone=_zone(request)),
        "today": now.astimezone(_zone(request)).date(),
        "zone": _zone(request).key,
        "ways": ways,
        "templates": notifications.follow_up_templates(),
        "may_snooze": conversation.agent_id == request.user.pk and conversation.status == Status.ACTIVE,
        "said": request.POST,
    }


def _again(request: DeskRequest, conversation: Conversation, error: EMLError) -> HttpResponse:
    """Nothing was changed; the dialog says why, with everything that was written in it."""
    if not request.htmx:
        raise error
    context = _dialog(request, conversation) | {"error": str(error)}
    return retarget(fragment(request, "later", context), "#dialog-body")


def _come_back(conversation: Conversation, data: dict[str, Any], *, zone: ZoneInfo, by: User) -> None:
    now = timezone.now()
    wish = follow_ups.Wish(
        at=data["wall"],
        zone=zone,
        text=data["text"],
        fold=data["fold"],
        template=data["template"],
        ways=(data["way"],),
    )
    if data["whom"] == forms.LaterForm.ME:
        follow_ups.for_agent(conversation, wish, by=by, now=now)
    elif data["whom"] == forms.LaterForm.CUSTOMER:
        follow_ups.for_customer(conversation, wish, by=by, now=now)
    if data["snooze"]:
        until = moment_of(data["wall"], zone=zone, fold=data["fold"] or 0)
        snoozes.snooze(conversation.pk, until=until, by=by, now=now, holder=by)


@agents_only("POST")
def wake(request: DeskRequest, pk: int) -> HttpResponse:
    """Back now: into his hands if he is available and has room, else into the line."""
    get_visible(request, pk)
    holder = None if desk_selectors.may_supervise(request.user) else request.user
    is_back = snoozes.wake(pk, by=request.user, now=timezone.now(), holder=holder)
    if elsewhere := back_to(request, "console:conversation", pk):
        return elsewhere
    answer = changed(fragments.stage(request, pk))
    return answer if is_back else told(answer, _("It waits in line again, at its old place."))


@agents_only("GET")
def follow_up_list(request: DeskRequest) -> HttpResponse:
    """His own, the next first."""
    return fragment(request, "follow_ups", _own(request))


def _own(request: DeskRequest) -> dict[str, Any]:
    return {"reminders": notifications.follow_ups_of(request.user)[: notifications.FOLLOW_UPS_SHOWN]}


@agents_only("POST")
def cancel(request: DeskRequest, pk: int) -> HttpResponse:
    reminder = get_object_or_404(notifications.follow_ups_of(request.user), pk=pk)
    reminders.cancel(reminder.pk, by=request.user, now=timezone.now())
    if elsewhere := back_to(request, "console:desk"):
        return elsewhere
    return changed(fragment(request, "follow_ups", _own(request)))
