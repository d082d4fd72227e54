"""Lists in pages that neither skip nor repeat rows while the list grows, and that never count."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.core import signing
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from ..errors import Invalid
from .filters import ORDERING, chosen_ordering

_MOST_CURSOR_CHARACTERS = 2_000
_PAGE_SIZE = re.compile(r"[1-9][0-9]{0,4}")


class InvalidCursor(Invalid):
    code = "invalid_cursor"
    detail = _("This cursor does not belong to this list. Start again without one.")


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: behind the row with these values, reading on or reading back."""

    values: tuple[Any, ...]
    is_reverse: bool


class CursorPages(CursorPagination):
    """Keyset pages over the view's `ordering` (fields that are never null; the key is added to break ties)."""

    ordering: tuple[str, ...] = ("-pk",)
    page_size = 25
    max_page_size = 100
    page_size_query_param = "page_size"
    page_size_query_description = _("Rows per page, 1 to 100.")  # type: ignore[assignment]

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        self.base_url = request.build_absolute_uri()
        self.ordering = self.get_ordering(request, queryset, view)
        # A cursor is only good for the list and order that made it.
        self.salt = f"eml.cursor:{request.path}:{','.join(self.ordering)}"
        size = self.get_page_size(request)
        cursor = self.decode_cursor(request)
        rows = self._rows(queryset, cursor, size + 1)
        has_more, self.page = len(rows) > size, rows[:size]
        is_reverse = cursor is not None and cursor.is_reverse
        if is_reverse:
            self.page.reverse()
        self.has_next = is_reverse or has_more
        self.has_previous = has_more if is_reverse else cursor is not None
        return self.page

    def get_ordering(self, request: Request, queryset: QuerySet, view: Any) -> tuple[str, ...]:
        ordering = chosen_ordering(request, view) or getattr(view, "ordering", None) or CursorPages.ordering
        ordering = (ordering,) if isinstance(ordering, str) else tuple(ordering)
        _check_never_null(queryset, ordering)
        names = {name.removeprefix("-") for name in ordering}
        if names & {"pk", queryset.model._meta.pk.name}:
            return ordering
        return (*ordering, "-pk" if ordering[-1].startswith("-") else "pk")

    def get_page_size(self, request: Request) -> int:
        asked = request.query_params.get(self.page_size_query_param)
        if asked is None:
            return self.page_size
        if not _PAGE_SIZE.fullmatch(asked) or int(asked) > self.max_page_size:
            text = _("Say a number from 1 to %(most)s.") % {"most": self.max_page_size}
            raise Invalid(fields={self.page_size_query_param: [str(text)]})
        return int(asked)

    def decode_cursor(self, request: Request) -> Cursor | None:  # type: ignore[override]
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None:
            return None
        if len(encoded) > _MOST_CURSOR_CHARACTERS:
            raise InvalidCursor
        try:
            is_reverse, *values = signing.loads(encoded, salt=self.salt)
        except signing.BadSignature:
            raise InvalidCursor from None
        return Cursor(tuple(values), bool(is_reverse))

    def get_next_link(self) -> str | None:
        return self._link(self.page[-1], is_reverse=False) if self.page and self.has_next else None

    def get_previous_link(self) -> str | None:
        return self._link(self.page[0], is_reverse=True) if self.page and self.has_previous else None

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True, "example": None}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        cursor, page_size = super().get_schema_operation_parameters(view)
        page_size["schema"] |= {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return [cursor, page_size, *_ordering_parameter(view)]

    def _rows(self, queryset: QuerySet, cursor: Cursor | None, most: int) -> list[Any]:
        is_reverse = cursor is not None and cursor.is_reverse
        ordering = [_flipped(name) for name in self.ordering] if is_reverse else self.ordering
        queryset = queryset.order_by(*ordering)
        if cursor is None:
            return list(queryset[:most])
        try:
            return list(queryset.filter(_behind(ordering, cursor.values))[:most])
        except (ValidationError, ValueError, TypeError):
            # Signed by an older version, in which the field had another type.
            raise InvalidCursor from None

    def _link(self, row: Any, *, is_reverse: bool) -> str:
        values = [_value(row, name.removeprefix("-")) for name in self.ordering]
        encoded = signing.dumps([int(is_reverse), *values], salt=self.salt)
        return replace_query_param(str(self.base_url), self.cursor_query_param, encoded)


def _behind(ordering: Any, values: tuple[Any, ...]) -> Q:
    """(a, b) > (x, y), spelled so that an index on the first field is still used."""
    name, value = ordering[0], values[0]
    field, step = name.removeprefix("-"), "lt" if name.startswith("-") else "gt"
    if len(ordering) == 1:
        return Q(**{f"{field}__{step}": value})
    rest = _behind(ordering[1:], values[1:])
    return Q(**{f"{field}__{step}e": value}) & (Q(**{f"{field}__{step}": value}) | rest)


def _flipped(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _value(row: Any, name: str) -> Any:
    value = row["id" if name == "pk" else name] if isinstance(row, dict) else getattr(row, name)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float) else str(value)


def _check_never_null(queryset: QuerySet, ordering: tuple[str, ...]) -> None:
    for name in ordering:
        try:
            field = queryset.model._meta.get_field(name.removeprefix("-"))
        except FieldDoesNotExist:
            continue  # "pk" or an annotation
        if field.null:
            # Null is neither before nor behind anything: rows would be missing from every page but the first.
            raise ImproperlyConfigured(f"A list cannot be paged by {name}, which may be null.")


def _ordering_parameter(view: Any) -> list[dict[str, Any]]:
    allowed = getattr(view, "ordering_fields", None)
    if not allowed:
        return []
    choices = [choice for name in allowed for choice in (name, f"-{name}")]
    schema = {"type": "string", "enum": choices}
    return [{"name": ORDERING, "in": "query", "required": False, "schema": schema}]
