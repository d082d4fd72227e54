"""Connections that the database has hung up on."""

from __future__ import annotations

from django.db import connection


def forget_connections() -> None:
    """To be called after a failure: what is broken leaves the pool at once.

    After a restart all its connections are, and each would cost the next request an error.
    """
    pool = getattr(connection, "pool", None)
    if pool is not None:
        pool.check()
