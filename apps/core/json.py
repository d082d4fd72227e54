"""Strict JSON for everything that comes from outside: request bodies and websocket frames.

The standard parser takes NaN, numbers that no database column holds, characters that PostgreSQL refuses, a key twice,
and falls over a thousand brackets. Each of those is an error here, before anything is stored or recursed into.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any

from django.utils.translation import gettext_lazy as _

from .errors import Invalid

MAX_DEPTH = 32
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
# The sign and 19 digits: a longer literal is refused before it costs the time to convert it.
_INT_DIGITS = 20
_FLOAT_CHARACTERS = 1_000

# The closing quote is optional so that an open string swallows the rest once, instead of being tried at every quote.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKET = re.compile(r"[^\[\]{}]+")
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}

# Well-formed surrogate pairs and other escapes are consumed whole, so group 1 is a NUL or half a pair.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u0000|\\u[dD][89a-fA-F])|\\.", re.DOTALL
)


class TooLarge(Invalid):
    status = 413
    code = "too_large"
    detail = _("This is larger than allowed.")


def loads_strict(data: bytes | str, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """The value of `data`, or `Invalid` with a code: not_json, too_deep, too_large, bad_character, bad_number,
    duplicate_key, not_utf8."""
    text = _decoded(data, max_bytes)
    _check_depth(text, max_depth)
    if "\\u" in text and any(match[1] for match in _ESCAPE.finditer(text)):
        raise _bad_character()
    try:
        return _DECODER.decode(text)
    except ValueError:
        raise Invalid(_("This is not valid JSON."), code="not_json") from None


def _decoded(data: bytes | str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise TooLarge
    if isinstance(data, str):
        return _checked_text(data, max_bytes)
    if json.detect_encoding(data) != "utf-8":
        raise _not_utf8()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _not_utf8() from None
    if "\0" in text:
        raise _bad_character()
    return text


def _checked_text(text: str, max_bytes: int) -> str:
    if "\0" in text:
        raise _bad_character()
    if text.isascii():
        return text
    if text[0] == "\ufeff":
        raise _not_utf8()
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _bad_character() from None
    if size > max_bytes:
        raise TooLarge
    return text


def _check_depth(text: str, max_depth: int) -> None:
    # Nearly every document has fewer brackets than it may have levels; only the others are looked at closely.
    if text.count("[") + text.count("{") <= max_depth:
        return
    brackets = _NOT_BRACKET.sub("", _STRING.sub("", text))
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > max_depth:
        raise Invalid(_("The JSON is nested too deeply."), code="too_deep")


def _int(literal: str) -> int:
    if len(literal) <= _INT_DIGITS and _INT_MIN <= (number := int(literal)) <= _INT_MAX:
        return number
    raise _bad_number()


def _float(literal: str) -> float:
    # Adding zero turns -0.0 into 0.0.
    if len(literal) <= _FLOAT_CHARACTERS and math.isfinite(number := float(literal) + 0.0):
        return number
    raise _bad_number()


def _constant(literal: str) -> Any:
    raise _bad_number()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid(_("The JSON names a key twice."), code="duplicate_key")
    return found


def _bad_number() -> Invalid:
    return Invalid(_("The JSON holds a number that is too large or not a number."), code="bad_number")


def _bad_character() -> Invalid:
    return Invalid(_("The JSON holds a character that is not allowed."), code="bad_character")


def _not_utf8() -> Invalid:
    return Invalid(_("The JSON is not UTF-8 without a byte order mark."), code="not_utf8")


_DECODER = json.JSONDecoder(
    parse_int=_int, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object
)
