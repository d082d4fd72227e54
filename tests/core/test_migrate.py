"""What migrates a large database may take longer than a request."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_migrate

LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")


def _limits() -> list[str]:
    with connection.cursor() as cursor:
        return [cursor.execute(f"SHOW {limit}").fetchone()[0] for limit in LIMITS]


@pytest.mark.services
@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such limits")
def test_migrating_is_not_limited_and_what_follows_is() -> None:
    seen = []

    def look(**_: object) -> None:
        seen.append(_limits())

    post_migrate.connect(look)
    try:
        call_command("migrate", verbosity=0)
    finally:
        post_migrate.disconnect(look)
    assert seen[0] == ["0", "0", "2s"]
    assert _limits() == ["5s", "10s", "2s"]
