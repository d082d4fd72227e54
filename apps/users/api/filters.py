from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.extensions import OpenApiFilterExtension
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from apps.core.api.filters import known_parameters, refuse_unknown

from .. import selectors
from ..permissions import user_of

PARAMETER = "search"


class SearchFilter(BaseFilterBackend):
    """`?search=`: part of a name, or a whole e-mail address, phone number or external id."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        refuse_unknown(request, known_parameters(view, [PARAMETER]))
        text = request.query_params.get(PARAMETER, "")
        if view.action != "list" or not text.strip():
            return queryset
        return selectors.with_contacts(selectors.search_customers(user_of(request), text))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": PARAMETER,
                "in": "query",
                "required": False,
                "description": "Part of a name, or a whole e-mail address, phone number or external id.",
                "schema": {"type": "string"},
            }
        ]


class _SearchParameter(OpenApiFilterExtension):
    target_class = SearchFilter

    def get_schema_operation_parameters(
        self, auto_schema: Any, *args: Any, **kwargs: Any
    ) -> list[dict[str, Any]]:
        return self.target.get_schema_operation_parameters(auto_schema.view)
