"""What a list may be asked by: named filters and orderings, and nothing besides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db import models
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as django_filters
from rest_framework.request import Request

from ..errors import Invalid

ORDERING = "ordering"
_NAME_CHARACTERS, _MOST_NAMES = 100, 20


class UnknownParameter(Invalid):
    code = "unknown_parameter"
    detail = _("There is no such query parameter here.")


class _BooleanFormField(forms.NullBooleanField):
    """`true` or `false`; the base class takes a typing error for "not asked"."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> bool | None:  # type: ignore[override]
        if value in (None, ""):
            return None
        if value not in {"true", "false"}:
            raise forms.ValidationError(_("Say true or false."), code="invalid")
        return value == "true"

    def validate(self, value: Any) -> None:
        pass


class StrictBooleanFilter(django_filters.BooleanFilter):
    field_class = _BooleanFormField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["widget"] = forms.TextInput
        super().__init__(*args, **kwargs)


class RowFilter(django_filters.NumberFilter):
    """Rows that belong to the row of this number.

    Whether there is such a row is not looked up: the difference between "none of yours" and "no such number" would
    tell which numbers are taken.
    """

    field_class = forms.IntegerField


class StrictFilterSet(django_filters.FilterSet):
    FILTER_DEFAULTS = {
        **django_filters.FilterSet.FILTER_DEFAULTS,
        models.BooleanField: {"filter_class": StrictBooleanFilter},
        models.ForeignKey: {"filter_class": RowFilter},
        models.OneToOneField: {"filter_class": RowFilter},
        models.ManyToManyField: {"filter_class": RowFilter},
    }


class StrictFilterBackend(django_filters.DjangoFilterBackend):
    """django-filter that answers 400 to parameters it does not know.

    Known are the filters of the view's `filterset_class`, those of its paginator, `ordering` if the view has
    `ordering_fields`, and names in the view's `query_parameters`.
    """

    filterset_base = StrictFilterSet

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        filterset_class = self.get_filterset_class(view, queryset)
        filters = filterset_class.base_filters if filterset_class else ()
        refuse_unknown(request, known_parameters(view, filters))
        return super().filter_queryset(request, queryset, view)


def known_parameters(view: Any, filters: Iterable[str]) -> set[str]:
    known = {*filters, *getattr(view, "query_parameters", ())}
    if getattr(view, "ordering_fields", None):
        known.add(ORDERING)
    if paginator := getattr(view, "paginator", None):
        known |= {paginator.cursor_query_param, paginator.page_size_query_param}
    return known


def refuse_unknown(request: Request, known: set[str]) -> None:
    """Raises `UnknownParameter` naming what was sent and is not known."""
    unknown = [name[:_NAME_CHARACTERS] for name in request.query_params if name not in known]
    if unknown:
        names = unknown[:_MOST_NAMES]
        raise UnknownParameter(fields={name: [str(_("Unknown parameter."))] for name in names})


def chosen_ordering(request: Request, view: Any) -> tuple[str, ...] | None:
    """What `?ordering=` asks for, if the view's `ordering_fields` allow it; None if it does not ask."""
    asked = request.query_params.get(ORDERING)
    if asked is None:
        return None
    allowed = getattr(view, "ordering_fields", None) or ()
    if asked.removeprefix("-") not in allowed:
        choices = ", ".join(f"{name}, -{name}" for name in allowed)
        raise Invalid(fields={ORDERING: [str(_("Choose one of: %(names)s.") % {"names": choices})]})
    return (asked,)
