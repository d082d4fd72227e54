"""Many rows at once, for those who store hundreds per second: COPY and UPDATE … FROM on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, connections, models
from django.db.models import Field, Model

from .among import array

Row = TypeVar("Row", bound=Model)

# Below this, one INSERT is as cheap as asking for ids first.
FEW = 4
_SIMPLE = (int, str, datetime, type(None))
# PostgreSQL reads their simple values as they are, and to ask the field about each costs more than to write it.
_AS_IT_IS = {
    models.BigAutoField,
    models.BigIntegerField,
    models.BooleanField,
    models.CharField,
    models.DateTimeField,
    models.ForeignKey,
    models.IntegerField,
    models.OneToOneField,
    models.PositiveBigIntegerField,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
    models.TextField,
}


def insert(model: type[Row], rows: Sequence[Row]) -> Sequence[Row]:
    """Store rows that have no primary key yet; they have one afterwards. As `bulk_create`: no `save`, no signals."""
    if connection.vendor != "postgresql" or len(rows) < FEW:
        return model._default_manager.bulk_create(rows)
    fields = _but_the_key(model)
    keys = _copy(model, {field: [getattr(row, field.attname) for row in rows] for field in fields}, len(rows))
    for row, key in zip(rows, keys, strict=True):
        row.pk = key
        row._state.adding, row._state.db = False, connection.alias
    return rows


def insert_values(model: type[Model], each: Mapping[str, Sequence[Any]], **same: Any) -> list[int]:
    """`insert` without the rows: by `attname` the values of at least one field, row by row, and those that are the
    `same` in all of them. What is not named has its default. Returns the keys.
    """
    number = len(next(iter(each.values())))
    if connection.vendor != "postgresql" or number < FEW:
        lines = zip(*each.values(), strict=True)
        rows = [model(**dict(zip(each, line, strict=True)), **same) for line in lines]
        return [row.pk for row in model._default_manager.bulk_create(rows)]
    columns = {
        field: each.get(field.attname) or [same.get(field.attname, field.get_default())] * number
        for field in _but_the_key(model)
    }
    return _copy(model, columns, number)


def _copy(model: type[Model], columns: Mapping[Field, Sequence[Any]], number: int) -> list[int]:
    """Store so many new rows; returns their keys."""
    meta, quote = model._meta, connection.ops.quote_name
    names = ", ".join(quote(field.column or field.name) for field in (meta.pk, *columns))
    with connection.cursor() as cursor:
        # The sequence is looked up once: as an argument of nextval it would be for every row.
        cursor.execute(
            "SELECT nextval(keys) FROM (SELECT pg_get_serial_sequence(%s, %s)::regclass AS keys OFFSET 0) AS its,"
            " generate_series(1, %s)",
            [meta.db_table, meta.pk.column, number],
        )
        keys = [key for (key,) in cursor.fetchall()]
        texts = [_texts(field, values) for field, values in columns.items()]
        lines = map("\t".join, zip(map(str, keys), *texts, strict=True))
        # The driver's own way of writing, so its errors are made Django's here.
        copying = cursor.copy(f"COPY {quote(meta.db_table)} ({names}) FROM STDIN")
        with connection.wrap_database_errors, copying as copy:
            copy.write("\n".join(lines) + "\n")
    return keys


def _texts(field: Field, values: Sequence[Any]) -> list[str]:
    """A column as COPY reads it. The driver would write each value by itself, in several times as long."""
    # A state, a moment: written once. Equal values of JSON may be written differently: 1 and True.
    if not isinstance(field, models.JSONField) and values.count(values[0]) == len(values):
        return [_text(value) for value in _prepared(field, values[:1])] * len(values)
    return [_text(value) for value in _prepared(field, values)]


def _text(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    if value is None:
        return "\\N"
    if not isinstance(value, (str, date, time, float, Decimal, UUID)):
        raise TypeError(f"It is not known here how {type(value).__name__} is written for COPY.")
    text = str(value).replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _but_the_key(model: type[Model]) -> list[Field]:
    return [field for field in model._meta.concrete_fields if not field.primary_key]


def insert_missing(model: type[Row], rows: Sequence[Row]) -> None:
    """Store those of these new rows that are not there already, by whatever is unique. None of them gets its key."""
    if connection.vendor != "postgresql" or not rows:
        model._default_manager.bulk_create(rows, ignore_conflicts=True)
        return
    meta, quote = model._meta, connection.ops.quote_name
    fields = _but_the_key(model)
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
            values = [_of(rows, field) for field in (*columns, meta.pk)]
            cursor.executemany(
                f"UPDATE {table} SET {written} WHERE {key} = %s", list(zip(*values, strict=True))
            )


def _prepared(field: Field, values: Sequence[Any]) -> Sequence[Any]:
    if connection.vendor == "postgresql" and type(field) in _AS_IT_IS and _are_simple(values):
        return values
    if connection.vendor == "postgresql" and isinstance(field, models.JSONField):
        return [None if value is None else json.dumps(value, cls=field.encoder) for value in values]
    # Not by the proxy, which would look up this thread's connection several times for each value.
    plain = connections[connection.alias]
    return [field.get_db_prep_save(value, plain) for value in values]


def _of(rows: Sequence[Row], field: Field) -> Sequence[Any]:
    return _prepared(field, [getattr(row, field.attname) for row in rows])


def _array(rows: Sequence[Row], field: Field) -> Any:
    """Written here where that is simple; the driver knows the rest (bytes), and takes its time."""
    values = _of(rows, field)
    return array(values) if _are_simple(values) else values


def _are_simple(values: Iterable[Any]) -> bool:
    return all(isinstance(value, _SIMPLE) for value in values)


def _type(field: Field) -> str | None:
    """What a cast to it is called: a key's own type says that it counts by itself."""
    return field.cast_db_type(connection) if not field.primary_key else field.rel_db_type(connection)
