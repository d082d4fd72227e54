"""An uploaded list: text in, lines out; or what is wrong with it, line by line.

Pure. A list names its columns in its first line: at least one of `email`, `phone` and `external_id` says who is meant,
every other column can be written as {list.<column>}.
"""

from __future__ import annotations

import csv
import re
from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter

from django.utils.translation import gettext as _

from . import errors

MOST_BYTES = 5 * 1024 * 1024
MOST_LINES = 20_000
MOST_COLUMNS = 30
MOST_CELL_CHARACTERS = 500
# Further mistakes are only counted.
MOST_TOLD = 50
# What a column may be called besides its name.
WHO = {
    "email": "email",
    "e_mail": "email",
    "mail": "email",
    "phone": "phone",
    "mobile": "phone",
    "external_id": "external_id",
}
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Line:
    """One person: where he stands in the list, who is meant, and what else the list says of him."""

    number: int
    who: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)


class Mistakes:
    """Collects what is wrong with the lines, whoever finds it, and says it at once, the first lines first."""

    def __init__(self) -> None:
        self._first: list[tuple[int, str]] = []
        self._count = 0

    def add(self, number: int, text: str) -> None:
        self._count += 1
        insort(self._first, (number, text), key=itemgetter(0))
        del self._first[MOST_TOLD:]

    def raise_any(self) -> None:
        if not self._count:
            return
        told: dict[str, list[str]] = {}
        for number, text in self._first:
            told.setdefault(_("line %(number)d") % {"number": number}, []).append(text)
        if self._count > MOST_TOLD:
            more = _("… and %(count)d more mistakes.") % {"count": self._count - MOST_TOLD}
            told[_("more")] = [more]
        raise errors.ListInvalid(fields=told)


def read(data: bytes, mistakes: Mistakes) -> list[Line]:
    """The lines of a small list that can be read. ListInvalid when it is no list at all."""
    if len(data) > MOST_BYTES:
        raise errors.ListInvalid(_("A list has at most %(most)d MB.") % {"most": MOST_BYTES // 1024**2})
    lines = list(_limited(lines_of(decoded(data).splitlines(keepends=True), mistakes)))
    if not lines:
        mistakes.raise_any()
        raise errors.ListInvalid(_("There is nobody in this list."))
    return lines


def _limited(lines: Iterable[Line]) -> Iterator[Line]:
    for count, line in enumerate(lines, start=1):
        if count > MOST_LINES:
            raise errors.ListInvalid(
                _("A list has at most %(most)d lines; upload it in parts.") % {"most": MOST_LINES}
            )
        yield line


def decoded(data: bytes) -> str:
    """UTF-8, with or without its mark; everything else would be guessed."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise errors.ListInvalid(
            _("Line %(number)d is no UTF-8. Save the list as “CSV UTF-8”.") % {"number": number}
        ) from None
    if "\0" in text:
        raise errors.ListInvalid(_("This is no text. Save the list as “CSV UTF-8”."))
    return text


def lines_of(text: Iterable[str], mistakes: Mistakes) -> Iterator[Line]:
    """From physical lines, one by one, without those that are wrong: these are in `mistakes` when all is read."""
    rows = iter(text)
    head = next(rows, "")
    delimiter = max(_DELIMITERS, key=head.count)
    columns = _columns(head, delimiter)
    reader = csv.reader(rows, delimiter=delimiter, strict=True)
    start = 2
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            # What follows an open quote cannot be told apart any more.
            mistakes.add(start, _("This line cannot be read: %(why)s.") % {"why": error})
            break
        if any(cell.strip() for cell in cells) and (line := _line(start, cells, columns, mistakes)):
            yield line
        start = reader.line_num + 2


def _columns(head: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([head], delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise errors.ListInvalid(
            _("The first line, with the names of the columns, cannot be read.")
        ) from None
    if len(names) > MOST_COLUMNS:
        raise errors.ListInvalid(_("A list has at most %(most)d columns.") % {"most": MOST_COLUMNS})
    columns = [WHO.get(name, name) for name in (_column(name) for name in names)]
    wrong = [
        name.strip()[:50] or "–" for name, column in zip(names, columns, strict=True) if not _fits(column)
    ]
    if wrong:
        raise errors.ListInvalid(
            _("Columns are named with letters, digits and _: not %(names)s.") % {"names": ", ".join(wrong)}
        )
    if len(set(columns)) < len(columns):
        raise errors.ListInvalid(_("Two columns have the same name."))
    if not set(columns) & set(WHO.values()):
        raise errors.ListInvalid(
            _("One column must be named email, phone or external_id: it says who is meant.")
        )
    return columns


def _column(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _fits(column: str) -> bool:
    return re.fullmatch(r"[a-z0-9_]{1,40}", column) is not None


def _line(number: int, cells: list[str], columns: list[str], mistakes: Mistakes) -> Line | None:
    if len(cells) != len(columns):
        text = _("%(count)d cells instead of %(expected)d.")
        mistakes.add(number, text % {"count": len(cells), "expected": len(columns)})
        return None
    if any(len(cell) > MOST_CELL_CHARACTERS for cell in cells):
        mistakes.add(number, _("A cell has at most %(most)d characters.") % {"most": MOST_CELL_CHARACTERS})
        return None
    known = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    who = {name: known.pop(name) for name in set(WHO.values()) if known.get(name)}
    if not who:
        mistakes.add(number, _("Nobody is named: e-mail, phone and external id are empty."))
        return None
    return Line(
        number, who, {name: text for name, text in known.items() if text and name not in WHO.values()}
    )
