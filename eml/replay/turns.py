"""Reads what customers said: a CSV with the columns conversationId, turn and utterance, plain or gzip."""

from __future__ import annotations

import csv
import gzip
import random
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO

COLUMNS = ("conversationId", "turn", "utterance")
# Nobody types more than this into a chat; longer ones are cut.
LONGEST_UTTERANCE = 2000

Turn = tuple[str, int, str]


class BadFile(Exception):
    """Says which line of the file is wrong, and how."""


def read(path: Path, *, limit: int, seed: int) -> dict[str, list[str]]:
    """Conversation id → its turns in order; `limit` conversations drawn by `seed` (0: all). Empty turns are left out.

    BadFile when it cannot be read.
    """
    turns: dict[str, list[tuple[int, str]]] = defaultdict(list)
    try:
        with open_text(path) as file:
            for conversation, turn, text in _rows(path, file):
                if text:
                    turns[conversation].append((turn, text))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise BadFile(f"{path}: {error}") from error
    chosen = random.Random(seed).sample(sorted(turns), min(limit or len(turns), len(turns)))
    return {key: [text for _, text in sorted(turns[key])] for key in chosen}


def open_text(path: Path) -> IO[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    # Spreadsheets put a byte order mark before the first column's name.
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _rows(path: Path, file: IO[str]) -> Iterator[Turn]:
    reader = csv.DictReader(file)
    try:
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or [])]:
            raise BadFile(f"{path}: the column {missing[0]} is missing.")
        for row in reader:
            yield _turn(row)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise BadFile(f"{path}, line {reader.line_num}: {error}") from error
    except csv.Error as error:
        # A line counts only when it could be read.
        raise BadFile(f"{path}, line {reader.line_num + 1}: {error}") from error


def _turn(row: dict[str, str | None]) -> Turn:
    conversation, turn, text = (row[column] for column in COLUMNS)
    if not conversation or turn is None or text is None:
        raise ValueError("a value is missing")
    if not turn.isascii() or not turn.isdigit():
        raise ValueError(f"turn {turn!r} is not a whole number")
    return conversation, int(turn), text.strip()[:LONGEST_UTTERANCE]
