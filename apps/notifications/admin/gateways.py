"""Gateways: an administrator chooses a kind, then says what this kind needs. Secrets go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import HistoryAdmin, PasswordWidget, SelectWidget, TextWidget, display, register

from ..gateways import KINDS
from ..gateways.fields import Field, Wrong, complete
from ..models import Gateway
from ..services import claiming

# Those somebody sets up; the others are there by themselves.
OFFERED = {
    "smtp": _("E-mail: a mail server (SMTP)"),
    "anymail": _("E-mail: a provider (Mailgun, Postmark, Brevo …)"),
    "twilio": _("SMS: Twilio, or one with the same API"),
    "http": _("SMS: any provider with an HTTP API"),
}
_START = "set_"
_BASE = ["name", "rank", "per_minute", "unknown_outcome", "is_active"]


def fields_of(kind: str) -> Sequence[Field]:
    return getattr(KINDS.get(kind), "FIELDS", ())


def _form_field(one: Field) -> forms.Field:
    required = one.is_required and not one.default and not one.is_secret
    common: dict[str, Any] = {"label": one.label, "help_text": one.help, "required": required}
    if one.shape == "choice":
        return forms.ChoiceField(choices=list(one.choices), widget=SelectWidget, **common)
    if one.is_secret:
        widget = PasswordWidget(attrs={"autocomplete": "new-password"})
        return forms.CharField(widget=widget, strip=one.shape != "json", **common)
    return forms.CharField(widget=TextWidget, **common)


class GatewayForm(forms.ModelForm):
    class Meta:
        model = Gateway
        fields = _BASE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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
        kind: str = self.cleaned_data["kind"]
        if kind not in KINDS:
            raise ValidationError(_("There is no such kind."))
        self.instance.way = KINDS[kind].way  # type: ignore[attr-defined]
        self.instance.is_active = False
        return kind


@register(Gateway)
class GatewayAdmin(HistoryAdmin):
    list_display = ["name", "way", "kind", "rank", "health", "is_active"]
    list_filter = ["way", "is_active"]
    search_fields = ["name"]
    ordering = ["way", "rank", "id"]

    def get_form(
        self, request: HttpRequest, obj: Gateway | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            return super().get_form(request, obj, change, form=NewGatewayForm, **kwargs)
        own: dict[str, Any] = {_START + one.name: _form_field(one) for one in fields_of(obj.kind)}
        form = type("GatewayOfKindForm", (GatewayForm,), own)
        return super().get_form(request, obj, change, form=form, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Gateway | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["name", "kind"]})]
        own = [_START + one.name for one in fields_of(obj.kind)]
        shown: list[tuple[Any, dict[str, Any]]] = [(None, {"fields": [*_BASE, "health"]})]
        if own:
            shown.append((_("What this kind needs"), {"fields": own}))
        if hooks_of(obj):
            shown.append((_("To be told to the provider"), {"fields": ["hooks"]}))
        return shown

    def get_readonly_fields(self, request: HttpRequest, obj: Gateway | None = None) -> Sequence[str]:
        return ["health", "hooks"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Gateway | None = None) -> bool:
        return False  # what went out names it; switch it off instead

    @display(description=_("health"), label={"well": "success", "failing": "warning", "resting": "danger"})
    def health(self, gateway: Gateway) -> tuple[str, Any]:
        if claiming.breaker_of(gateway).is_open(timezone.now()):
            return "resting", _("does not answer, rests")
        return ("failing", _("failing")) if gateway.failures else ("well", _("well"))

    @display(description=_("addresses"))
    def hooks(self, gateway: Gateway) -> SafeString:
        lines = hooks_of(gateway).items()
        return format_html_join("", '<p>{}: <code class="select-all">{}</code></p>', lines)
