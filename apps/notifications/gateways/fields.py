"""What is to be said to set up a kind of gateway. The admin makes its form of it; secrets are never shown again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[?[0-9A-Fa-f:]{2,45}\]?")

Shape = Literal["text", "words", "number", "choice", "json", "flag"]


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to fill in. A "words" field is a list, one per line or separated by commas; "json" an object."""

    name: str
    label: str | Promise
    help: str | Promise = ""
    shape: Shape = "text"
    is_secret: bool = False
    is_required: bool = True
    default: Any = ""
    choices: Sequence[tuple[str, str | Promise]] = field(default=())
    # Raises ValueError with a sentence when a value will not do.
    check: Callable[[Any], None] | None = None


class Wrong(ValueError):
    """A value that will not do; `field` says where to tell it."""

    def __init__(self, field: str, text: str | Promise) -> None:
        self.field, self.text = field, text
        super().__init__(str(text))


def complete(fields: Sequence[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with defaults for what is left out; Wrong for what is missing or will not do."""
    values = {}
    for one in fields:
        value = given.get(one.name)
        if value in (None, "", [], {}):
            if one.is_required and not one.default:
                raise Wrong(one.name, _("This is needed."))
            value = one.default
        elif one.check is not None:
            _check(one, value)
        values[one.name] = value
    return values


def _check(one: Field, value: Any) -> None:
    try:
        one.check(value)  # type: ignore[misc]
    except ValueError as error:
        raise Wrong(one.name, str(error)) from None


# Checks that several kinds share


def check_sender(sender: str) -> None:
    if "@" not in parseaddr(sender)[1] or not sender.isprintable():
        raise ValueError(_("Write an address, like Support <support@example.com>."))


def check_port(port: int) -> None:
    if not 1 <= port <= 65_535:
        raise ValueError(_("A port is a number from 1 to 65535."))


def check_host(host: str) -> None:
    if not _HOST.fullmatch(host):
        raise ValueError(_("Write the name of the server only, like mail.example.com."))
