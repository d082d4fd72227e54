"""Pure rules about texts."""

from __future__ import annotations

import re

from . import errors

MOST_CHARACTERS = 8000
MOST_BYTES = 32_000
MOST_ATTACHMENTS = 10
PREVIEW_CHARACTERS = 120
# Ten segments: more no provider takes as one message.
MOST_SMS_CHARACTERS = 1600
# Written for mail they grow by a third, and most servers take 25 MB.
MOST_MAIL_BYTES = 15 * 1024 * 1024
# Of one sender in one inbox within an hour; more is a loop of machines, or worse.
MOST_ARRIVALS_PER_HOUR = 60
# What is longer is no message of a person; the beginning is kept.
MOST_ARRIVED_CHARACTERS = 200_000

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


# Where a mail program begins to quote what is answered.
_QUOTE = re.compile(
    r"^(?:>?\s*(?:On|Am|Le|El|Il|Op)\b.{0,300}(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef)\b.{0,80}:"
    r"|-{2,}\s*(?:Original Message|Ursprüngliche Nachricht|Message d'origine)\s*-{2,}"
    r"|_{20,})\s*$",
    re.MULTILINE | re.IGNORECASE,
)


def own_words(text: str) -> str:
    """A mail without what it quotes below; all of it when nothing else would be left. Fits into a message."""
    cut = _QUOTE.search(text)
    lines = (text[: cut.start()] if cut else text).rstrip().split("\n")
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith(">")):
        lines.pop()
    return fitting("\n".join(lines).strip() or text.strip())


def fitting(text: str) -> str:
    """As much of a text as a message holds, with a mark where it was cut."""
    if len(text) <= MOST_CHARACTERS and len(text.encode()) <= MOST_BYTES:
        return text
    return text.encode()[: MOST_BYTES - 4].decode(errors="ignore")[: MOST_CHARACTERS - 1] + "…"
