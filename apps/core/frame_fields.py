"""What a client's frame may hold: named fields of exact types. Everything else is a bad frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from .sockets import BadFrame

_MOST_INT = 2**31 - 1
Reader = Callable[[Any], Any]


def read(
    frame: dict[str, Any], *, optional: Mapping[str, tuple[Reader, Any]] | None = None, **required: Reader
) -> dict:
    """The frame's fields by name. Raises BadFrame for one that is missing, unknown or of another type."""
    optional = optional or {}
    given = frame.keys() - {"type"}
    if not required.keys() <= given or not given <= required.keys() | optional.keys():
        raise BadFrame
    values = {name: reader(frame[name]) for name, reader in required.items()}
    for name, (reader, default) in optional.items():
        values[name] = reader(frame[name]) if name in frame else default
    return values


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadFrame
    return value


def number(value: Any) -> int:
    """A whole number from 0, as databases hold them. `true` is none."""
    if type(value) is not int or not 0 <= value <= _MOST_INT:
        raise BadFrame
    return value


def uuid(value: Any) -> UUID:
    """Only the usual spelling with hyphens: one identifier must not come in five."""
    if not isinstance(value, str) or len(value) != 36:
        raise BadFrame
    try:
        return UUID(value)
    except ValueError:
        raise BadFrame from None


def uuids(value: Any) -> tuple[UUID, ...]:
    if not isinstance(value, list) or len(value) > 100:
        raise BadFrame
    return tuple(uuid(item) for item in value)
