"""Segments: a filter as a form, and beside it how many customers it means, with some of them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    CheckboxesWidget,
    DateWidget,
    HistoryAdmin,
    TextareaWidget,
    TextWidget,
    display,
    register,
)
from apps.messaging.models import Tag
from apps.users import selectors as people
from apps.users.choices import Role
from apps.users.models import Team, User
from apps.users.permissions import user_of

from .. import segments, selectors
from ..choices import Way
from ..errors import SegmentInvalid
from ..models import Purpose, Segment
from ..services.preferences import CONTACT_KINDS

SAMPLE = 8
_WAYS = [(way.value, way.label) for way in CONTACT_KINDS]


class WordsField(forms.CharField):
    """Several words with commas between them."""

    widget = TextWidget

    def to_python(self, value: Any) -> Any:
        return [word for part in (super().to_python(value) or "").split(",") if (word := part.strip())]

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value


class FactsField(forms.CharField):
    """`name = value`, one on each line."""

    widget = TextareaWidget(attrs={"rows": 3, "placeholder": "plan = gold"})

    def to_python(self, value: Any) -> Any:
        facts: dict[str, str] = {}
        for line in (super().to_python(value) or "").splitlines():
            name, sign, text = line.partition("=")
            if line.strip() and not (sign and name.strip() and text.strip()):
                raise ValidationError(_("Write one on each line, like: plan = gold"))
            if line.strip():
                facts[name.strip()] = text.strip()
        return facts

    def prepare_value(self, value: Any) -> Any:
        return (
            "\n".join(f"{name} = {text}" for name, text in value.items())
            if isinstance(value, dict)
            else value
        )


class RowsField(forms.ModelMultipleChoiceField):
    """Rows as their numbers, which is how a filter keeps them."""

    def __init__(self, rows: QuerySet, **kwargs: Any) -> None:
        super().__init__(rows, required=False, widget=CheckboxesWidget, **kwargs)

    def clean(self, value: Any) -> Any:
        return sorted(row.pk for row in super().clean(value))


def _digits() -> forms.Widget:
    return TextWidget(attrs={"inputmode": "numeric"})


def _field(kind: type[forms.Field], label: Any, help_text: Any = "", **kwargs: Any) -> Any:
    return kind(label=label, help_text=help_text, required=False, **kwargs)


class SegmentForm(forms.ModelForm):
    """`by` is who fills it in (set by the admin page). Each field is a name of the filter."""

    by: User

    languages = _field(WordsField, _("Languages"), _("Like: de, en. “de” means Austrian German too."))
    zones = _field(WordsField, _("Time zones or regions"), _("Like: Europe/Berlin, America."))
    attributes = _field(
        FactsField, _("Attributes"), _("Name = value, one on each line; all of them must hold.")
    )
    tags = RowsField(
        Tag.objects.none(), label=_("Tags"), help_text=_("Had a conversation with one of these tags.")
    )
    reachable_by = _field(
        forms.MultipleChoiceField,
        _("Can be reached by"),
        _("Has an address for at least one of them."),
        choices=_WAYS,
        widget=CheckboxesWidget,
    )
    agreed_to = RowsField(
        Purpose.objects.none(),
        label=_("Agreed to"),
        help_text=_("Said yes to one of these. What holds at the moment of sending is looked at again then."),
    )
    created_from = _field(forms.DateField, _("Known since, from"), widget=DateWidget)
    created_until = _field(forms.DateField, _("Known since, until"), widget=DateWidget)
    contact_within_days = _field(
        forms.IntegerField,
        _("In contact within the last … days"),
        _("By any conversation."),
        widget=_digits(),
    )
    no_contact_for_days = _field(forms.IntegerField, _("Not in contact for … days"), widget=_digits())

    class Meta:
        model = Segment
        fields = ["name", "team"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update(self.instance.filter)
        for name, rows in (
            ("tags", Tag.objects.all()),
            ("agreed_to", Purpose.objects.filter(is_for_staff=False)),
        ):
            self.fields[name].queryset = rows  # type: ignore[attr-defined]
        if not self.by.has_role(Role.ADMIN) and "team" in self.fields:
            self.fields["team"].required = True

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            self.instance.filter = segments.checked({name: _plain(data.get(name)) for name in segments.NAMES})
        except SegmentInvalid as error:
            for name, said in error.fields.items():
                self.add_error(name if name in self.fields else None, said)
        return data


def _plain(value: Any) -> Any:
    """As it is kept in JSON."""
    return value.isoformat() if hasattr(value, "isoformat") else value


@register(Segment)
class SegmentAdmin(HistoryAdmin):
    form = SegmentForm
    list_display = ["name", "team", "says"]
    list_select_related = ["team"]
    search_fields = ["name"]
    fieldsets = [
        (None, {"fields": [("name", "team")]}),
        (_("Who they are"), {"fields": [("languages", "zones"), "attributes"]}),
        (
            _("How we know them"),
            {
                "fields": [
                    ("created_from", "created_until"),
                    ("contact_within_days", "no_contact_for_days"),
                    "tags",
                ]
            },
        ),
        (_("How they can be reached"), {"fields": ["reachable_by", "agreed_to"]}),
    ]
    change_form_after_template = "admin/notifications/segment/found.html"

    class Media:
        js = ["js/admin/segment.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        visible = selectors.segments_visible_to(user_of(request))
        return super().get_queryset(request).filter(pk__in=visible.values("pk"))

    def get_form(self, request: HttpRequest, obj: Segment | None = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        form.by = user_of(request)
        return form

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "team":
            kwargs["queryset"] = people.teams_visible_to(user_of(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Segment | None = None) -> bool:
        """What every team uses is an administrator's."""
        is_shared = obj is not None and obj.team_id is None
        return super().has_change_permission(request, obj) and (
            not is_shared or user_of(request).has_role(Role.ADMIN)
        )

    def get_fieldsets(self, request: HttpRequest, obj: Segment | None = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": ["name", "team", "says"]})]
        return super().get_fieldsets(request, obj)

    def render_change_form(self, request: HttpRequest, context: dict, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        context |= {"count_path": reverse("admin:notifications_segment_count")}
        if obj is not None:
            context |= self._found(request, obj.filter, obj.team)
        return super().render_change_form(request, context, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        count = path("count/", self.admin_site.admin_view(self.count), name="notifications_segment_count")
        return [count, *super().get_urls()]

    def count(self, request: HttpRequest) -> HttpResponse:
        """A fragment: whom the filter of the form means, as it is filled in now."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form_class = self.get_form(request)
        form = form_class(request.POST)
        form.fields["name"].required = form.fields["team"].required = False
        form.is_valid()
        wrong = {name: said for name, said in form.errors.items() if name in segments.NAMES}
        context: dict[str, Any] = {"wrong": [text for said in wrong.values() for text in said]}
        if not wrong:
            context |= self._found(request, form.instance.filter, form.cleaned_data.get("team"))
        return render(request, "admin/notifications/segment/count.html", context)

    @staticmethod
    def _found(request: HttpRequest, kept: dict[str, Any], team: Team | None) -> dict[str, Any]:
        """Of the customers whoever asks may see."""
        meant = segments.customers(kept, now=timezone.now())
        if team is not None:
            meant = meant.filter(teams=team)
        seen = meant.filter(pk__in=people.customers_visible_to(user_of(request)).values("pk"))
        return {"count": seen.count(), "sample": list(seen.order_by("-pk")[:SAMPLE])}

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """What the filters name is looked up once for all rows."""
        page = super().get_changelist_instance(request)
        page.result_list = list(page.result_list)
        names = _names([row.filter for row in page.result_list])
        for row in page.result_list:
            row.names = names
        return page

    @display(description=_("filter"))
    def says(self, segment: Any) -> str:
        names = segment.names if hasattr(segment, "names") else _names([segment.filter])
        return said(segment.filter, names)


_ROWS: dict[str, type[Model]] = {"tags": Tag, "agreed_to": Purpose}
Names = dict[str, dict[int, Any]]


def _names(filters: list[dict[str, Any]]) -> Names:
    wanted = {name: {pk for kept in filters for pk in kept.get(name, ())} for name in _ROWS}
    return {name: _ROWS[name]._default_manager.in_bulk(pks) for name, pks in wanted.items() if pks}


def said(kept: dict[str, Any], names: Names) -> str:
    """A filter in words."""
    # In an order of ours: a database may keep another one.
    parts = [
        f"{title}: {_words(name, kept[name], names)}"
        for name, title in segments.NAMES.items()
        if name in kept
    ]
    return "; ".join(parts) or str(_("everybody"))


def _words(name: str, value: Any, names: Names) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} = {one}" for key, one in value.items())
        case list() if name in _ROWS:
            return ", ".join(str(names[name].get(pk, "–")) for pk in value)
        case list():
            return ", ".join(str(Way(one).label) if name == "reachable_by" else one for one in value)
        case _:
            return str(value)
