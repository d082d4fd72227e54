"""Pure rules about texts."""

from __future__ import annotations

from . import errors

MOST_CHARACTERS = 8000
MOST_BYTES = 32_000
PREVIEW_CHARACTERS = 120


def check_body(body: str, *, has_attachments: bool = False) -> None:
    if not body.strip() and not has_attachments:
        raise errors.MessageEmpty
    if len(body) > MOST_CHARACTERS or len(body.encode()) > MOST_BYTES:
        raise errors.MessageTooLong


def preview(body: str) -> str:
    """The first words in one line, for lists."""
    line = " ".join(body[: PREVIEW_CHARACTERS * 2].split())
    return line if len(line) <= PREVIEW_CHARACTERS else line[: PREVIEW_CHARACTERS - 1] + "…"
