"""Every exception becomes one answer in one shape; nothing of the inside is told outside."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.core.exceptions import (
    BadRequest,
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from redis.exceptions import RedisError
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError

from .. import errors, lost

logger = structlog.stdlib.get_logger(__name__)

# A validation error may name at most this many fields: a million wrong items must not make a larger answer.
MOST_FIELDS = 100
_DATABASE_RETRY_SECONDS = 5
_DUPLICATE_SQLSTATES = {"23505", "23P01"}
# Statuses with a page of their own in templates/.
_OWN_PAGES = {400, 403, 404, 429, 500, 503}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is told about an exception."""

    status: int
    code: str
    detail: str
    fields: errors.Fields = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> dict[str, Any]:
        return errors.body(
            status=self.status, code=self.code, detail=self.detail, fields=self.fields, request_id=request_id
        )


def handle(exc: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler."""
    answer = answer_to(exc)
    _log(exc, answer)
    request_id = _request_id(context.get("request"))
    return Response(answer.body(request_id), status=answer.status, headers=answer.headers)


def answer_to(exc: BaseException | None) -> Answer:
    """The answer to any exception; what is unknown is a 500 with a fixed text."""
    for kinds, answerer in _ANSWERERS:
        if isinstance(exc, kinds):
            return answerer(exc)
    return Answer(status=500, code="server_error", detail=_("Something went wrong on our side."))


def _domain(exc: errors.EMLError) -> Answer:
    return Answer(
        status=exc.status,
        code=exc.code,
        detail=str(exc),
        fields=exc.fields,
        headers=_retry_after(exc.retry_after),
    )


def _drf_invalid(exc: drf.ValidationError) -> Answer:
    return _invalid(dict(_leaves(exc.detail)))


def _django_invalid(exc: ValidationError) -> Answer:
    by_field = exc.error_dict if hasattr(exc, "error_dict") else {"": exc.error_list}
    return _invalid(
        {
            "" if name == "__all__" else name: [
                drf.ErrorDetail(text, error.code or "invalid") for error in found for text in error.messages
            ]
            for name, found in by_field.items()
        }
    )


def _invalid(found: dict[str, list[drf.ErrorDetail]]) -> Answer:
    """What concerns no single field becomes the detail; one code for all is the code of the whole."""
    codes = {getattr(detail, "code", "invalid") for details in found.values() for detail in details}
    general = found.pop("", [])
    return Answer(
        status=400,
        code=codes.pop() if len(codes) == 1 else "invalid",
        detail=" ".join(map(str, general)) or _("The input is not valid."),
        fields={name: [str(detail) for detail in found[name]] for name in list(found)[:MOST_FIELDS]},
    )


def _leaves(detail: Any, path: str = "") -> list[tuple[str, list[drf.ErrorDetail]]]:
    """Nested errors as dotted paths: `items.0.name`."""
    if isinstance(detail, dict):
        return [leaf for key, value in detail.items() for leaf in _leaves(value, _joined(path, key))]
    if isinstance(detail, list) and any(isinstance(value, dict | list) for value in detail):
        return [
            leaf for at, value in enumerate(detail) if value for leaf in _leaves(value, _joined(path, at))
        ]
    return [(path, detail if isinstance(detail, list) else [detail])]


def _joined(path: str, key: Any) -> str:
    if key == "non_field_errors":
        return path
    return f"{path}.{key}" if path else str(key)


def _drf(exc: drf.APIException) -> Answer:
    headers = _retry_after(getattr(exc, "wait", None))
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    code, detail = _code_and_text(exc)
    return Answer(status=exc.status_code, code=code, detail=detail, headers=headers)


def _code_and_text(exc: drf.APIException) -> tuple[str, str]:
    detail: Any = exc.detail
    code = getattr(detail, "code", exc.default_code)
    if isinstance(detail, dict):
        # simplejwt tells code and text as entries of a dictionary.
        code, detail = detail.get("code", code), detail.get("detail", exc.default_detail)
    elif isinstance(detail, list):
        detail = exc.default_detail
    return "rate_limited" if exc.status_code == 429 else str(code), str(detail)


def _token(exc: TokenError) -> Answer:
    challenge = {"WWW-Authenticate": 'Bearer realm="api"'}
    return Answer(
        status=401, code="token_not_valid", detail=_("The token is invalid or expired."), headers=challenge
    )


def _not_found(exc: Exception) -> Answer:
    return _domain(errors.NotFound())


def _denied(exc: PermissionDenied) -> Answer:
    return _domain(errors.Forbidden())


def _too_big(exc: RequestDataTooBig) -> Answer:
    return Answer(status=413, code="too_large", detail=_("This is larger than allowed."))


def _bad_request(exc: Exception) -> Answer:
    return Answer(status=400, code="bad_request", detail=_("This request is not understood."))


def _integrity(exc: IntegrityError) -> Answer:
    """Two writers met at a unique constraint; any other broken constraint is a mistake of ours."""
    state = getattr(exc.__cause__, "sqlstate", None)
    if state in _DUPLICATE_SQLSTATES or str(exc).startswith("UNIQUE"):
        return Answer(status=409, code="conflict", detail=_("This exists already or was just changed."))
    return answer_to(None)


def _data(exc: DataError) -> Answer:
    """A value that no column can hold came through validation."""
    return _invalid({})


def _database_away(exc: DatabaseError) -> Answer:
    """Server down, connections used up, a lock or statement that took too long, disk full: all pass by waiting."""
    lost.forget_connections()
    return _domain(errors.Unavailable(retry_after=_DATABASE_RETRY_SECONDS))


def _cache_away(exc: RedisError) -> Answer:
    """What counts tries fails closed while it cannot count; everything else does without the cache."""
    return _domain(errors.Unavailable(retry_after=_DATABASE_RETRY_SECONDS))


# The first entry that fits answers.
_ANSWERERS: list[tuple[Any, Any]] = [
    (errors.EMLError, _domain),
    (drf.ValidationError, _drf_invalid),
    (drf.APIException, _drf),
    (TokenError, _token),
    ((Http404, ObjectDoesNotExist), _not_found),
    (PermissionDenied, _denied),
    (ValidationError, _django_invalid),
    (RequestDataTooBig, _too_big),
    ((SuspiciousOperation, BadRequest, MultiPartParserError, UnreadablePostError), _bad_request),
    (IntegrityError, _integrity),
    (DataError, _data),
    ((OperationalError, InterfaceError), _database_away),
    (RedisError, _cache_away),
]


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}


def _log(exc: BaseException, answer: Answer) -> None:
    if answer.status == 503:
        logger.warning("unavailable", error=type(exc).__name__)
    elif answer.status >= 500:
        logger.error("request failed", exc_info=exc)


def _request_id(request: Any) -> str:
    return getattr(request, "request_id", "")


# Outside DRF: the same answers as JSON under /api/, as a page everywhere else.


def respond(request: HttpRequest, answer: Answer) -> HttpResponse:
    """`answer` in the language of who asks."""
    response: HttpResponse
    if request.path_info.startswith(("/api/", "/health/")):
        response = JsonResponse(answer.body(_request_id(request)), status=answer.status)
    else:
        response = HttpResponse(_page(request, answer), status=answer.status)
    for name, value in answer.headers.items():
        response[name] = value
    return response


def _page(request: HttpRequest, answer: Answer) -> str:
    own = answer.status if answer.status in _OWN_PAGES else "500" if answer.status >= 500 else "4xx"
    # As a plain variable: context processors may need the very thing that is broken.
    return render_to_string(f"{own}.html", {"request": request, "answer": answer})


def handle_in_view(request: HttpRequest, exc: Exception) -> HttpResponse | None:
    """An answer to what a plain view raised on purpose or for want of a database or cache; None for everything else."""
    if not isinstance(exc, errors.EMLError | OperationalError | InterfaceError | RedisError):
        return None
    answer = answer_to(exc)
    _log(exc, answer)
    return respond(request, answer)


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, answer_to(exception))


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, answer_to(exception))


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, answer_to(exception))


def handler500(request: HttpRequest) -> HttpResponse:
    """Django calls this while the exception is being handled (and logs it)."""
    answer = answer_to(sys.exc_info()[1])
    # What reaches this handler is no client's fault, whatever its class: only a missing database is told apart.
    return respond(request, answer if answer.status == 503 else answer_to(None))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """For CSRF_FAILURE_VIEW."""
    detail = _("This form has expired. Please go back, reload the page and send it again.")
    answer = Answer(status=403, code="csrf_failed", detail=detail)
    if request.path_info.startswith("/api/"):
        return respond(request, answer)
    return HttpResponse(render_to_string("403_csrf.html", {"request": request}), status=403)
