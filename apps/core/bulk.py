"""Many rows at once, for those who store hundreds per second: COPY and UPDATE … FROM on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import connection, connections, models
from django.db.models import Field, Model

from .among import array

Row = TypeVar("Row", bound=Model)

# Below this, one INSERT is as cheap as asking for ids first.
FEW = 4
_SIMPLE = (int, str, datetime, type(None))
# PostgreSQL reads their simple values as they are, and to ask the field about each costs more than to write it.
_PLAIN = {
    models.BigAutoField,
    models.BigIntegerField,
    models.BooleanField,
    models.CharField,
    models.DateTimeField,
    models.ForeignKey,
    models.OneToOneField,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
    models.TextField,
}


def insert(model: type[Row], rows: Sequence[Row]) -> Sequence[Row]:
    """Store rows that have no primary key yet; they have one afterwards. As `bulk_create`: no `save`, no signals."""
    if connection.vendor != "postgresql" or len(rows) < FEW:
        return model._default_manager.bulk_create(rows)
    meta, quote = model._meta, connection.ops.quote_name
    fields = meta.concrete_fields
    columns = ", ".join(quote(field.column or field.name) for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            # OFFSET keeps the sequence from being looked up anew for each key.
            "SELECT nextval(name) FROM (SELECT pg_get_serial_sequence(%s, %s)::regclass AS name OFFSET 0) AS sequence,"
            " generate_series(1, %s)",
            [meta.db_table, meta.pk.column, len(rows)],
        )
        for row, (pk,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = pk
        values = [_prepared(rows, field) for field in fields]
        with cursor.copy(f"COPY {quote(meta.db_table)} ({columns}) FROM STDIN") as copy:
            for line in zip(*values, strict=True):
                copy.write_row(line)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias
    return rows


def insert_missing(model: type[Row], rows: Sequence[Row]) -> None:
    """Store those of these new rows that are not there already, by whatever is unique. None of them gets its key."""
    if connection.vendor != "postgresql" or not rows:
        model._default_manager.bulk_create(rows, ignore_conflicts=True)
        return
    meta, quote = model._meta, connection.ops.quote_name
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    columns = ", ".join(quote(field.column or field.name) for field in fields)
    arrays = ", ".join(f"%s::{_type(field)}[]" for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quote(meta.db_table)} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING",
            [_array(rows, field) for field in fields],
        )


def update(rows: Sequence[Row], fields: Sequence[str]) -> None:
    """Write these fields of rows of one model, one row at most for each key; by `attname` where a field is a reference.

    As `bulk_update`, without its CASE for every field and row.
    """
    if not rows:
        return
    meta, quote = rows[0]._meta, connection.ops.quote_name
    columns = [field for field in meta.concrete_fields if field.name in fields]
    names = [quote(field.column or field.name) for field in columns]
    table, key = quote(meta.db_table), quote(meta.pk.column or meta.pk.name)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            written = ", ".join(f"{name} = new.{name}" for name in names)
            arrays = ", ".join(f"%s::{_type(field)}[]" for field in (*columns, meta.pk))
            cursor.execute(
                f"UPDATE {table} SET {written} FROM unnest({arrays}) AS new ({', '.join(names)}, {key})"
                f" WHERE {table}.{key} = new.{key}",
                [_array(rows, field) for field in (*columns, meta.pk)],
            )
        else:
            written = ", ".join(f"{name} = %s" for name in names)
            values = [_prepared(rows, field) for field in (*columns, meta.pk)]
            cursor.executemany(
                f"UPDATE {table} SET {written} WHERE {key} = %s", list(zip(*values, strict=True))
            )


def _prepared(rows: Sequence[Row], field: Field) -> list[Any]:
    values = [getattr(row, field.attname) for row in rows]
    # Not by the proxy, which would look up this thread's connection several times for each value.
    plain = connections[connection.alias]
    if plain.vendor == "postgresql":
        if type(field) in _PLAIN and all(isinstance(value, _SIMPLE) for value in values):
            return values
        if isinstance(field, models.JSONField) and all(isinstance(value, dict) for value in values):
            return [json.dumps(value, cls=field.encoder) for value in values]
    return [field.get_db_prep_save(value, plain) for value in values]


def _array(rows: Sequence[Row], field: Field) -> Any:
    """Written here where that is simple; the driver knows the rest (bytes), and takes its time."""
    values = _prepared(rows, field)
    return array(values) if all(isinstance(value, _SIMPLE) for value in values) else values


def _type(field: Field) -> str | None:
    """What a cast to it is called: a key's own type says that it counts by itself."""
    return field.cast_db_type(connection) if not field.primary_key else field.rel_db_type(connection)
