"""The OpenAPI description tells what the plumbing really does."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from . import doors
from .conftest import BODY_KEYS


@pytest.fixture
def schema() -> dict[str, Any]:
    GENERATOR_STATS.reset()
    # Only the router's views describe themselves; the others are there to fail.
    return SchemaGenerator(patterns=doors.urlpatterns[:1]).get_schema(public=True)


def parameters(operation: dict[str, Any]) -> dict[str, Any]:
    return {parameter["name"]: parameter for parameter in operation["parameters"]}


def test_schema_is_valid_and_without_warnings(schema: dict[str, Any]) -> None:
    validate_schema(schema)
    assert not GENERATOR_STATS
    assert "/api/v1/events/" in schema["paths"]


def test_every_operation_tells_its_errors(schema: dict[str, Any]) -> None:
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    assert len(operations) >= 5
    for operation in operations:
        for status in ("400", "401", "403", "404", "409", "429", "503"):
            content = operation["responses"][status]["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}
        assert ("415" in operation["responses"]) == ("requestBody" in operation)
    assert set(schema["components"]["schemas"]["Error"]["required"]) == BODY_KEYS


def test_idempotent_actions_ask_for_the_key(schema: dict[str, Any]) -> None:
    path = schema["paths"]["/api/v1/events/"]
    assert parameters(path["post"])["Idempotency-Key"]["required"]
    assert "422" in path["post"]["responses"]
    assert "Idempotency-Key" not in parameters(path["get"])
    assert "422" not in path["get"]["responses"]


def test_lists_tell_their_parameters(schema: dict[str, Any]) -> None:
    found = parameters(schema["paths"]["/api/v1/events/"]["get"])
    assert set(found) == {"cursor", "page_size", "ordering", "type", "n", "uid", "after", "handled"}
    assert found["page_size"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}
    assert found["ordering"]["schema"]["enum"] == ["at", "-at", "type", "-type"]
    assert found["handled"]["schema"]["type"] == "boolean"


def test_strict_input_is_described_as_strict(schema: dict[str, Any]) -> None:
    schemas = schema["components"]["schemas"]
    assert schemas["EventRequest"]["additionalProperties"] is False
    assert "id" not in schemas["EventRequest"]["properties"]
    assert "additionalProperties" not in schemas["Event"]
