"""Cells of files that spreadsheets open: what somebody wrote is text there, never a formula."""

from __future__ import annotations

from collections.abc import Iterable

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe(cell: str) -> str:
    """With an apostrophe before what a spreadsheet would calculate (ASVS 1.2.10); without NUL."""
    cell = cell.replace("\0", "")
    return f"'{cell}" if cell.startswith(_STARTS) else cell


def safe_row(cells: Iterable[str]) -> list[str]:
    return [safe(cell) for cell in cells]
