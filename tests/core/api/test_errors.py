"""H33 and rule 2 of bad input: whatever is raised, the answer has one shape and tells nothing of the inside."""

from __future__ import annotations

import logging
from typing import Any

import psycopg.errors
import pytest
from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    TooManyFieldsSent,
    ValidationError,
)
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from redis.exceptions import ConnectionError as RedisGone
from rest_framework import exceptions as drf
from rest_framework.test import APIClient
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from apps.core import errors
from apps.core.api.errors import answer_to
from apps.core.models import Event

from .conftest import refused
from .doors import Fails

SECRET = "SELECT password FROM users_user"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class Busy(errors.Conflict):
    code = "agent_at_capacity"
    detail = _("This agent has %(load)s of %(capacity)s conversations.")


CASES = [
    (Busy(load=3, capacity=3), 409, "conflict", "agent_at_capacity"),
    (errors.Invalid(fields={"a": ["b"]}), 400, "validation_error", "invalid"),
    (errors.NotFound(), 404, "not_found", "not_found"),
    (errors.Forbidden(), 403, "permission_error", "permission_denied"),
    (errors.TooMany(retry_after=7), 429, "rate_limited", "rate_limited"),
    (errors.Unavailable(), 503, "unavailable", "unavailable"),
    (Http404(SECRET), 404, "not_found", "not_found"),
    (Event.DoesNotExist(SECRET), 404, "not_found", "not_found"),
    (PermissionDenied(SECRET), 403, "permission_error", "permission_denied"),
    (ValidationError("no", code="never"), 400, "validation_error", "never"),
    (RequestDataTooBig(SECRET), 413, "client_error", "too_large"),
    (TooManyFieldsSent(SECRET), 400, "validation_error", "bad_request"),
    (DisallowedHost(SECRET), 400, "validation_error", "bad_request"),
    (BadRequest(SECRET), 400, "validation_error", "bad_request"),
    (MultiPartParserError(SECRET), 400, "validation_error", "bad_request"),
    (UnreadablePostError(SECRET), 400, "validation_error", "bad_request"),
    (drf.ParseError(), 400, "validation_error", "parse_error"),
    (drf.NotAuthenticated(), 401, "authentication_error", "not_authenticated"),
    (drf.AuthenticationFailed(), 401, "authentication_error", "authentication_failed"),
    (drf.PermissionDenied(), 403, "permission_error", "permission_denied"),
    (drf.NotFound(), 404, "not_found", "not_found"),
    (drf.MethodNotAllowed("PUT"), 405, "client_error", "method_not_allowed"),
    (drf.NotAcceptable(), 406, "client_error", "not_acceptable"),
    (drf.UnsupportedMediaType("x/y"), 415, "client_error", "unsupported_media_type"),
    (drf.Throttled(wait=3.2), 429, "rate_limited", "rate_limited"),
    (InvalidToken({"messages": [SECRET]}), 401, "authentication_error", "token_not_valid"),
    (TokenError(SECRET), 401, "authentication_error", "token_not_valid"),
    (OperationalError(SECRET), 503, "unavailable", "unavailable"),
    (InterfaceError(SECRET), 503, "unavailable", "unavailable"),
    (DataError(SECRET), 400, "validation_error", "invalid"),
    (caused(IntegrityError(SECRET), psycopg.errors.UniqueViolation()), 409, "conflict", "conflict"),
    (IntegrityError("UNIQUE constraint failed: users_user.email"), 409, "conflict", "conflict"),
    (caused(IntegrityError(SECRET), psycopg.errors.NotNullViolation()), 500, "server_error", "server_error"),
    (ProgrammingError(SECRET), 500, "server_error", "server_error"),
    (RecursionError(SECRET), 500, "server_error", "server_error"),
    (KeyError(SECRET), 500, "server_error", "server_error"),
]


@pytest.mark.parametrize(
    ("error", "status", "broad", "code"), CASES, ids=lambda value: getattr(value, "code", None)
)
def test_h33_every_exception_has_its_answer(
    api: APIClient, monkeypatch: Any, error: Exception, status: int, broad: str, code: str
) -> None:
    monkeypatch.setattr(Fails, "error", error)
    response = api.get("/api/v1/fails/")
    body = refused(response, status, code)
    assert body["type"] == broad
    assert SECRET not in response.content.decode()
    assert ("Retry-After" in response) == (status in {429, 503})
    assert ("WWW-Authenticate" in response) == (status == 401)


