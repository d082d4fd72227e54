"""The OpenAPI description: what drf-spectacular finds by itself, plus what all operations have in common."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from .. import errors
from .idempotency import HEADER
from .serializers import Strict

_ERROR = {
    "type": "object",
    "description": "What every error looks like. `code` is stable; `detail` is for people, in their language.",
    "required": ["type", "code", "detail", "fields", "request_id"],
    "properties": {
        "type": {"type": "string", "enum": list(errors.TYPES)},
        "code": {"type": "string", "example": "unknown_field"},
        "detail": {"type": "string"},
        "fields": {
            "type": "object",
            "description": "What is wrong with single fields, by dotted path.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "request_id": {"type": "string", "description": "Name it when you ask for help."},
    },
}
_ALWAYS = {
    "400": "The request is not valid.",
    "401": "Not signed in, or the token is no longer valid.",
    "403": "Not allowed.",
    "404": "There is no such thing, or it is not yours to see.",
    "406": "Only application/json is spoken here.",
    "409": "Not possible in the present state.",
    "429": "Too many requests; wait for Retry-After seconds.",
    "503": "Not available now; wait for Retry-After seconds.",
}
_WITH_BODY = {"413": "The body is too large.", "415": "The body must be application/json in UTF-8."}
_WITH_KEY = {"422": "The Idempotency-Key was used for another request."}
_METHODS = {"get", "post", "put", "patch", "delete"}


class Schema(AutoSchema):
    """Knows strict serializers and idempotent actions."""

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if self._is_idempotent():
            parameters.append(_key_parameter())
        return parameters

    def _is_idempotent(self) -> bool:
        name = getattr(self.view, "action", None) or self.method.lower()
        return getattr(getattr(self.view, name, None), "is_idempotent", False)

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema = super()._map_basic_serializer(serializer, direction)
        if direction == "request" and isinstance(serializer, Strict):
            schema["additionalProperties"] = False
        return schema


def _key_parameter() -> OpenApiParameter:
    return OpenApiParameter(
        HEADER,
        {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        OpenApiParameter.HEADER,
        required=True,
        description="Any text that is new for each thing to create. Repeated within 24 hours, the answer is repeated.",
    )


def add_errors(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Postprocessing hook: the one Error component and its statuses, in every operation."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR
    for path in result["paths"].values():
        for method, operation in path.items():
            if method in _METHODS:
                _add_errors(operation)
    return result


def _add_errors(operation: dict[str, Any]) -> None:
    statuses = dict(_ALWAYS)
    if "requestBody" in operation:
        statuses |= _WITH_BODY
    if any(parameter.get("name") == HEADER for parameter in operation.get("parameters", ())):
        statuses |= _WITH_KEY
    for status, description in statuses.items():
        operation["responses"].setdefault(status, _response(description))


def _response(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
