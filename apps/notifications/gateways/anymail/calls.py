"""A provider's call as django-anymail's parsers want to see it."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from django.core.handlers.wsgi import WSGIRequest

from ..contract import Request


def what(request: Request) -> str:
    """The last part of the address: tracking or inbound."""
    return urlsplit(request.url).path.rstrip("/").rpartition("/")[2]


def as_django(request: Request) -> WSGIRequest:
    parts = urlsplit(request.url)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": parts.path,
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or 443),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": BytesIO(request.body),
        "CONTENT_LENGTH": str(len(request.body)),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
    }
    for name, value in request.headers.items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    made = WSGIRequest(environ)
    # Our door has limited and read it already; Django's own limit is meant for forms.
    made._body = request.body
    return made
