"""Webhooks: who is told of which events. A secret is shown once, when it is made."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    CheckboxesWidget,
    ModelAdmin,
    TextWidget,
    action,
    display,
    exact,
    link,
    register,
)
from apps.core.admin_saving import become
from apps.core.errors import EMLError
from apps.users.permissions import user_of

from .. import published
from ..choices import DeliveryState
from ..models import Delivery, WebhookSubscription
from ..services import webhooks

LOG_SHOWN = 25


class WebhookForm(forms.ModelForm):
    url = forms.URLField(label=_("Address"), max_length=500, assume_scheme="https", widget=TextWidget)
    event_types = forms.MultipleChoiceField(
        label=_("Events"),
        choices=[(name, f"{one.title} ({name})") for name, one in published.PUBLISHED.items()],
        widget=CheckboxesWidget,
    )

    class Meta:
        model = WebhookSubscription
        fields = ["name", "url", "event_types", "is_active"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("url") and cleaned.get("event_types"):
            try:
                webhooks.check(url=cleaned["url"], event_types=cleaned["event_types"])
            except EMLError as error:
                for field, texts in error.fields.items():
                    self.add_error(field, texts)
        return cleaned


@register(WebhookSubscription)
class WebhookAdmin(ModelAdmin):
    form = WebhookForm
    list_display = ["name", "url", "state", "given_up"]
    search_fields = ["name", "url"]
    empty_hint = _(
        "A program of yours that wants to know what happens here: its address, and the events it is told."
    )
    readonly_fields = ["disabled_reason", "log"]
    actions = ["ping", "rotate", "resend"]

    def get_fields(self, request: HttpRequest, obj: WebhookSubscription | None = None) -> list[str]:
        first = ["name", "url", "event_types"]
        return [*first, "is_active", "disabled_reason", "log"] if obj else first

    def save_model(self, request: HttpRequest, obj: WebhookSubscription, form: Any, change: bool) -> None:
        if change:
            if obj.is_active:
                obj.disabled_reason = ""
            super().save_model(request, obj, form, change)
            return
        made, secret = webhooks.subscribe(
            name=obj.name, url=obj.url, event_types=obj.event_types, by=user_of(request), now=timezone.now()
        )
        become(obj, made)
        self._show(request, made.name, secret)

    def _show(self, request: HttpRequest, name: str, secret: str) -> None:
        text = _("The secret of %(name)s, shown only now: %(secret)s")
        self.message_user(request, text % {"name": name, "secret": secret}, messages.WARNING)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its deliveries name it; switch it off instead

    def has_act_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    @action(description=_("Send a test event"), permissions=["act"])
    def ping(self, request: HttpRequest, queryset: QuerySet[WebhookSubscription]) -> None:
        for row in queryset:
            webhooks.ping(row.pk, now=timezone.now())
        self.message_user(request, _("It is on its way; the log of the webhook tells what came of it."))

    @action(description=_("Make a new secret"), permissions=["act"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[WebhookSubscription]) -> None:
        by, now = user_of(request), timezone.now()
        for row in queryset:
            self._show(request, row.name, webhooks.rotate(row.pk, by=by, now=now))

    @action(description=_("Send again what was given up"), permissions=["act"])
    def resend(self, request: HttpRequest, queryset: QuerySet[WebhookSubscription]) -> None:
        causes = [webhooks.cause_of(row.pk) for row in queryset]
        dead = Delivery.objects.dead().filter(cause__in=causes)
        count = webhooks.resend(dead.values_list("pk", flat=True), now=timezone.now())
        self.message_user(request, _("Sent again: %(count)s") % {"count": count})

    @display(description=_("state"), label={"on": "success", "off": "warning"})
    def state(self, row: WebhookSubscription) -> tuple[str, Any]:
        return ("on", _("Active")) if row.is_active else ("off", row.disabled_reason or _("Switched off"))

    @display(description=_("given up"))
    def given_up(self, row: WebhookSubscription) -> int:
        return Delivery.objects.dead().filter(cause=webhooks.cause_of(row.pk)).count()

    @display(description=_("latest deliveries"))
    def log(self, row: WebhookSubscription) -> SafeString | str:
        latest = Delivery.objects.filter(cause=webhooks.cause_of(row.pk)).prefetch_related("attempts")
        lines = [_line(delivery) for delivery in latest.order_by("-id")[:LOG_SHOWN]]
        return format_html_join("", "<p>{} · {}</p>", lines) or "–"


def _line(delivery: Delivery) -> tuple[Any, ...]:
    """When it was made and what it told, as a link to it; then what became of it, and what comes next."""
    attempts = list(delivery.attempts.all())
    said = [str(DeliveryState(delivery.state).label)]
    if attempts and attempts[-1].detail:
        said.append(attempts[-1].detail)
    if delivery.state == DeliveryState.DUE:
        said.append(_now("next attempt %(at)s") % {"at": exact(delivery.due_at)})
    kind = delivery.context.get("event", {}).get("type", "")
    page = reverse("admin:notifications_delivery_change", args=[delivery.pk])
    return link(page, f"{exact(delivery.created_at)} · {kind}"), " · ".join(said)
