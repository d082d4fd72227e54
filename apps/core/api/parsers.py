"""The only way a JSON body comes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.utils.mediatypes import _MediaType

from ..errors import Invalid
from ..json import loads_strict


class StrictJSONParser(BaseParser):
    """One JSON object in UTF-8. Anything else is 400, 413 or 415, with the code of `loads_strict`."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        _check_type(media_type or "")
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        # One byte more than allowed is enough to know, whatever Content-Length said.
        value = loads_strict(stream.read(limit + 1), max_bytes=limit)
        if not isinstance(value, dict):
            raise Invalid(_("The body must be a JSON object."), code="not_an_object")
        return value


def _check_type(content_type: str) -> None:
    media_type = _MediaType(content_type)
    if (media_type.main_type.lower(), media_type.sub_type.lower()) != ("application", "json"):
        # DRF lets `*/*` match any parser.
        raise UnsupportedMediaType(content_type)
    charset = media_type.params.get("charset", "utf-8")
    if str(charset).strip().lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType(content_type, detail=_("The charset must be UTF-8."))
