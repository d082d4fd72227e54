"""`.env.example` and the settings name the same things."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.embedded

ROOT = Path(__file__).resolve().parents[1]
READ = re.compile(r"""(?:env\.\w+|environ\.get|_env\.\w+)\(\s*"((?:EML_)?[A-Z][A-Z_]+)\"""")


def _read_by_settings() -> set[str]:
    sources = (path.read_text() for path in (ROOT / "eml" / "settings").glob("*.py"))
    return {name for source in sources for name in READ.findall(source)}


def _documented() -> list[str]:
    return re.findall(r"^#?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_every_setting_is_documented() -> None:
    missing = _read_by_settings() - set(_documented())
    assert len(_read_by_settings()) > 20
    assert not missing


def test_every_documented_setting_exists_and_stands_once() -> None:
    names = _documented()
    assert not set(names) - _read_by_settings()
    assert len(names) == len(set(names))


def test_example_changes_nothing_when_copied_as_it_is() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert not [line for line in lines if line.strip() and not line.startswith("#")]
