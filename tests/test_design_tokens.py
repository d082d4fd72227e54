"""WCAG AA contrast of the colours used together, in both themes, read from the style sheet itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.embedded

TOKENS = Path(__file__).resolve().parent.parent / "static" / "css" / "tokens.css"
DECLARATION = re.compile(r"(--[\w-]+):\s*(light-dark\((#\w{6}),\s*(#\w{6})\)|#\w{6}|var\((--[\w-]+)\));")
THEMES = ("light", "dark")
STATES = ("success", "warning", "danger", "info", "violet", "neutral", "accent")
WELLS = ("bg-sunken", "bg-active", "bg-selected")
SOLIDS = (*STATES, "accent-hover", "accent-active", "success-hover", "danger-hover")
PAGES = ("bg-app", "bg-surface", "bg-raised")
SURFACES = (*PAGES, "bg-hover")

TEXT_PAIRS = [
    *((text, surface) for text in ("text", "text-muted", "text-faint") for surface in SURFACES),
    *((text, surface) for text in ("text", "text-muted") for surface in WELLS),
    *(("text-link", surface) for surface in SURFACES),
    *((f"{state}-text", surface) for state in STATES for surface in (*SURFACES, f"{state}-soft")),
    *(("text-on-solid", solid) for solid in SOLIDS),
    *((f"avatar-{n}-text", f"avatar-{n}-bg") for n in range(1, 9)),
    *((f"bubble-{kind}-text", f"bubble-{kind}-bg") for kind in ("in", "out", "note")),
    ("text-inverse", "bg-inverse"),
    ("text-muted", "bubble-in-bg"),
    ("text-muted", "accent-soft"),
]
GRAPHIC_PAIRS = [
    *(("border-control", surface) for surface in PAGES),
    *(("focus", surface) for surface in (*SURFACES, "bg-selected")),
    *(("accent", surface) for surface in ("bg-app", "bg-surface")),
    *(
        (f"presence-{state}", surface)
        for state in ("available", "busy", "away", "wrapup", "offline")
        for surface in SURFACES
    ),
]


def _read_tokens() -> dict[str, dict[str, str]]:
    themes: dict[str, dict[str, str]] = {theme: {} for theme in THEMES}
    for name, value, light, dark, alias in DECLARATION.findall(TOKENS.read_text(encoding="utf-8")):
        for theme, pair in (("light", light), ("dark", dark)):
            themes[theme][name[2:]] = themes[theme][alias[2:]] if alias else pair or value
    return themes


def _luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _too_weak(pairs: list[tuple[str, str]], *, theme: str, least: float) -> list[str]:
    tokens = _read_tokens()[theme]
    ratios = ((front, back, contrast(tokens[front], tokens[back])) for front, back in pairs)
    return [f"{front} on {back}: {ratio:.2f}" for front, back, ratio in ratios if ratio < least]


def test_contrast_of_black_on_white_is_the_known_maximum() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", THEMES)
def test_text_is_readable(theme: str) -> None:
    assert _too_weak(TEXT_PAIRS, theme=theme, least=4.5) == []


@pytest.mark.parametrize("theme", THEMES)
def test_controls_and_signs_are_visible(theme: str) -> None:
    assert _too_weak(GRAPHIC_PAIRS, theme=theme, least=3.0) == []
