"""What was said in a conversation, as text for those who ask for it: messages only, never the notes of staff."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import F
from django.utils.translation import gettext as _

from apps.core import replacer
from apps.messaging.choices import Sender
from apps.messaging.models import Message

from . import placeholders

# More is left out at the beginning, and said so.
MOST_MESSAGES = 300


class Line(NamedTuple):
    seq: int
    at: datetime
    # Empty for what the system says ("Ana has joined").
    who: str
    body: str


Transcripts = dict[int, list[Line]] | Mapping[int, Sequence[Line]]


def load(conversation_ids: Collection[int]) -> Transcripts:
    """The last messages of each of them, oldest first, in one query."""
    rows = (
        Message.objects.filter(
            conversation__in=conversation_ids, seq__gt=F("conversation__last_seq") - MOST_MESSAGES
        )
        .exclude(body="")
        .order_by("conversation", "seq")
        .values_list(
            "conversation_id", "seq", "at", "sender", "user__name", "conversation__customer__name", "body"
        )
    )
    lines: dict[int, list[Line]] = defaultdict(list)
    for conversation_id, seq, at, sender, agent, customer, body in rows:
        names = {Sender.CUSTOMER: customer or _("Customer"), Sender.AGENT: agent or _("Agent")}
        who = names.get(Sender(sender), "")
        lines[conversation_id].append(Line(seq, at, who, body))
    return lines


def written(lines: Sequence[Line], *, zone: ZoneInfo, language: str) -> str:
    """One paragraph for each message. When it gets too long, its beginning is left out."""
    paragraphs: list[str] = []
    room = placeholders.MOST_TRANSCRIPT_CHARACTERS
    for line in reversed(lines):
        time = placeholders.moment_text(line.at, form="time", zone=zone, language=language)
        body = replacer.lines(line.body, most=len(line.body))
        name = f"{replacer.one_line(line.who, most=100)}: " if line.who else ""
        paragraph = f"[{time}] {name}{body}"
        room -= len(paragraph) + 2
        if room < 10:
            break
        paragraphs.append(paragraph)
    if paragraphs and len(paragraphs) < (lines[-1].seq if lines else 0):
        paragraphs.append("…")
    return "\n\n".join(reversed(paragraphs))
