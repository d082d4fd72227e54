"""B38: one stored form for a number or address, or a clear refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.users import contacts, errors

pytestmark = pytest.mark.embedded


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("+49 30 12345678", "+493012345678"),
        (" +49 (0)30 / 1234-5678 ", "+493012345678"),
        ("+49\u00a030\u00a012345678", "+493012345678"),
        ("＋４９ ３０ １２３４５６７８", "+493012345678"),
        ("+٤٩٣٠١٢٣٤٥٦٧٨", "+493012345678"),
        ("+33 1 12 34 56 78", "+33112345678"),
        ("+1 202 456 1111", "+12024561111"),
    ],
)
def test_b38_a_number_is_stored_in_e164_however_it_is_written(text, stored):
    assert contacts.phone(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "hello",
        "+1 800 FLOWERS",
        "+49 30 12345678 ext. 5",
        "+49 30 12345678;ext=5",
        "+49 30 12345678 #5",
        "030 12345678",
        "+49 30 123\x0045678",
        "+49 30 12345678\r\nX-Evil: 1",
        "+49\r\n3012345678",
        "\u202e+49 30 12345678",
        "+" + "1" * 299,
        "+999 12345678",
        "+1 202 456 11111",
        "😀",
    ],
)
def test_b38_what_is_no_complete_number_is_refused(text):
    with pytest.raises(errors.PhoneInvalid):
        contacts.phone(text)


@pytest.mark.parametrize("text", ["112", "911", "110", "999", "+49 112", "+1911", "1 1 2", "１１２", "22222"])
def test_b38_emergency_and_short_numbers_are_never_dialled(text):
    with pytest.raises(errors.PhoneNotDialled):
        contacts.phone(text)


@pytest.mark.parametrize(
    "text", ["+49 900 1234567", "+1 900 555 0123", "+44 9098 790000", "+979 123 456 789"]
)
def test_b38_premium_numbers_are_known_as_callers_but_never_dialled(text):
    with pytest.raises(errors.PhoneNotDialled):
        contacts.normalised("phone", text)
    assert contacts.normalised("phone", text, is_dialled=False).startswith("+")


@given(st.text(max_size=60))
def test_any_text_is_a_number_in_e164_or_refused(text):
    try:
        number = contacts.phone(text)
    except (errors.PhoneInvalid, errors.PhoneNotDialled):
        return
    assert number[0] == "+"
    assert number[1:].isascii()
    assert number[1:].isdigit()
    assert len(number) <= 16
    assert contacts.phone(number) == number


def test_an_address_is_stored_in_small_letters():
    assert contacts.email("  Ada@Example.COM ") == "ada@example.com"


@pytest.mark.parametrize(
    "text", ["", "ada", "ada@", "a\r\nbcc: x@y.z@example.com", "ada@exa mple.com", "a@" + "b" * 300]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(errors.EmailInvalid):
        contacts.email(text)
