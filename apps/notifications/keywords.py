"""Answers by SMS that are orders: STOP and START, in the words people use for them. Pure."""

from __future__ import annotations

_STOP = {"stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "stopp", "abmelden"}
_START = {"start", "unstop", "subscribe", "anmelden"}


def order(text: str) -> bool | None:
    """False for STOP, True for START, None for everything else, whatever its case and the dots around it."""
    word = " ".join(text.split()).strip(" .!,;:'\"").casefold()
    if word in _STOP:
        return False
    return True if word in _START else None
