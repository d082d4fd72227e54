"""What supervisors set up: inboxes, ready texts, dispositions, tags. Of their own teams; administrators of all."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import HistoryAdmin, ModelAdmin, TextareaWidget, display, register
from apps.core.errors import EMLError
from apps.users import contacts
from apps.users import selectors as people
from apps.users.choices import Role
from apps.users.permissions import user_of

from .. import canned, policy, selectors
from ..choices import WRITTEN_KINDS, InboxKind
from ..models import CannedReply, Disposition, Inbox, Tag


class OriginsField(forms.CharField):
    """A list, written line by line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        lines = (line.strip() for line in (super().to_python(value) or "").splitlines())
        return [line for line in lines if line]


class InboxForm(forms.ModelForm):
    allowed_origins = OriginsField(
        label=_("Pages that may embed the widget"),
        required=False,
        widget=TextareaWidget(attrs={"rows": 3}),
        help_text=_("One per line: https://www.example.com. Nobody else can show it."),
    )

    class Meta:
        model = Inbox
        fields = [
            "name", "slug", "kind", "address", "team", "language", "greeting", "away_text", "allowed_origins",
            "idle_close_minutes", "is_active",
        ]  # fmt: skip
        widgets = {"away_text": TextareaWidget(attrs={"rows": 3})}

    def clean(self) -> dict[str, Any]:
        """A chat has a page, the others an address, in the form contacts are stored in."""
        cleaned = super().clean() or self.cleaned_data
        kind, address = cleaned.get("kind"), (cleaned.get("address") or "").strip()
        if kind == InboxKind.CHAT and address:
            self.add_error("address", _("A chat has no address."))
        if kind in WRITTEN_KINDS:
            self._clean_address(kind, address)
        return cleaned

    def _clean_address(self, kind: str, address: str) -> None:
        try:
            normalised = contacts.email(address) if kind == InboxKind.EMAIL else contacts.phone(address)
        except EMLError as error:
            self.add_error("address", str(error))
            return
        if "+" in normalised and kind == InboxKind.EMAIL:
            self.add_error("address", _("Without a plus sign: what stands behind it names a conversation."))
        self.cleaned_data["address"] = normalised

    def clean_allowed_origins(self) -> list[str]:
        lines = self.cleaned_data["allowed_origins"]
        text = _("“%(line)s”: an origin is https://host or https://host:port, without a path or *.")
        if wrong := [line for line in lines if not policy.framing_origins([line])]:
            raise ValidationError([ValidationError(text, params={"line": line}) for line in wrong])
        return policy.framing_origins(lines)


class TeamScope:
    """Rows and choices of the user's own teams; administrators see all."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "team":
            kwargs["queryset"] = people.teams_visible_to(user_of(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


@register(Inbox)
class InboxAdmin(TeamScope, HistoryAdmin):
    form = InboxForm
    list_display = ["name", "kind", "reached_at", "team", "language", "is_active"]
    list_filter = ["is_active", ("team", RelatedOnlyFieldListFilter)]
    list_select_related = ["team"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["embed_snippet"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "kind", "address", "team", "language", "is_active"]}),
        (_("What customers read"), {"fields": ["greeting", "away_text"]}),
        (_("On your own pages"), {"fields": ["allowed_origins", "embed_snippet"]}),
        (_("Silence"), {"fields": ["idle_close_minutes"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Inbox]:
        visible = people.teams_visible_to(user_of(request))
        return super().get_queryset(request).filter(team__in=visible)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Inbox | None = None) -> dict:
        # A new address breaks every page that embeds the old one, so it only follows the name at first.
        return {} if obj else self.prepopulated_fields

    def has_delete_permission(self, request: HttpRequest, obj: Inbox | None = None) -> bool:
        return False  # its conversations stay; switch it off instead

    @display(description=_("reached at"))
    def reached_at(self, inbox: Inbox) -> SafeString | str:
        if inbox.kind in WRITTEN_KINDS:
            return inbox.address
        path = reverse("chat", args=[inbox.slug])
        return format_html('<a href="{}">{}</a>', path, path)

    @display(description=_("to put on your page"))
    def embed_snippet(self, inbox: Inbox) -> SafeString | str:
        if not inbox.pk:
            return str(_("Shown after saving."))
        address = settings.BASE_URL + reverse("chat-widget", args=[inbox.slug])
        snippet = f'<script src="{address}" async></script>'
        return format_html('<code class="select-all">{}</code>', snippet)


class CannedReplyForm(forms.ModelForm):
    class Meta:
        model = CannedReply
        fields = ["shortcut", "title", "body", "team"]

    def clean_body(self) -> str:
        body = self.cleaned_data["body"]
        try:
            canned.check(body)
        except EMLError as error:
            raise ValidationError(str(error), code=error.code) from None
        return body


@register(CannedReply)
class CannedReplyAdmin(TeamScope, HistoryAdmin):
    form = CannedReplyForm
    list_display = ["shortcut", "title", "team", "beginning"]
    list_filter = [("team", RelatedOnlyFieldListFilter)]
    list_select_related = ["team"]
    search_fields = ["shortcut", "title", "body"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CannedReply]:
        rows = super().get_queryset(request)
        return rows.filter(pk__in=selectors.canned_replies_for(user_of(request)).values("pk"))

    def get_form(self, request: HttpRequest, obj: CannedReply | None = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        if "team" in form.base_fields and not user_of(request).has_role(Role.ADMIN):
            form.base_fields["team"].required = True
            form.base_fields["team"].help_text = _("One of your teams.")
        if "body" in form.base_fields:
            names = ", ".join(f"{{{name}}}" for name in canned.PLACEHOLDERS)
            text = _(
                "Filled in: %(names)s. {customer.first_name|friend} says what to write when it is unknown."
            )
            form.base_fields["body"].help_text = text % {"names": names}
        return form

    def has_change_permission(self, request: HttpRequest, obj: CannedReply | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_theirs(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: CannedReply | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_theirs(request, obj)

    @staticmethod
    def _is_theirs(request: HttpRequest, reply: CannedReply | None) -> bool:
        """Texts for all teams are the administrators'."""
        return reply is None or reply.team_id is not None or user_of(request).has_role(Role.ADMIN)

    @display(description=_("text"))
    def beginning(self, reply: CannedReply) -> str:
        return policy.preview(reply.body)


@register(Disposition)
class DispositionAdmin(ModelAdmin):
    list_display = ["name", "is_active"]
    list_filter = ["is_active"]
    search_fields = ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: Disposition | None = None) -> bool:
        return False  # closed conversations name it; switch it off instead


@register(Tag)
class TagAdmin(ModelAdmin):
    list_display = ["name"]
    search_fields = ["name"]
