from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.core import events
from apps.users.models import User

from ..events import NoteAdded
from ..models import Conversation, Note


def add(conversation: Conversation, *, body: str, by: User, now: datetime) -> Note:
    """An internal note: staff only, also on closed conversations."""
    with transaction.atomic():
        note = Note.objects.create(conversation=conversation, author=by, body=body, at=now)
        events.record(
            NoteAdded(conversation=conversation.pk, note=note.pk), stream=conversation.stream, actor=by
        )
        return note