def test_domain_error_fills_its_words(api: APIClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(Fails, "error", Busy(load=3, capacity=4, fields={"agent": ["full"]}))
    body = api.get("/api/v1/fails/").json()
    assert body["detail"] == "This agent has 3 of 4 conversations."
    assert body["fields"] == {"agent": ["full"]}


def test_domain_error_speaks_the_language_of_who_asks() -> None:
    class Refused(errors.Conflict):
        detail = _("Yes")  # translated by Django itself

    with translation.override("de"):
        assert Refused().as_body("r")["detail"] == "Ja"


def test_nested_errors_are_dotted_paths(api: APIClient, monkeypatch: Any) -> None:
    nested = {"items": [{}, {"name": ["a"]}], "non_field_errors": ["whole"], "free": {"x": {"y": ["b"]}}}
    monkeypatch.setattr(Fails, "error", drf.ValidationError(nested))
    body = refused(api.get("/api/v1/fails/"), 400, "invalid")
    assert body["fields"] == {"items.1.name": ["a"], "free.x.y": ["b"]}
    assert body["detail"] == "whole"


def test_django_validation_names_fields(api: APIClient, monkeypatch: Any) -> None:
    error = ValidationError({"name": ValidationError("short", code="short"), "__all__": ["together"]})
    monkeypatch.setattr(Fails, "error", error)
    body = refused(api.get("/api/v1/fails/"), 400, "invalid")
    assert (body["fields"], body["detail"]) == ({"name": ["short"]}, "together")


def test_a_thousand_wrong_fields_make_no_large_answer(api: APIClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(Fails, "error", drf.ValidationError({str(n): ["wrong"] for n in range(1_000)}))
    assert len(refused(api.get("/api/v1/fails/"), 400)["fields"]) == 100


def test_unknown_error_is_logged_with_its_traceback(api: APIClient, monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(Fails, "error", KeyError("k"))
    response = api.get("/api/v1/fails/")
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.msg["request_id"] == response["X-Request-Id"]
    assert record.msg["exc_info"].args == ("k",)


def test_h12_view_without_a_policy_is_closed(api: APIClient) -> None:
    refused(api.get("/api/v1/closed/"), 401, "not_authenticated")
    refused(api.get("/api/v1/closed/", HTTP_X_TEST_CALLER="5"), 403, "permission_denied")


@pytest.mark.parametrize("method", ["put", "delete", "trace"])
def test_b25_method_not_allowed(api: APIClient, db: None, method: str) -> None:
    refused(api.generic(method.upper(), "/api/v1/events/"), 405, "method_not_allowed")


def test_b25_method_that_does_not_exist(api: APIClient) -> None:
    refused(api.generic("FOO", "/api/v1/fails/"), 405, "method_not_allowed")


def test_h33_missing_address_under_api_is_json_elsewhere_a_page(api: APIClient) -> None:
    refused(api.get("/api/v1/nothing/here"), 404, "not_found")
    page = api.get("/nothing/")
    assert page.status_code == 404
    assert page["Content-Type"].startswith("text/html")
    assert page["X-Request-Id"] in page.content.decode()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Busy(load=1, capacity=1), 409),
        (errors.TooMany(), 429),
        (OperationalError(SECRET), 503),
        (PermissionDenied(SECRET), 403),
        (Http404(SECRET), 404),
        (BadRequest(SECRET), 400),
        (RequestDataTooBig(SECRET), 400),
        (KeyError(SECRET), 500),
        (drf.NotFound(), 500),
    ],
)
def test_h33_plain_views(api: APIClient, monkeypatch: Any, error: Exception, status: int) -> None:
    monkeypatch.setattr(Fails, "error", error)
    page = api.get("/page-fails/")
    assert (page.status_code, page["Content-Type"]) in {
        (status, "text/html; charset=utf-8"),
        (413, "text/html; charset=utf-8"),
    }
    assert SECRET not in page.content.decode()
    assert page["X-Request-Id"] in page.content.decode()
    assert ("Retry-After" in page) == (status in {429, 503})
    refused(api.get("/api/plain/"), page.status_code)


def test_h33_what_a_person_reads_on_a_page_is_the_reason(api: APIClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(Fails, "error", Busy(load=3, capacity=3))
    assert "This agent has 3 of 3 conversations." in api.get("/page-fails/").content.decode()


def test_h33_csrf_failure(settings: Any) -> None:
    settings.CSRF_FAILURE_VIEW = "apps.core.api.errors.csrf_failure"
    client = APIClient(enforce_csrf_checks=True)
    page = client.post("/page/")
    assert page.status_code == 403
    assert "expired" in page.content.decode()
    refused(client.post("/api/plain/"), 403, "csrf_failed")


def test_f14_a_dead_cache_is_unavailable_and_no_mistake_of_ours():
    answer = answer_to(RedisGone("refused"))
    assert (answer.status, answer.code) == (503, "unavailable")
    assert "Retry-After" in answer.headers
