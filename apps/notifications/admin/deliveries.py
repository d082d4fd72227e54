"""What goes out, with every attempt; and what stays in the outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    InfinitePaginator,
    ReadOnlyAdmin,
    TabularInline,
    action,
    display,
    link,
    prose,
    register,
    short,
)

from .. import selectors
from ..choices import DeliveryState
from ..models import Attempt, Delivery, OutboxMessage
from ..services import outbox, queues
from . import ledger

_COLOURS = {
    DeliveryState.DUE: "info",
    DeliveryState.SENDING: "info",
    DeliveryState.SENT: "success",
    DeliveryState.DELIVERED: "success",
    DeliveryState.DEAD: "danger",
    DeliveryState.REVIEW: "warning",
}


class AttemptInline(TabularInline):
    model = Attempt
    extra = 0
    can_delete = False
    fields = readonly_fields = ["number", "at", "gateway", "error", "detail"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    show_facets = ShowFacets.NEVER
    list_display = ["id", "to", "way", "shown_state", "reason", "cause", "due", "sent"]
    empty_hint = _(
        "Reminders, automations, answers of agents and webhooks leave one line here for each message."
    )
    list_filter = ["state", "way", "priority"]
    list_select_related = ["customer", "user"]
    search_fields = ["cause"]
    search_help_text = _("A cause (reminder:12, campaign:3), a recipient (customer:7), or a number")
    ordering = ["-id"]
    inlines = [AttemptInline]
    actions = ["send_again", "mark_sent", "drop"]
    fields = [
        ("to_page", "address"),
        ("way", "priority"),
        ("state_name", "reason"),
        ("cause_page", "occurrence"),
        ("template_version", "purpose"),
        ("slot_at", "due_at"),
        ("sent_at", "delivered_at"),
        ("expires_at", "tries"),
        ("gateway", "provider_id"),
    ]

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "customer/<int:pk>/",
            self.admin_site.admin_view(self.customer),
            name="notifications_delivery_customer",
        )
        return [own, *super().get_urls()]

    def customer(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return ledger.page(request, pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        mine = selectors.deliveries_visible_to(request.user)  # type: ignore[arg-type]
        return mine.order_by("-id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Whole names only, by indexes: parts of names would read all that ever went out."""
        term = search_term.strip()
        kind, _sep, number = term.partition(":")
        if term.isascii() and term.isdigit():
            return queryset.filter(pk=int(term[:18])), False
        if kind == "customer" and number.isascii() and number.isdigit():
            return queryset.filter(customer=int(number[:18])), False
        return (queryset.filter(cause=term) if term else queryset), False

    @display(description=_("state"), label=_COLOURS)
    def shown_state(self, delivery: Delivery) -> tuple[str, Any]:
        return delivery.state, delivery.get_state_display()

    @display(description=_("state"))
    def state_name(self, delivery: Delivery) -> str:
        return delivery.get_state_display()

    @display(description=_("to"), ordering="recipient")
    def to(self, delivery: Delivery) -> str:
        return str(delivery.customer or delivery.user or delivery.recipient)

    @display(description=_("to"))
    def to_page(self, delivery: Delivery) -> SafeString | str:
        """For a customer: all that was meant for him, and why he did (not) get it."""
        if delivery.customer_id is None:
            return self.to(delivery)
        page = reverse("admin:notifications_delivery_customer", args=[delivery.customer_id])
        return link(page, self.to(delivery))

    @display(description=_("cause"))
    def cause_page(self, delivery: Delivery) -> SafeString | str:
        page = ledger.cause_page_of(delivery)
        return link(page, delivery.cause) if page else delivery.cause

    @display(description=_("due at"), ordering="due_at")
    def due(self, delivery: Delivery) -> SafeString | str:
        return short(delivery.due_at)

    @display(description=_("sent at"), ordering="sent_at")
    def sent(self, delivery: Delivery) -> SafeString | str:
        return short(delivery.sent_at)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.change_delivery")

    @action(description=_("Send again (dead or for review)"), permissions=["act"])
    def send_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._settle(request, queryset, queues.send_again, _("Sent again: %(count)s."))

    @action(description=_("Mark as sent (for review)"), permissions=["act"])
    def mark_sent(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._settle(request, queryset, queues.mark_sent, _("Marked as sent: %(count)s."))

    @action(description=_("Drop"), permissions=["act"])
    def drop(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._settle(request, queryset, queues.drop, _("Dropped: %(count)s."))

    def _settle(
        self, request: HttpRequest, chosen: QuerySet, act: Callable[..., int], text: str | Promise
    ) -> None:
        ids = list(chosen.values_list("pk", flat=True))
        count = act(ids, by=request.user, now=timezone.now())
        self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)


@register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """Without a mail server or an SMS provider messages end here."""

    list_display = ["moment", "way", "to", "shown_subject"]
    empty_hint = _("Without a mail server or an SMS provider, what should go out is kept here to be read.")
    list_filter = ["way"]
    search_fields = ["to", "subject"]
    ordering = ["-id"]
    list_before_template = "admin/notifications/outbox_note.html"
    change_form_before_template = "admin/notifications/outbox_note.html"
    fields = ["at", "way", "sender", "to", "subject", "body", "page", "files"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxMessage]:
        return selectors.outbox_visible_to(request.user).order_by("-id")  # type: ignore[arg-type]

    @display(description=_("at"), ordering="at")
    def moment(self, message: OutboxMessage) -> SafeString | str:
        return short(message.at)

    @display(description=_("subject"))
    def shown_subject(self, message: OutboxMessage) -> str:
        return str(message)

    @display(description=_("text"))
    def body(self, message: OutboxMessage) -> SafeString | str:
        return prose(message.text)

    @display(description=_("files"))
    def files(self, message: OutboxMessage) -> str:
        return message.headers.get(outbox.FILES) or "–"

    @display(description=_("HTML"))
    def page(self, message: OutboxMessage) -> SafeString | str:
        """In a frame that may run nothing and load nothing of ours."""
        if not message.html:
            return "–"
        return format_html(
            '<iframe sandbox srcdoc="{}" title="{}" height="384" class="bg-white border w-full"></iframe>',
            message.html,
            _("The message as a mail program shows it"),
        )
