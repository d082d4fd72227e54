"""Templates: texts by way and language, with a preview beside them; their versions, and how to go back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.core.admin_base import ModelAdmin, ReadOnlyAdmin, display, register
from apps.core.admin_saving import TellsWhy, become
from apps.core.errors import EMLError
from apps.users.permissions import user_of

from .. import placeholders, selectors, sms, texts
from ..choices import Way
from ..models import Template, TemplateVersion
from ..services import previews, templates
from .base import versions_shown
from .texts import PreviewForm, TemplateForm


@register(Template)
class TemplateAdmin(TellsWhy, ModelAdmin):
    form = TemplateForm
    list_display = ["name", "slug", "purpose", "languages", "version", "is_active"]
    list_filter = ["is_active", ("purpose", RelatedOnlyFieldListFilter)]
    list_select_related = ["purpose"]
    search_fields = ["name", "slug"]
    fieldsets = [(None, {"fields": [("name", "slug"), ("purpose", "is_active")]})]
    change_form_after_template = "admin/notifications/template/texts.html"
    change_form_outer_after_template = "admin/notifications/template/versions.html"

    class Media:
        css = {"all": ["css/admin_texts.css"]}
        js = ["js/admin/texts.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Template]:
        return selectors.with_current_texts(super().get_queryset(request))

    def get_prepopulated_fields(self, request: HttpRequest, obj: Template | None = None) -> dict:
        # Automations and programs name it by its key, so that only follows the name at first.
        return {} if obj else {"slug": ["name"]}

    def get_form(self, request: HttpRequest, obj: Template | None = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        form.by = user_of(request)
        return form

    def has_delete_permission(self, request: HttpRequest, obj: Template | None = None) -> bool:
        return False  # what went out names it; switch it off instead

    def save_model(self, request: HttpRequest, obj: Template, form: TemplateForm, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in templates.FIELDS if name in form.cleaned_data}
        said, by, now = form.cleaned_data["texts"], user_of(request), timezone.now()
        if change:
            seen = form.cleaned_data["seen"]
            become(obj, templates.update(obj, texts=said, version=seen, by=by, now=now, **fields))
        else:
            become(obj, templates.create(texts=said, by=by, now=now, **fields))

    def render_change_form(self, request: HttpRequest, context: dict, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        context |= {
            "texts": context["adminform"].form.texts,
            "names": _names(),
            "preview_path": reverse("admin:notifications_template_preview"),
            "test_path": reverse("admin:notifications_template_test"),
            "versions": versions_shown(selectors.versions_of(obj)[: selectors.MOST_VERSIONS_SHOWN])
            if obj
            else [],
        }
        return super().render_change_form(request, context, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("preview/", self.admin_site.admin_view(self.preview), name="notifications_template_preview"),
            path("test/", self.admin_site.admin_view(self.send_test), name="notifications_template_test"),
        ]
        return [*own, *super().get_urls()]

    def preview(self, request: HttpRequest) -> HttpResponse:
        """A fragment: the text as the chosen customer would get it, or what is wrong with it."""
        return self._shown(request, previews.preview)

    def send_test(self, request: HttpRequest) -> HttpResponse:
        """The same, and it is on its way to whoever asked."""

        def send(text: dict[str, str], **about: Any) -> Any:
            return previews.send_test(text, to=user_of(request), **about)

        return self._shown(request, send, told=_now("Sent to you."))

    def _shown(self, request: HttpRequest, make: Any, *, told: str = "") -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_change_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        form = PreviewForm(request.POST, by=user_of(request))
        if not form.is_valid():
            return self._fragment(
                request, {"errors": [text for field in form.errors.values() for text in field]}, 400
            )
        return self._fragment(request, _made(form.cleaned_data, make) | {"told": told}, 200)

    @staticmethod
    def _fragment(request: HttpRequest, context: dict[str, Any], status: int) -> HttpResponse:
        return render(request, "admin/notifications/template/preview.html", context, status=status)

    @display(description=_("texts"))
    def languages(self, template: Template) -> str:
        current = next(iter(template.current), None)  # type: ignore[attr-defined]
        said = current.texts if current else {}
        return ", ".join(
            f"{way.label} ({', '.join(sorted(said[way]))})" for way in texts.PARTS if way in said
        )


def _made(data: dict[str, Any], make: Any) -> dict[str, Any]:
    text = {part: data[part] for part in texts.PARTS[data["way"]]}
    about = {name: data[name] for name in ("way", "language", "customer")}
    try:
        sent = make(text, **about, now=timezone.now())
    except EMLError as error:
        said = [line for lines in error.fields.values() for line in lines]
        return {"errors": said or [str(error)]}
    return {"sent": sent, "way": data["way"], "count": _count(data["way"], sent.text)}


def _count(way: Way, text: str) -> str:
    if way != Way.SMS:
        return ""
    count = sms.count(text)
    return (
        ngettext(
            "%(characters)d characters: %(segments)d SMS, %(encoding)s",
            "%(characters)d characters: %(segments)d SMS, %(encoding)s",
            count.segments,
        )
        % count._asdict()
    )


def _names() -> list[tuple[str, Any, str]]:
    """What may be filled in: the placeholder, what it is, and an example of its forms."""
    rows = [
        (f"{{{name}}}", known.help, f"{{{name}:time}}" if known.is_moment else "")
        for name, known in placeholders.KNOWN.items()
    ]
    return rows + [(f"{{{name}}}", text, "") for name, text in placeholders.OPEN_FAMILIES.items()]


@register(TemplateVersion)
class TemplateVersionAdmin(ReadOnlyAdmin):
    list_display = ["template", "number", "at", "author"]
    list_display_links = ["number"]
    list_filter = [("template", RelatedOnlyFieldListFilter)]
    list_select_related = ["template", "by"]
    ordering = ["-id"]
    fields = [("template", "number"), ("at", "author")]
    change_form_outer_after_template = "admin/notifications/templateversion/texts.html"

    class Media:
        css = {"all": ["css/admin_texts.css"]}

    def render_change_form(self, request: HttpRequest, context: dict, **kwargs: Any) -> HttpResponse:
        version = kwargs["obj"]
        (shown,) = versions_shown(selectors.versions_of(version.template).filter(pk=version.pk))
        is_old = version.number != version.template.version
        context |= {
            "version": shown,
            "said": list(_lines(version.texts)),
            "restore_path": reverse("admin:notifications_templateversion_restore", args=[version.pk])
            if is_old and self._may_restore(request)
            else "",
        }
        return super().render_change_form(request, context, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        restore = path(
            "<int:pk>/restore/",
            self.admin_site.admin_view(self.restore),
            name="notifications_templateversion_restore",
        )
        return [restore, *super().get_urls()]

    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self._may_restore(request):
            raise PermissionDenied
        version = selectors.get_version(pk)
        try:
            templates.restore(
                version.template, number=version.number, by=user_of(request), now=timezone.now()
            )
            messages.success(request, _now("The texts of version %d hold again.") % version.number)
        except EMLError as error:
            messages.error(request, str(error))
        return redirect("admin:notifications_template_change", version.template_id)

    @staticmethod
    def _may_restore(request: HttpRequest) -> bool:
        return user_of(request).has_perm("notifications.change_template")

    @display(description=_("by"))
    def author(self, version: TemplateVersion) -> str:
        return str(version.by or _now("the system"))


def _lines(said: dict[str, dict[str, dict[str, str]]]) -> Iterable[tuple[str, str, dict[str, str]]]:
    for way, languages in said.items():
        for language, text in sorted(languages.items()):
            yield str(Way(way).label), language, text
