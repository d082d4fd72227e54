"""Gateways: an administrator chooses a kind, then says what this kind needs. Secrets go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    CheckboxesWidget,
    HistoryAdmin,
    PasswordWidget,
    SelectWidget,
    TextWidget,
    display,
    link,
    register,
)
from apps.core.errors import EMLError
from apps.messaging.models import Inbox
from apps.users.permissions import user_of

from ..gateways import KINDS
from ..gateways.fields import Field, Wrong, complete
from ..models import Gateway
from ..services import claiming, gateways
from .trials import TRIED, TrialForm, trial

# Those somebody sets up; the others are there by themselves.
OFFERED = {
    "smtp": _("E-mail: a mail server (SMTP)"),
    "anymail": _("E-mail: a provider (Mailgun, Postmark, Brevo …)"),
    "twilio": _("SMS: Twilio, or one with the same API"),
    "http": _("SMS: any provider with an HTTP API"),
    "outbox:email": _("E-mail: an outbox on this machine, to try things out"),
    "outbox:sms": _("SMS: an outbox on this machine, to try things out"),
}
# In lists, where the way stands beside it.
NAMES = {
    "smtp": _("Mail server (SMTP)"),
    "anymail": _("Provider of e-mail"),
    "twilio": _("Twilio, or alike"),
    "http": _("Provider with an HTTP API"),
    "outbox": _("Outbox on this machine"),
    "in_app": _("Notification centre"),
    "webhook": _("Webhooks"),
}
_START = "set_"
_BASE = ["name", "rank", "per_minute", "unknown_outcome", "is_active"]


def fields_of(kind: str) -> Sequence[Field]:
    return getattr(KINDS.get(kind), "FIELDS", ())


def _form_field(one: Field) -> forms.Field:
    required = one.is_required and not one.default and not one.is_secret
    common: dict[str, Any] = {"label": one.label, "help_text": escape(one.help), "required": required}
    if one.shape == "choice":
        return forms.ChoiceField(choices=list(one.choices), widget=SelectWidget, **common)
    if one.is_secret:
        widget = PasswordWidget(attrs={"autocomplete": "new-password"})
        return forms.CharField(widget=widget, strip=one.shape != "json", **common)
    return forms.CharField(widget=TextWidget, **common)


class InboxField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, inbox: Inbox) -> str:
        other = getattr(inbox, "gateway_of_its_own", None)
        if other is None:
            return f"{inbox.name} ({inbox.address})"
        return f"{inbox.name} ({inbox.address}): {other.gateway.name}"


class GatewayForm(forms.ModelForm):
    class Meta:
        model = Gateway
        fields = _BASE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "inboxes" in self.fields:
            self.initial["inboxes"] = list(self.instance.inbox_links.values_list("inbox_id", flat=True))
        for one in self._own():
            if not one.is_secret:
                self.initial[_START + one.name] = _shown(one, (self.instance.options or {}).get(one.name))
            elif (self.instance.secrets or {}).get(one.name):
                self.fields[_START + one.name].help_text = _("It is set. Empty: it stays as it is.")

    def _own(self) -> Sequence[Field]:
        return fields_of(self.instance.kind) if self.instance.pk else ()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and not self.errors and self._own():
            self._set_up(cleaned)
        self.instance.is_active = bool(cleaned.get("is_active"))
        try:
            gateways.check(self.instance)
        except EMLError as error:
            self.add_error("is_active", error.fields["is_active"])
        return cleaned

    def _set_up(self, cleaned: dict[str, Any]) -> None:
        old: dict[str, Any] = self.instance.secrets or {}
        try:
            given = {one.name: _read(one, cleaned.get(_START + one.name)) for one in self._own()}
            for one in self._own():
                if one.is_secret and given[one.name] in ("", None):
                    given[one.name] = old.get(one.name)
            values = complete(self._own(), given)
        except Wrong as wrong:
            self.add_error(_START + wrong.field, str(wrong.text))
            return
        secret = {one.name for one in self._own() if one.is_secret}
        options = {name: value for name, value in values.items() if name not in secret}
        self.instance.options = {**(self.instance.options or {}), **options, **_callback(self.instance)}
        self.instance.secrets = {**old, **{name: values[name] for name in secret}}


def _inbox_field(gateway: Gateway) -> forms.Field:
    return InboxField(
        gateways.inboxes_for(gateway.way).select_related("gateway_of_its_own__gateway"),
        label=_("Inboxes"),
        required=False,
        widget=CheckboxesWidget,
        help_text=_(
            "Agents' answers in these go out by this gateway only, from the inbox's own address. Of inboxes that have "
            "none the first gateway in rank sends; one that is named behind an inbox has it now, and loses it."
        ),
    )


def _read(one: Field, text: Any) -> Any:
    """What was typed, in the shape the gateway wants."""
    if text in (None, ""):
        return ""
    if one.shape == "words":
        return [word.strip() for word in str(text).replace("\n", ",").split(",") if word.strip()]
    try:
        if one.shape == "json":
            return json.loads(text)
        return int(text) if one.shape == "number" else text
    except (ValueError, RecursionError):
        raise Wrong(one.name, _("This cannot be read.")) from None


def _shown(one: Field, value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    if one.shape == "words":
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False) if one.shape == "json" else str(value)


def hooks_of(gateway: Gateway) -> dict[str, str]:
    """The addresses the provider calls, by what for."""
    names: Sequence[str] = getattr(KINDS.get(gateway.kind), "HOOKS", ())
    return {name: settings.BASE_URL + reverse("hook", args=[gateway.pk, name]) for name in names}


def _callback(gateway: Gateway) -> dict[str, str]:
    url = hooks_of(gateway).get("status")
    return {"callback_url": url} if url else {}


class NewGatewayForm(forms.ModelForm):
    """Name and kind; what the kind needs is asked on the next page, and until then it is off."""

    kind = forms.ChoiceField(label=_("Kind"), choices=list(OFFERED.items()), widget=SelectWidget)

    class Meta:
        model = Gateway
        fields = ["name", "kind"]

    def clean_kind(self) -> str:
        kind, _colon, way = self.cleaned_data["kind"].partition(":")
        if kind not in KINDS:
            raise ValidationError(_("There is no such kind."))
        self.instance.way = way or KINDS[kind].way  # type: ignore[attr-defined]
        self.instance.is_active = False
        return kind


@register(Gateway)
class GatewayAdmin(HistoryAdmin):
    list_display = ["name", "way", "kind_name", "rank", "health", "sends_for", "is_active"]
    list_filter = ["way", "is_active"]
    search_fields = ["name"]
    ordering = ["way", "rank", "id"]

    def get_form(
        self, request: HttpRequest, obj: Gateway | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            return super().get_form(request, obj, change, form=NewGatewayForm, **kwargs)
        own: dict[str, Any] = {_START + one.name: _form_field(one) for one in fields_of(obj.kind)}
        if obj.way in gateways.INBOX_KINDS:
            own["inboxes"] = _inbox_field(obj)
        form = type("GatewayOfKindForm", (GatewayForm,), own)
        return super().get_form(request, obj, change, form=form, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Gateway | None = None) -> Any:
        if obj is None:
            text = _("What this kind needs is asked for on the next page; until then it is switched off.")
            return [(None, {"fields": ["name", "kind"], "description": text})]
        own = [_START + one.name for one in fields_of(obj.kind)]
        shown: list[tuple[Any, dict[str, Any]]] = [(None, {"fields": [*_BASE, "health_name", "trial"]})]
        if own:
            shown.append((_("What this kind needs"), {"fields": own}))
        if obj.way in gateways.INBOX_KINDS:
            shown.append((_("Inboxes that send by it"), {"fields": ["inboxes"]}))
        if hooks_of(obj):
            shown.append((_("To be told to the provider"), {"fields": ["hooks"]}))
        return shown

    def get_readonly_fields(self, request: HttpRequest, obj: Gateway | None = None) -> Sequence[str]:
        return ["health_name", "trial", "hooks"] if obj else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Gateway]:
        return super().get_queryset(request).prefetch_related("inbox_links__inbox")

    def save_model(self, request: HttpRequest, obj: Gateway, form: Any, change: bool) -> None:
        inboxes = form.cleaned_data.get("inboxes")
        idle = gateways.save(obj, inboxes=inboxes, by=user_of(request), now=timezone.now())
        for outbox in idle:
            text = _("%(outbox)s is switched off now: %(name)s sends instead.")
            self.message_user(request, text % {"outbox": outbox.name, "name": obj.name}, messages.WARNING)

    def response_add(self, request: HttpRequest, obj: Gateway, post_url_continue: Any = None) -> HttpResponse:
        return redirect("admin:notifications_gateway_change", obj.pk)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.try_it)
        return [path("<int:pk>/test/", view, name="notifications_gateway_test"), *super().get_urls()]

    def try_it(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A message to oneself, by this gateway; its page waits for what comes of it."""
        if request.method not in ("GET", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        gateway = get_object_or_404(Gateway, pk=pk, way__in=TRIED)
        given = request.POST if request.method == "POST" else None
        form = TrialForm(given, gateway=gateway, by=user_of(request))
        context = self.admin_site.each_context(request) | {
            "title": _("Test of %(name)s") % {"name": gateway.name},
            "opts": self.opts,
            "gateway": gateway,
            "form": form,
        }
        if form.is_valid():
            context |= trial(gateway, to=form.cleaned_data["to"], by=user_of(request))
        return TemplateResponse(request, "admin/notifications/gateway_test.html", context)

    def has_delete_permission(self, request: HttpRequest, obj: Gateway | None = None) -> bool:
        return False  # what went out names it; switch it off instead

    @display(description=_("health"), label={"well": "success", "failing": "warning", "resting": "danger"})
    def health(self, gateway: Gateway) -> tuple[str, Any]:
        if claiming.breaker_of(gateway).is_open(timezone.now()):
            return "resting", _("does not answer, rests")
        return ("failing", _("failing")) if gateway.failures else ("well", _("well"))

    @display(description=_("health"))
    def health_name(self, gateway: Gateway) -> Any:
        return self.health(gateway)[1]

    @display(description=_("kind"))
    def kind_name(self, gateway: Gateway) -> Any:
        return NAMES.get(gateway.kind, gateway.kind)

    @display(description=_("sends for"))
    def sends_for(self, gateway: Gateway) -> str:
        return ", ".join(link.inbox.name for link in gateway.inbox_links.all()) or "–"

    @display(description=_("does it work?"))
    def trial(self, gateway: Gateway) -> SafeString | str:
        if gateway.way not in TRIED:
            return str(_("A webhook is tried on its own page, with “Send a test event”."))
        address = reverse("admin:notifications_gateway_test", args=[gateway.pk])
        return link(address, _("Send a test to myself"))

    @display(description=_("addresses"))
    def hooks(self, gateway: Gateway) -> SafeString:
        lines = hooks_of(gateway).items()
        return format_html_join("", '<p>{}: <code class="break-words">{}</code></p>', lines)
