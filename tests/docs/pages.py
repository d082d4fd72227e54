"""Reads the documentation the way its tests need it: code blocks under their headings, links, anchors."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_HEADING = re.compile(r"(#{1,6}) (.+)")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"")
# Values of these names mean something to programs; of others only the type is compared.
_CODES = {"type", "code", "status", "state", "chosen", "what", "how", "side", "sender"}


@dataclasses.dataclass(frozen=True)
class Line:
    number: int
    text: str
    headings: tuple[str, ...]
    fence: str | None
    """What stands behind the backticks of the block this line is in; None outside of blocks."""


@dataclasses.dataclass(frozen=True)
class Block:
    kind: str
    text: str
    headings: tuple[str, ...]
    line: int


def lines(page: Path) -> Iterator[Line]:
    headings: list[str] = []
    fence: str | None = None
    for number, text in enumerate(page.read_text().splitlines(), start=1):
        if text.startswith("```"):
            fence = text[3:].strip() if fence is None else None
            continue
        if fence is None and (match := _HEADING.fullmatch(text)):
            headings[len(match[1]) - 1 :] = [match[2].strip()]
        yield Line(number, text, tuple(headings), fence)


def blocks(page: Path, kind: str) -> list[Block]:
    """All code blocks of this kind (`sh`, `json`), in order."""
    found: list[Block] = []
    before: Line | None = None
    for line in lines(page):
        if line.fence == kind:
            if before and before.fence == kind and before.number == line.number - 1:
                last = found.pop()
                found.append(dataclasses.replace(last, text=f"{last.text}\n{line.text}"))
            else:
                found.append(Block(kind, line.text, line.headings, line.number))
        before = line
    return found


def prose(page: Path) -> str:
    return "\n".join(line.text for line in lines(page) if line.fence is None)


def links(page: Path) -> list[str]:
    return [one or other for one, other in _LINK.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """As GitHub names headings."""
    seen: Counter[str] = Counter()
    found = set()
    for line in lines(page):
        if line.fence is None and (match := _HEADING.fullmatch(line.text)):
            slug = re.sub(r"[^\w\- ]", "", match[2].lower()).strip().replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def differences(shown: Any, real: Any, at: str = "$") -> list[str]:
    """How an example differs from what was really sent: names, types, and values that are codes."""
    if shown is None or real is None:
        # Which of the two it is depends on the case; that it may be either, the tables say.
        return []
    if type(shown) is not type(real) and {type(shown), type(real)} != {int, float}:
        return [f"{at}: {type(shown).__name__} shown, {type(real).__name__} sent"]
    if isinstance(shown, dict):
        return _between_objects(shown, real, at)
    if isinstance(shown, list) and shown:
        return differences(shown[0], real[0], f"{at}[0]") if real else [f"{at}: shown, but empty when sent"]
    name = at.rpartition(".")[2]
    return [f"{at}: {shown!r} shown, {real!r} sent"] if name in _CODES and shown != real else []


def _between_objects(shown: dict[str, Any], real: dict[str, Any], at: str) -> list[str]:
    if all(key.isdigit() for key in (*shown, *real)):
        # Keyed by ids: the values are compared.
        return differences(list(shown.values()), list(real.values()), at)
    if shown.keys() != real.keys():
        return [
            f"{at}: shown {sorted(shown.keys() - real.keys())}, sent {sorted(real.keys() - shown.keys())} besides"
        ]
    return [line for key in shown for line in differences(shown[key], real[key], f"{at}.{key}")]
