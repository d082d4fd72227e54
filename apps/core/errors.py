"""Errors the domain raises, and the one shape in which every door tells them."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Fields = dict[str, list[str]]

_TYPES = {
    400: "validation_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found",
    409: "conflict",
    412: "conflict",
    422: "validation_error",
    429: "rate_limited",
    503: "unavailable",
}
TYPES = (*dict.fromkeys(_TYPES.values()), "client_error", "server_error")


def body(
    *, status: int, code: str, detail: str, request_id: str, fields: Fields | None = None
) -> dict[str, Any]:
    """What a client gets to see of an error, whatever the door."""
    broad = _TYPES.get(status, "server_error" if status >= 500 else "client_error")
    return {"type": broad, "code": code, "detail": detail, "fields": fields or {}, "request_id": request_id}


class EMLError(Exception):
    """Something that cannot be done, said in words for whoever asked.

    Subclasses set `code` (stable, for programs), `status` and `detail` (translatable, with %(name)s placeholders
    that are filled from the keyword arguments).
    """

    status: int = 409
    code: str = "conflict"
    detail: str | Promise = _("This cannot be done now.")
    retry_after: int | None = None

    def __init__(
        self,
        detail: str | Promise | None = None,
        *,
        code: str | None = None,
        fields: Fields | None = None,
        retry_after: int | None = None,
        **params: Any,
    ) -> None:
        self.code = code or self.code
        self.fields = fields or {}
        self.retry_after = retry_after if retry_after is not None else self.retry_after
        text = detail or type(self).detail
        self.detail = str(text) % params if params else text
        super().__init__(self.code)

    def __str__(self) -> str:
        return str(self.detail)

    def as_body(self, request_id: str) -> dict[str, Any]:
        return body(
            status=self.status, code=self.code, detail=str(self), fields=self.fields, request_id=request_id
        )


class Invalid(EMLError):
    status = 400
    code = "invalid"
    detail = _("The input is not valid.")


class Forbidden(EMLError):
    status = 403
    code = "permission_denied"
    detail = _("You may not do this.")


class NotFound(EMLError):
    status = 404
    code = "not_found"
    detail = _("There is no such thing, or it is not yours to see.")


class Conflict(EMLError):
    pass


class TooMany(EMLError):
    """`retry_after` is in seconds."""

    status = 429
    code = "rate_limited"
    detail = _("Too many requests. Please try again later.")
    retry_after = 60


class Unavailable(EMLError):
    status = 503
    code = "unavailable"
    detail = _("The service is not available at the moment. Please try again in a few seconds.")
    retry_after = 5
