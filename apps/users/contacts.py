"""How e-mail addresses and phone numbers are written down: pure functions from text to their one stored form."""

from __future__ import annotations

from unicodedata import category

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from . import errors
from .choices import ContactKind

# The longest sensible way to write fifteen digits; more is an attempt at something else.
MOST_PHONE_CHARACTERS = 40
# Numbers this short exist within one country only: emergency calls and services.
MOST_SHORT_DIGITS = 6
_EXPENSIVE = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.PERSONAL_NUMBER}


def normalised(kind: str, text: str, *, is_dialled: bool = True) -> str:
    """The stored form of a contact: e-mail in small letters, phone in E.164.

    `is_dialled=False` is for numbers that only ever called us; the others must be ones we may call.
    """
    if kind == ContactKind.EMAIL:
        return email(text)
    number = phone(text)
    if is_dialled:
        check_dialled(number)
    return number


def email(text: str) -> str:
    address = text.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        raise errors.EmailInvalid from None
    if len(address) > 254:
        raise errors.EmailInvalid
    return address


def phone(text: str) -> str:
    """`text` in E.164. Letters, extensions and control characters are refused, never guessed away."""
    text = text.strip()
    if not 0 < len(text) <= MOST_PHONE_CHARACTERS or any(category(c)[0] in "CL" for c in text):
        raise errors.PhoneInvalid
    digits = sum(c.isdigit() for c in text)
    if 0 < digits <= MOST_SHORT_DIGITS:
        raise errors.PhoneNotDialled
    number = _parsed(text)
    if number.extension or not phonenumbers.is_valid_number(number):
        raise errors.PhoneInvalid
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def check_dialled(e164: str) -> None:
    """Raise PhoneNotDialled for a number that costs extra to call."""
    # A complete international number never reaches an emergency service; the short ones don't get this far.
    if phonenumbers.number_type(_parsed(e164)) in _EXPENSIVE:
        raise errors.PhoneNotDialled


def _parsed(text: str) -> PhoneNumber:
    try:
        return phonenumbers.parse(text, None)
    except NumberParseException:
        raise errors.PhoneInvalid from None
