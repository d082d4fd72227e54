"""The waiting line, live: who waits, how long, with what head start, and who did not take it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import ReadOnlyAdmin, action, display, register
from apps.users.permissions import user_of

from .. import selectors
from ..models import Item
from . import handing
from .base import ago


@register(Item)
class ItemAdmin(ReadOnlyAdmin):
    list_display = ["position", "queue", "conversation_link", "state", "waits", "credit", "refused_by"]
    list_filter = ["state", ("queue", RelatedOnlyFieldListFilter)]
    list_select_related = ["queue", "conversation__customer"]
    ordering = ["queue__name", "line_key", "id"]
    actions = ["reassign", "take_over"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Item]:
        return selectors.with_place(selectors.items_visible_to(user_of(request)).in_line())

    def has_hand_over_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("routing.change_item")

    @action(description=_("Give to an agent …"), permissions=["hand_over"])
    def reassign(self, request: HttpRequest, queryset: QuerySet[Item]) -> HttpResponse | None:
        return handing.reassign(request, queryset, conversation_of=_conversation_of, action="reassign")

    @action(description=_("Take over yourself"), permissions=["hand_over"])
    def take_over(self, request: HttpRequest, queryset: QuerySet[Item]) -> None:
        handing.take_over(request, queryset, conversation_of=_conversation_of)

    @display(description=_("place"))
    def position(self, item: Item) -> int:
        return item.place  # type: ignore[attr-defined]

    @display(description=_("conversation"))
    def conversation_link(self, item: Item) -> SafeString:
        address = reverse("admin:messaging_conversation_change", args=[item.conversation_id])
        return format_html(
            '<a href="{}">#{} {}</a>', address, item.conversation_id, item.conversation.customer
        )

    @display(description=_("waits"), ordering="at")
    def waits(self, item: Item) -> str:
        return ago(item.at)

    @display(description=_("did not take it"))
    def refused_by(self, item: Item) -> str:
        told = (f"{offer.agent} ({offer.get_state_display()})" for offer in item.refusals)  # type: ignore[attr-defined]
        return ", ".join(told) or "–"


def _conversation_of(item: Any) -> int:
    return item.conversation_id
