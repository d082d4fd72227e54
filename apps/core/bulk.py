"""Many new rows at once, for those who store hundreds per second: COPY on PostgreSQL, `bulk_create` elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db import connection
from django.db.models import Model

Row = TypeVar("Row", bound=Model)

# Below this, one INSERT is as cheap as asking for ids first.
FEW = 4


def insert(model: type[Row], rows: Sequence[Row]) -> Sequence[Row]:
    """Store rows that have no primary key yet; they have one afterwards. As `bulk_create`: no `save`, no signals."""
    if connection.vendor != "postgresql" or len(rows) < FEW:
        return model._default_manager.bulk_create(rows)
    meta, quote = model._meta, connection.ops.quote_name
    fields = meta.concrete_fields
    columns = ", ".join(quote(field.column or field.name) for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
            [meta.db_table, meta.pk.column, len(rows)],
        )
        for row, (pk,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = pk
        with cursor.copy(f"COPY {quote(meta.db_table)} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(
                    [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
                )
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias
    return rows
