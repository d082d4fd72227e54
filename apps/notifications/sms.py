"""How many SMS a text becomes: GSM-7 where its alphabet is enough, else UCS-2. Pure."""

from __future__ import annotations

from typing import NamedTuple

# What providers take as one message, whatever its segments.
MOST_CHARACTERS = 1600

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Written as an escape and a letter: two places.
_EXTENDED = frozenset("^{}\\[~]|€\f")


class Count(NamedTuple):
    characters: int
    segments: int
    encoding: str


def count(text: str) -> Count:
    """Characters, segments (a sign is never torn in two) and the encoding that is needed."""
    if all(sign in _BASIC or sign in _EXTENDED for sign in text):
        places = [2 if sign in _EXTENDED else 1 for sign in text]
        return Count(len(text), _segments(places, alone=160, joined=153), "GSM-7")
    places = [2 if ord(sign) > 0xFFFF else 1 for sign in text]
    return Count(len(text), _segments(places, alone=70, joined=67), "UCS-2")


def _segments(places: list[int], *, alone: int, joined: int) -> int:
    if sum(places) <= alone:
        return 1 if places else 0
    segments, room = 1, joined
    for size in places:
        if size > room:
            segments, room = segments + 1, joined
        room -= size
    return segments
