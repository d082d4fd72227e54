"""What is said in a conversation: messages, notes, files, read marks, ready texts."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone

from apps.core.errors import NotFound
from apps.messaging import canned as canned_texts
from apps.messaging import downloads
from apps.messaging import selectors as messaging
from apps.messaging.choices import Sender
from apps.messaging.services import attachments, conversations, rights
from apps.messaging.services import messages as sending
from apps.messaging.services import notes as note_taking

from .. import forms
from ..selectors import answers
from ..selectors import talk as talk_selectors
from .door import DeskRequest, agents_only, back_to, fragment, get_visible


@agents_only("GET", "POST")
def messages(request: DeskRequest, pk: int) -> HttpResponse:
    """GET: what is new after `after` and `note`, or the page before `before`. POST: say something."""
    conversation = get_visible(request, pk)
    if request.method == "POST":
        data = forms.cleaned(forms.MessageForm(request.POST))
        sending.send(_draft(request, pk, data))
        return back_to(request, "console:conversation", pk) or _news(request, pk, data)
    before = request.GET.get("before", "")
    if before.isdecimal():
        part = talk_selectors.part_before(conversation, before_seq=int(before[:9]))
        return fragment(request, "part", {"conversation": conversation, "part": part})
    return _news(request, pk, forms.cleaned(forms.AfterForm(request.GET)))


def _draft(request: DeskRequest, pk: int, data: dict) -> sending.Draft:
    return sending.Draft(
        conversation_id=pk,
        sender=Sender.AGENT,
        body=data["body"],
        actor_ref=request.user.actor_ref,
        user=request.user,
        client_msg_id=data["client_msg_id"],
        attachment_ids=data["attachments"],
    )


def _news(request: DeskRequest, pk: int, data: dict) -> HttpResponse:
    conversation = get_visible(request, pk)
    part = talk_selectors.part_after(conversation, seq=data["after"] or 0, note=data["note"] or 0)
    return fragment(request, "news", {"conversation": conversation, "part": part})


@agents_only("GET")
def fates(request: DeskRequest, pk: int) -> HttpResponse:
    """What became of the newest answers by e-mail or SMS; each is put where it stands already."""
    conversation = get_visible(request, pk)
    said = answers.newest(conversation, most=talk_selectors.THREAD_PAGE, now=timezone.now())
    return fragment(request, "fates", {"said": said})


@agents_only("POST")
def notes(request: DeskRequest, pk: int) -> HttpResponse:
    conversation = get_visible(request, pk)
    rights.check_member(conversation, by=request.user)
    data = forms.cleaned(forms.NoteForm(request.POST))
    note_taking.add(conversation, body=data["body"], by=request.user, now=timezone.now())
    return back_to(request, "console:conversation", pk) or _news(request, pk, data)


@agents_only("POST")
def read(request: DeskRequest, pk: int) -> HttpResponse:
    # Whoever only looks on does not read for the agent.
    rights.check_own(get_visible(request, pk), by=request.user)
    seq = forms.cleaned(forms.ReadForm(request.POST))["seq"]
    conversations.mark_read(pk, side=Sender.AGENT, seq=seq)
    return HttpResponse(status=204)


@agents_only("GET")
def canned(request: DeskRequest, pk: int) -> HttpResponse:
    """All ready texts for this conversation, with the placeholders filled; the browser filters while one types."""
    conversation = get_visible(request, pk)
    found = messaging.canned_replies_for(request.user, team_id=conversation.team_id).order_by("shortcut")
    filled = [
        (
            reply,
            canned_texts.render(
                reply.body, customer=conversation.customer, agent=request.user, conversation=conversation
            ),
        )
        for reply in found
    ]
    return fragment(request, "canned", {"replies": filled})


@agents_only("POST")
def upload(request: DeskRequest, pk: int) -> HttpResponse:
    conversation = get_visible(request, pk)
    rights.check_own(conversation, by=request.user)
    file = attachments.store(conversation, request.FILES.get("file"), by=request.user, now=timezone.now())
    return fragment(request, "upload", {"file": file})


@agents_only("GET")
def download(request: DeskRequest, pk: UUID) -> HttpResponse:
    file = talk_selectors.get_file(request.user, pk)
    if file is None:
        raise NotFound
    return downloads.response(file)
