"""What a mail says itself, without what it quotes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.messaging import policy

pytestmark = pytest.mark.embedded


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Hello", "Hello"),
        ("Yes\n\nOn Mon, 2 Mar 2026 Support wrote:\n> Is it?\n> Really?", "Yes"),
        ("Ja\n\nAm 2. März 2026 schrieb Support <a@example.com>:\n> Wirklich?", "Ja"),
        ("Yes\n\n-----Original Message-----\nFrom: Support", "Yes"),
        ("Yes\n________________________________\nFrom: Support", "Yes"),
        ("> quoted above\nMy answer below", "> quoted above\nMy answer below"),
        ("Yes\n> one\n>\n> two\n", "Yes"),
        # Nothing else would be left.
        ("> only quoted", "> only quoted"),
        (
            "On Monday it broke. Support wrote: restart it. I did",
            "On Monday it broke. Support wrote: restart it. I did",
        ),
        ("", ""),
    ],
)
def test_own_words(text: str, own: str) -> None:
    assert policy.own_words(text) == own


@given(st.text(max_size=200))
def test_own_words_are_part_of_the_text(text: str) -> None:
    assert policy.own_words(text) in text.replace("\r", "\n") or policy.own_words(text) in text


def test_own_words_fit_into_a_message() -> None:
    policy.check_body(policy.own_words("ü" * 100_000))
    policy.check_body(policy.own_words("😀" * 100_000))
