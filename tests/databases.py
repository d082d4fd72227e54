"""Test databases begin as copies of a migrated one, and go back to their beginning after each test that commits.

Migrating takes as long as a hundred tests. After a test that commits Django empties every table and makes anew what
`migrate` makes, which takes longer than most tests: here only what is different is put back.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

# tests/run says so, once the installation's own database has all tables. Nobody else uses that one.
IS_MIGRATED = "EML_TEST_MIGRATED" in os.environ
# The same on PostgreSQL, as SQL, for servers that a test starts.
DUMP = os.environ.get("EML_TEST_DUMP")


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


def restore(address: str) -> bool:
    """Fill an empty database of a server of its own as `migrate` would; False if there is nothing to fill it with."""
    if DUMP is None:
        return False
    with open(DUMP, "rb") as dump:
        command = ["psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={address}"]
        subprocess.run(command, stdin=dump, stdout=subprocess.DEVNULL, check=True)
    return True


class Beginning:
    """The rows of a migrated database, remembered before the first test and restored after each that has committed."""

    def __init__(self) -> None:
        self._tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        with connection.cursor() as cursor:
            self._rows = {table: _rows(cursor, table) for table in self._filled(cursor)}

    def restore(self) -> None:
        """Only what is different now is written; sequences go on, as they do when Django flushes."""
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                self._wait_for_writers(cursor)
            for table in {*self._filled(cursor), *self._rows}:
                if table not in self._rows:
                    cursor.execute(f"DELETE FROM {_quoted(table)}")
                elif _rows(cursor, table) != self._rows[table]:
                    _write_anew(cursor, table, self._rows[table])

    def _filled(self, cursor: CursorWrapper) -> list[str]:
        questions = (
            f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {_quoted(table)})" for table in self._tables
        )
        cursor.execute(" UNION ALL ".join(questions))
        return [table for (table,) in cursor.fetchall()]

    def _wait_for_writers(self, cursor: CursorWrapper) -> None:
        """What a thread of the test has not committed yet must not be left to the next one."""
        cursor.execute(f"LOCK TABLE {', '.join(map(_quoted, self._tables))} IN EXCLUSIVE MODE")
        # All rows go, so nobody has to look whether others refer to them; superusers may say so.
        cursor.execute(
            "SELECT set_config('session_replication_role', 'replica', true)"
            " WHERE current_setting('is_superuser') = 'on'"
        )


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _rows(cursor: CursorWrapper, table: str) -> list[tuple]:
    cursor.execute(f"SELECT * FROM {_quoted(table)} ORDER BY 1")
    return cursor.fetchall()


def _write_anew(cursor: CursorWrapper, table: str, rows: list[tuple]) -> None:
    cursor.execute(f"DELETE FROM {_quoted(table)}")
    places = ", ".join(["%s"] * len(rows[0]))
    cursor.executemany(f"INSERT INTO {_quoted(table)} VALUES ({places})", rows)
