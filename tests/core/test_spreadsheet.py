"""B49: what somebody wrote is text in a spreadsheet, never a formula."""

from __future__ import annotations

import pytest

from apps.core.spreadsheet import safe, safe_row


@pytest.mark.parametrize("cell", ["=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1"])
def test_b49_what_would_be_calculated_becomes_text(cell: str) -> None:
    assert safe(cell) == f"'{cell}".replace("\0", "")


def test_b49_everything_else_stays() -> None:
    assert safe_row(["", "Ada", "a=b", "1,5", "Ünï \0"]) == ["", "Ada", "a=b", "1,5", "Ünï "]
