"""Which version of a record the caller saw, in a field or in the If-Match header."""

from __future__ import annotations

import re

from rest_framework.request import Request

from apps.core.errors import Invalid

_ETAG = re.compile(r'(?:W/)?"([0-9]{1,9})"')


def version(request: Request, said: int | None) -> int | None:
    """The version to compare with; None when the caller does not care. Raises Invalid for any other header."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return said
    match = _ETAG.fullmatch(header.strip())
    if match is None or (said is not None and said != int(match[1])):
        raise Invalid(code="bad_precondition")
    return int(match[1])
