"""Whether anything in the database was changed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connection, transaction

# Sessions live and die by themselves; tries to sign in are counted on purpose.
IGNORED = {
    "django_session",
    "usersessions_usersession",
    "axes_accessattempt",
    "axes_accessfailurelog",
    "axes_accesslog",
}


class Rows:
    """Looked at only after something was written: reading all tables takes longer than most requests."""

    def __init__(self) -> None:
        self.before = fingerprint()
        self.has_written = False

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        self.has_written = False
        with connection.execute_wrapper(self._note):
            yield

    @contextlib.contextmanager
    def taken_back(self) -> Iterator[None]:
        """Watched, and afterwards as if it had not been."""
        with transaction.atomic(), self.watched():
            yield
            transaction.set_rollback(True)

    def _note(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.has_written |= sql.startswith(("INSERT", "UPDATE", "DELETE"))
        return execute(sql, params, many, context)

    def have_changed(self) -> bool:
        return self.has_written and fingerprint() != self.before


def fingerprint() -> dict[str, str]:
    found = {}
    for model in apps.get_models(include_auto_created=True):
        table = model._meta.db_table
        if table not in IGNORED:
            rows = sorted(map(repr, model._base_manager.values_list()))
            found[table] = hashlib.sha256("\n".join(rows).encode(errors="surrogatepass")).hexdigest()
    return found
