"""Texts with placeholders: our own small replacer, which knows a few names and can do nothing else.

`{customer.first_name}` is filled in; `{customer.first_name|friend}` says what to write when the name is unknown, and
`{appointment.starts_at:time}` in which form. Whatever else has braces, or is a placeholder of another engine, is
refused when a text is saved. Values are put in as they are (escaped in HTML) and never looked at again.

Pure: text and values in, text out.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

MOST_PLACEHOLDERS = 50
MOST_BYTES = 64 * 1024

_PLACEHOLDER = re.compile(r"\{([a-z_]+\.[a-z0-9_]+)(?::([a-z]{1,20}))?(?:\|([^{}|\n]{0,100}))?\}")
# Braces that are left, and the placeholders of other engines: meant as something that would not happen.
_FOREIGN = re.compile(r"[{}]|%\(\w{0,100}\)[a-z]")
# Controls, and what some programs take for a line end: a value must not end a header or start a line of its own.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_CONTROLS_BUT_LINES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_HALF_ENTITY = re.compile(rb"&[a-z0-9#]{0,6}$")


@dataclass(frozen=True, slots=True)
class Placeholder:
    name: str
    form: str = ""
    # What the text itself says to write when there is no value; None when it does not say.
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a text is refused: `what` is unknown, foreign, form, or too_many; `where` is the piece of text."""

    what: str
    where: str = ""


# A value as text, empty when it is missing; and what is written then, if the text does not say.
Value = Callable[[Placeholder], str]
Default = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A text taken apart once. Filling it is a single formatting by C code, so thousands a second cost little."""

    pattern: str
    placeholders: tuple[Placeholder, ...]

    def fill(self, value: Value, *, default: Default) -> str:
        """The text, of MOST_BYTES at most: what would be more is cut from the last values."""
        return self._filled([_said(placeholder, value, default) for placeholder in self.placeholders])

    def fill_html(self, value: Value, *, default: Default) -> str:
        """The same, with values escaped. The text's own fallbacks are HTML already."""
        return self._filled([_said_in_html(placeholder, value, default) for placeholder in self.placeholders])

    def _filled(self, values: list[str]) -> str:
        text = self.pattern % tuple(values)
        if len(text) * 4 <= MOST_BYTES or len(text.encode()) <= MOST_BYTES:
            return text
        return self.pattern % tuple(self._cut(values))

    def _cut(self, values: list[str]) -> Iterator[str]:
        room = MOST_BYTES - len((self.pattern % (("",) * len(values))).encode())
        for value in values:
            encoded = value.encode()
            if len(encoded) > room:
                encoded = _HALF_ENTITY.sub(b"", encoded[: max(room, 0)])
            room -= len(encoded)
            # Half a character at the end is left out.
            yield encoded.decode(errors="ignore")


def _said(placeholder: Placeholder, value: Value, default: Default) -> str:
    if text := value(placeholder):
        return text
    return default(placeholder.name) if placeholder.fallback is None else placeholder.fallback


def _said_in_html(placeholder: Placeholder, value: Value, default: Default) -> str:
    if text := value(placeholder):
        return html.escape(text)
    return html.escape(default(placeholder.name)) if placeholder.fallback is None else placeholder.fallback


@functools.lru_cache(maxsize=2048)
def compiled(text: str) -> Compiled:
    """Kept by the text itself, so that an old one is never used for a new one."""
    pattern, placeholders, end = [], [], 0
    for match in _PLACEHOLDER.finditer(text):
        pattern.append(text[end : match.start()].replace("%", "%%"))
        placeholders.append(Placeholder(match[1], match[2] or "", match[3]))
        end = match.end()
    pattern.append(text[end:].replace("%", "%%"))
    return Compiled("%s".join(pattern), tuple(placeholders))


def fault(text: str, *, forms: Callable[[str], Collection[str] | None]) -> Fault | None:
    """What is wrong with `text`, if anything. `forms(name)` are the forms of a name, None when it is not allowed."""
    for found, match in enumerate(_PLACEHOLDER.finditer(text), start=1):
        if found > MOST_PLACEHOLDERS:
            return Fault("too_many")
        allowed = forms(match[1])
        if allowed is None:
            return Fault("unknown", match[0])
        if match[2] and match[2] not in allowed:
            return Fault("form", match[0])
    if foreign := _FOREIGN.search(_PLACEHOLDER.sub("", text)):
        return Fault("foreign", foreign[0])
    return None


def names(text: str) -> set[str]:
    return {placeholder.name for placeholder in compiled(text).placeholders}


def one_line(text: str, *, most: int) -> str:
    """Without controls and line breaks: fit for a header, and for a name in the middle of a sentence."""
    return _CONTROLS.sub(" ", text).strip()[:most]


def lines(text: str, *, most: int) -> str:
    """Without controls; its line breaks stay."""
    return _CONTROLS_BUT_LINES.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).strip()[:most]
