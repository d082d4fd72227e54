"""Reads what customers said: a CSV with the columns conversationId, turn and utterance, plain or gzip."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections import defaultdict
from pathlib import Path

COLUMNS = ("conversationId", "turn", "utterance")
LONGEST_UTTERANCE = 2000


class BadFile(Exception):
    """Says which line of the file is wrong, and how."""


def read(path: Path, *, limit: int, seed: int) -> dict[str, list[str]]:
    """Conversation id → its turns in order; `limit` conversations drawn by `seed` (0: all)."""
    turns: dict[str, list[tuple[int, str]]] = defaultdict(list)
    with _open(path) as file:
        reader = csv.DictReader(file)
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or [])]:
            raise BadFile(f"{path}: the column {missing[0]} is missing.")
        try:
            for row in reader:
                text = (row["utterance"] or "").strip()[:LONGEST_UTTERANCE]
                if text:
                    turns[row["conversationId"]].append((int(row["turn"]), text))
        except (ValueError, csv.Error) as error:
            raise BadFile(f"{path}, line {reader.line_num}: {error}") from error
    chosen = random.Random(seed).sample(sorted(turns), min(limit or len(turns), len(turns)))
    return {key: [text for _, text in sorted(turns[key])] for key in chosen}


def _open(path: Path) -> io.TextIOBase:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        file = opener(path, "rt", encoding="utf-8", newline="")
        file.read(1)
        file.seek(0)
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {error}") from error
    return file
