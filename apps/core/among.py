"""One of many values, as a condition. PostgreSQL gets them as one array: a list of hundreds of parameters takes longer
to put together than the query to run. SQLite has no arrays.

The arrays are written here, as PostgreSQL reads them: the driver asks for each value of a list anew how it is written,
which takes several times as long.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, Q, Value


def among(field: str, values: Collection[Any]) -> Q:
    """`field` (of numbers or texts, or a foreign key to such) is one of `values`; nothing is among none."""
    if connection.vendor != "postgresql":
        return Q(**{f"{field}__in": values})
    return Q(
        Func(
            F(field),
            Value(array(values)),
            template="%(expressions)s)",
            arg_joiner=" = ANY(",
            output_field=BooleanField(),
        )
    )


def array(values: Iterable[Any]) -> str:
    """PostgreSQL's own notation for an array of numbers, texts, moments or booleans; None is NULL."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    if value is None:
        return "NULL"
    text = str(value)
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
