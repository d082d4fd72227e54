"""Callbacks: who is called or written to in turn, when again, and what came of it."""

from __future__ import annotations

from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import InfinitePaginator, ReadOnlyAdmin, display, register
from apps.users.permissions import user_of

from .. import selectors
from ..choices import CallbackState
from ..models import Callback

COLOURS = {
    CallbackState.REQUESTED: "info",
    CallbackState.REACHED: "success",
    CallbackState.NOT_REACHED: "danger",
    CallbackState.EXPIRED: "warning",
}


@register(Callback)
class CallbackAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = [
        "requested_at",
        "conversation_link",
        "queue",
        "way",
        "phone",
        "shown_state",
        "tries",
        "due_at",
    ]
    list_filter = ["state", "way", ("conversation__item__queue", RelatedOnlyFieldListFilter)]
    search_fields = ["phone"]
    search_help_text = _("Part of a phone number.")
    ordering = ["-id"]
    fields = [
        "conversation_link",
        "queue",
        "way",
        "phone",
        "shown_state",
        "tries",
        "requested_at",
        "due_at",
        "expires_at",
        "ended_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Callback]:
        return selectors.callbacks_visible_to(user_of(request))

    @display(description=_("conversation"))
    def conversation_link(self, callback: Callback) -> SafeString:
        number = callback.conversation_id
        address = reverse("admin:messaging_conversation_change", args=[number])
        return format_html('<a href="{}">#{} {}</a>', address, number, callback.conversation.customer)

    @display(description=_("queue"))
    def queue(self, callback: Callback) -> str:
        return callback.conversation.item.queue.name

    @display(description=_("state"), label=COLOURS, ordering="state")
    def shown_state(self, callback: Callback) -> tuple[str, str]:
        return callback.state, callback.get_state_display()
