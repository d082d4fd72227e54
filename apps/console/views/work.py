"""What is done with a conversation: tagged, passed on, closed, wrapped up."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.messaging.models import Tag
from apps.messaging.services import conversations, rights
from apps.routing.services import callbacks, work
from apps.users.models import User

from .. import forms
from ..selectors import desk as desk_selectors
from ..selectors import talk as talk_selectors
from . import fragments
from .door import DeskRequest, agents_only, back_to, changed, fragment, get_own, pushed, told


@agents_only("GET", "POST")
def tags(request: DeskRequest, pk: int) -> HttpResponse:
    conversation = get_own(request, pk)
    rights.check_member(conversation, by=request.user)
    if request.method == "GET":
        chosen = set(conversation.tags.values_list("pk", flat=True))
        return fragment(
            request, "tags", {"conversation": conversation, "tags": Tag.objects.all(), "chosen": chosen}
        )
    data = forms.cleaned(forms.TagsForm(request.POST))
    conversations.set_tags(pk, tags=list(data["tags"]), by=request.user)
    if elsewhere := back_to(request, "console:conversation", pk):
        return elsewhere
    return fragment(request, "details", fragments.details_context(request, conversation))


@agents_only("GET", "POST")
def transfer(request: DeskRequest, pk: int) -> HttpResponse:
    conversation = get_own(request, pk)
    if request.method == "GET":
        now, item = timezone.now(), talk_selectors.item_of(conversation)
        queues = talk_selectors.targets(conversation, user=request.user, now=now)
        others = [queue for queue in queues if not item or queue.pk != item.queue_id]
        return fragment(
            request,
            "transfer",
            {
                "conversation": conversation,
                "item": item,
                "queues": queues,
                # Where it is now is offered first only where there is nothing else.
                "first": next(iter(others or queues), None),
                "colleagues": talk_selectors.colleagues_for(conversation, user=request.user, now=now),
            },
        )
    to = _pass_on(request, pk)
    if elsewhere := back_to(request, "console:desk"):
        return elsewhere
    empty = fragments.empty(request)
    return told(changed(pushed(empty, reverse("console:desk"))), _("Passed on to %(name)s.") % {"name": to})


def _pass_on(request: DeskRequest, pk: int) -> str:
    data, holder = forms.cleaned(forms.TransferForm(request.POST)), _holder(request)
    if queue := data["queue"]:
        work.transfer_to_queue(pk, to=queue, by=request.user, now=timezone.now(), holder=holder)
        return queue.name
    user = data["agent"].user
    work.transfer_to_agent(pk, to=user, by=request.user, now=timezone.now(), holder=holder)
    return user.get_short_name()


def _holder(request: DeskRequest) -> User | None:
    """Who must have it in hand: an agent himself; a supervisor moves what anybody has."""
    return None if desk_selectors.may_supervise(request.user) else request.user


@agents_only("GET", "POST")
def close(request: DeskRequest, pk: int) -> HttpResponse:
    conversation = get_own(request, pk)
    if request.method == "GET":
        shown = {"conversation": conversation, "dispositions": talk_selectors.dispositions()}
        return fragment(request, "close", shown)
    data = forms.cleaned(forms.CloseForm(request.POST))
    conversations.close(pk, by=request.user, now=timezone.now(), disposition=data["disposition"])
    return back_to(request, "console:conversation", pk) or changed(fragments.stage(request, pk))


@agents_only("POST")
def callback(request: DeskRequest, pk: int) -> HttpResponse:
    """The customer was called: reached, then it goes on; or not, then it leaves the desk until the next try."""
    get_own(request, pk)
    is_reached = forms.cleaned(forms.CallbackForm(request.POST))["outcome"] == "reached"
    say = callbacks.reached if is_reached else callbacks.not_reached
    result = say(pk, by=request.user, now=timezone.now(), holder=_holder(request))
    if elsewhere := back_to(request, "console:conversation", pk):
        return elsewhere
    if result.due_at is None:
        return changed(fragments.stage(request, pk))
    text = _("It comes back at %(time)s for the next try.") % {
        "time": f"{timezone.localtime(result.due_at):%H:%M}"
    }
    return told(changed(pushed(fragments.empty(request), reverse("console:desk"))), text)


@agents_only("POST")
def wrap_up(request: DeskRequest, pk: int) -> HttpResponse:
    """Done, before the timer says so."""
    get_own(request, pk)
    work.end_wrap_up(pk, by=request.user, now=timezone.now(), user=request.user)
    if elsewhere := back_to(request, "console:desk"):
        return elsewhere
    empty = fragments.empty(request)
    return changed(pushed(empty, reverse("console:desk")))
