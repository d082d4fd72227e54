"""A mail that arrived, as plain data. Pure."""

from __future__ import annotations

import html
import re
from email.message import Message
from itertools import chain
from typing import Any

import nh3
from anymail.inbound import AnymailInboundMessage

from ..contract import Arrival

MOST_FILES = 10
MOST_REFERENCES = 30
_MESSAGE_ID = re.compile(r"<([^<>\s]{3,250})>")
_LINE_ENDS = re.compile(r"(?i)<(?:br|/p|/div|/tr|/li|/h[1-6])\b[^>]*>")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def arrival(message: AnymailInboundMessage, *, event_id: str = "") -> Arrival:
    sender = message.from_email
    own_id = next(iter(_MESSAGE_ID.findall(str(message.get("Message-ID", "")))), "")
    return Arrival(
        id=own_id or event_id,
        sender=sender.addr_spec if sender else "",
        sender_name=(sender.display_name or "") if sender else "",
        to=", ".join(_recipients(message)),
        subject=" ".join(str(message.subject or "").split()),
        text=text_of(message),
        reply_to=references(message),
        files=tuple(_files(message)),
        at=message.date,
        is_automatic=is_automatic(message),
    )


def _recipients(message: AnymailInboundMessage) -> list[str]:
    """Where the provider took it for first; what the sender wrote comes after."""
    written = [address.addr_spec for address in chain(message.to, message.cc)]
    first = [message.envelope_recipient] if message.envelope_recipient else []
    return list(dict.fromkeys(address.lower() for address in [*first, *written] if address))


def references(message: Message) -> tuple[str, ...]:
    """The ids it answers, nearest first."""
    nearest = _MESSAGE_ID.findall(str(message.get("In-Reply-To", "")))
    earlier = _MESSAGE_ID.findall(str(message.get("References", "")))[::-1]
    return tuple(dict.fromkeys([*nearest, *earlier]))[:MOST_REFERENCES]


def text_of(message: AnymailInboundMessage) -> str:
    text = message.text
    if text is None or not text.strip():
        text = plain(message.html or "")
    return text.replace("\r\n", "\n").replace("\0", "").strip()


def plain(markup: str) -> str:
    """The words of an HTML mail; scripts and styles with what is in them are gone."""
    kept = nh3.clean(_LINE_ENDS.sub("\n", markup), tags=set(), clean_content_tags={"script", "style", "head"})
    return _BLANK_LINES.sub("\n\n", html.unescape(kept)).strip()


def is_automatic(message: Message) -> bool:
    """Written by a machine (RFC 3834, and the headers of those who do not know it)."""
    submitted = str(message.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    precedence = str(message.get("Precedence", "")).strip().lower()
    return (
        submitted != "no"
        or precedence in {"bulk", "junk", "list", "auto_reply"}
        or any(name in message for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"))
        or "List-Id" in message
        or str(message.get("Return-Path", "")).strip() == "<>"
        or message.get_content_type() == "multipart/report"
    )


def _files(message: AnymailInboundMessage) -> list[tuple[str, bytes]]:
    parts: list[Any] = [*message.attachments, *message.inlines]
    return [(part.get_filename() or "", part.get_content_bytes() or b"") for part in parts[:MOST_FILES]]
