"""Moments in SQL of our own: PostgreSQL knows what they are, SQLite keeps them as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connection


def written(moment: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def read(value: Any) -> datetime | None:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value
