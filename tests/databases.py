"""Test databases begin as copies of a migrated one: migrating takes as long as a hundred tests."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from django.conf import settings

# tests/run says so, once the installation's own database has all tables. Nobody else uses that one.
IS_MIGRATED = "EML_TEST_MIGRATED" in os.environ


def is_sqlite() -> bool:
    return settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")


def begin_as_copies() -> None:
    """On SQLite the copy is made here; PostgreSQL makes it when Django creates the test database."""
    database = settings.DATABASES["default"]
    if is_sqlite():
        copy(Path(database["NAME"]), Path(database["TEST"]["NAME"]))
    else:
        database["TEST"]["TEMPLATE"] = database["NAME"]


def copy(source: Path, target: Path) -> None:
    """With what is still in the write-ahead log; what was at `target` is gone."""
    for leftover in (target, Path(f"{target}-wal"), Path(f"{target}-shm")):
        leftover.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as migrated, closing(sqlite3.connect(target)) as fresh:
        migrated.backup(fresh)
