"""Pure rules about texts."""

from __future__ import annotations

import re

from . import errors

MOST_CHARACTERS = 8000
MOST_BYTES = 32_000
MOST_ATTACHMENTS = 10
PREVIEW_CHARACTERS = 120

_ORIGIN = re.compile(r"https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(:\d{1,5})?")


def check_body(body: str, *, has_attachments: bool = False) -> None:
    if not body.strip() and not has_attachments:
        raise errors.MessageEmpty
    if len(body) > MOST_CHARACTERS or len(body.encode()) > MOST_BYTES:
        raise errors.MessageTooLong


def preview(body: str) -> str:
    """The first words in one line, for lists."""
    line = " ".join(body[: PREVIEW_CHARACTERS * 2].split())
    return line if len(line) <= PREVIEW_CHARACTERS else line[: PREVIEW_CHARACTERS - 1] + "…"


def framing_origins(listed: list[str]) -> list[str]:
    """The exact origins of a list, fit for a header; whatever is none (a path, a wildcard, a directive) is left out."""
    tidy = (origin.strip().lower().rstrip("/") for origin in listed if isinstance(origin, str))
    return [origin for origin in tidy if _ORIGIN.fullmatch(origin)]
