"""How commands print what they found: JSON for programs, a table or named lines for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import OutputWrapper
from rich import box
from rich.console import Console
from rich.table import Table

Row = dict[str, Any]


def as_json(rows: Sequence[Row], *, to: OutputWrapper) -> None:
    """A line for each, times in full."""
    for row in rows:
        to.write(json.dumps(row, default=datetime.isoformat) + "\n")


def as_table(rows: Sequence[Row], *, to: OutputWrapper, otherwise: str) -> None:
    """All of them have the same names; `otherwise` is said of none."""
    if not rows:
        to.write(f"{otherwise}\n")
        return
    table = Table(box=box.SIMPLE)
    for name in rows[0]:
        # Wrapped where the screen is narrow: half a time is none.
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row.values()))
    # What people named may look like markup.
    Console(file=to, highlight=False, markup=False, emoji=False).print(table)  # type: ignore[arg-type]


def as_lines(rows: Sequence[Row], *, to: OutputWrapper) -> None:
    for row in rows:
        for name, value in row.items():
            to.write(f"{name}: {_text(value)}\n")


def _text(value: Any) -> str:
    match value:
        case None:
            return "–"
        case dict():
            return ", ".join(f"{name} {count}" for name, count in value.items()) or "–"
        case datetime():
            return value.isoformat(" ", "seconds")
        case _:
            return str(value)
