"""Conversations in the admin: to be read, with everything that was said, noted and done."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    InfinitePaginator,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    display,
    exact,
    panels,
    register,
    short,
)
from apps.users.permissions import user_of

from .. import selectors, timeline
from ..models import Conversation

# More than a person reads; the API has the rest.
MOST_SHOWN = 1000


@register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    change_form_template = "admin/messaging/conversation/change_form.html"
    paginator = InfinitePaginator
    list_display = [
        "number",
        "customer_name",
        "state",
        "inbox",
        "agent",
        "opened",
        "last",
        "stars",
    ]
    list_filter = [
        "status",
        ("inbox", RelatedOnlyFieldListFilter),
        ("team", RelatedOnlyFieldListFilter),
        ("agent", RelatedOnlyFieldListFilter),
        ("opened_at", RangeDateTimeFilter),
        ("disposition", RelatedOnlyFieldListFilter),
    ]
    list_filter_submit = True
    list_select_related = ["inbox", "agent", "customer"]
    ordering = ["-id"]
    search_fields = ["id"]
    search_help_text = _("Its number, part of the customer's name, or a whole e-mail, phone or external id.")
    fields = [
        ("status", "close_reason"),
        ("customer_link", "inbox"),
        ("team", "agent"),
        ("opened_exactly", "first_answer"),
        ("closed", "disposition"),
        ("tag_names", "stars"),
        "rating_comment",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        return selectors.conversations_visible_to(user_of(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Conversation], search_term: str
    ) -> tuple[QuerySet[Conversation], bool]:
        if not search_term.strip():
            return queryset, False
        return selectors.search_conversations(user_of(request), queryset, search_term), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        conversation = self.get_object(request, object_id)
        context = self._story(request, conversation) if conversation else {}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    @staticmethod
    def _story(request: HttpRequest, conversation: Conversation) -> dict[str, Any]:
        label = conversation._meta.label_lower
        boxes = [box for make in panels[label] if (box := make(request, conversation))]
        return {
            "transcript": selectors.messages_of(conversation.pk)[:MOST_SHOWN],
            "is_cut": conversation.last_seq > MOST_SHOWN,
            "notes": selectors.notes_of(conversation.pk)[:MOST_SHOWN],
            "timeline": timeline.lines(selectors.timeline_of(conversation.pk)[: 2 * MOST_SHOWN]),
            "boxes": boxes,
        }

    @display(description=_("number"), ordering="id")
    def number(self, conversation: Conversation) -> str:
        return f"#{conversation.pk}"

    @display(description=_("customer"))
    def customer_name(self, conversation: Conversation) -> str:
        return str(conversation.customer)

    @display(description=_("customer"))
    def customer_link(self, conversation: Conversation) -> SafeString:
        address = reverse("admin:users_customer_change", args=[conversation.customer_id])
        return format_html('<a href="{}">{}</a>', address, conversation.customer)

    @display(description=_("status"), label={"waiting": "warning", "active": "info", "closed": "success"})
    def state(self, conversation: Conversation) -> tuple[str, Any]:
        return conversation.status, conversation.get_status_display()

    @display(description=_("opened"), ordering="opened_at")
    def opened(self, conversation: Conversation) -> str:
        return short(conversation.opened_at)

    @display(description=_("opened"))
    def opened_exactly(self, conversation: Conversation) -> str:
        return exact(conversation.opened_at)

    @display(description=_("first answer"))
    def first_answer(self, conversation: Conversation) -> str:
        return exact(conversation.first_answer_at)

    @display(description=_("closed"))
    def closed(self, conversation: Conversation) -> str:
        return exact(conversation.closed_at)

    @display(description=_("last message"), ordering="last_message_at")
    def last(self, conversation: Conversation) -> str:
        return conversation.preview

    @display(description=_("rating"))
    def stars(self, conversation: Conversation) -> str:
        return "★" * conversation.rating if conversation.rating else "—"

    @display(description=_("tags"))
    def tag_names(self, conversation: Conversation) -> str:
        return ", ".join(tag.name for tag in conversation.tags.all()) or "—"
