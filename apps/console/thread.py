"""How messages and notes stand under each other: by time, with a line for each day, neighbours grouped. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

# Somebody who writes again within this time does not need his name again.
GROUP_GAP = timedelta(minutes=3)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One line of the thread. `day` is set on the first one of a day; `is_first` begins a group of one speaker."""

    kind: str  # a message's sender, or "note"
    row: Any
    at: datetime
    speaker: tuple[str, int | None]
    day: date | None = None
    is_first: bool = True


def arrange(
    messages: Iterable[Any], notes: Iterable[Any], *, zone: ZoneInfo, previous: Any = None
) -> list[Entry]:
    """`previous` is the message before these, so that a thread that grows looks like one loaded at once."""
    before = None if previous is None else message_entry(previous)
    entries = [message_entry(message) for message in messages] + [_note_entry(note) for note in notes]
    return list(_placed(sorted(entries, key=lambda entry: entry.at), zone=zone, before=before))


def message_entry(message: Any) -> Entry:
    return Entry(str(message.sender), message, message.at, (str(message.sender), message.user_id))


def _note_entry(note: Any) -> Entry:
    return Entry("note", note, note.at, ("note", note.author_id))


def _placed(entries: Iterable[Entry], *, zone: ZoneInfo, before: Entry | None) -> Iterator[Entry]:
    for entry in entries:
        day = entry.at.astimezone(zone).date()
        is_new_day = before is None or before.at.astimezone(zone).date() != day
        is_same = before is not None and before.speaker == entry.speaker and entry.at - before.at < GROUP_GAP
        yield dataclasses.replace(entry, day=day if is_new_day else None, is_first=is_new_day or not is_same)
        before = entry
