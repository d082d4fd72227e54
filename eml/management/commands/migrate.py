"""`manage.py migrate`, without the limits that hold for those who answer requests."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

# An index on a large table takes longer than any request may. Waiting for a lock stays limited: it stops the others.
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        limits = LIMITS if connection.vendor == "postgresql" else ()
        with connection.cursor() as cursor:
            for limit in limits:
                cursor.execute(f"SET {limit} = 0")
        super().handle(*args, **options)
        with connection.cursor() as cursor:
            for limit in limits:
                cursor.execute(f"RESET {limit}")
