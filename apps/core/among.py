"""One of many values, as a condition. PostgreSQL gets them as one array: a list of hundreds of parameters takes longer
to put together than the query to run. SQLite has no arrays.
"""

from __future__ import annotations

from collections.abc import Collection
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
            Value(list(values)),
            template="%(expressions)s)",
            arg_joiner=" = ANY(",
            output_field=BooleanField(),
        )
    )
