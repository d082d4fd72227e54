"""Routers as processes of their own, on the database of the tests; and its clock, which a test may set."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from apps.routing.models import Item, Offer, RouterLease
from apps.routing.services import clock
from tests.faults.processes import START_SECONDS, wait_until

ROOT = Path(__file__).resolve().parents[2]


class Router:
    """`manage.py router` on the database of the tests."""

    def __init__(self) -> None:
        test_database = connection.settings_dict
        address = f"postgres://{test_database['USER']}:{test_database['PASSWORD']}@"
        address += f"{test_database['HOST']}:{test_database['PORT']}/{test_database['NAME']}"
        environment = os.environ | {
            "DATABASE_URL": address,
            "EML_SECRET_KEY": settings.SECRET_KEY,
            "EML_JWT_PRIVATE_KEY": settings.JWT_PRIVATE_KEY,
            "EML_LOG_LEVEL": "INFO",
        }
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "router"],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            process_group=0,
        )

    def send(self, number: int) -> None:
        assert self._process.poll() is None, "it ended by itself"
        os.kill(self._process.pid, number)

    @property
    def leads(self) -> bool:
        return f":{self._process.pid}:" in holder()

    def ends(self, *, seconds: float = 10) -> int:
        return self._process.wait(seconds)

    def put_down(self) -> str:
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        _, told = self._process.communicate(timeout=10)
        return told.decode()


def holder() -> str:
    """Who leads, by a lease that has not ended."""
    now = clock.now()
    return next(iter(RouterLease.objects.filter(expires_at__gt=now).values_list("holder", flat=True)), "")


@contextlib.contextmanager
def two_routers(*, undisturbed: bool = False) -> Iterator[list[Router]]:
    """One leads already, and is the first. If nothing is done to them, neither may have failed when they end.

    One that was stopped for long has lost its connection, and says so.
    """
    both = [Router(), Router()]
    try:
        wait_until(lambda: holder() != "", seconds=START_SECONDS, what="a router leads")
        yield sorted(both, key=lambda router: not router.leads)
    finally:
        told = [router.put_down() for router in both]
        print("\n".join(told))
    assert not (undisturbed and any("Traceback" in lines for lines in told))


def rung(item: Item) -> bool:
    return Offer.objects.live().filter(item=item).exists()


def wait_for_ring(item: Item, *, seconds: float) -> float:
    """Returns how long it took."""
    return wait_until(lambda: rung(item), seconds=seconds, what="somebody is rung")


@contextlib.contextmanager
def database_clock_at(moment: datetime) -> Iterator[None]:
    """The database's clock, the only one that counts, tells this time and goes on from there, for every process.

    A function of the same name comes first in the search path of whoever connects from now on.
    """
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shifted")
        cursor.execute("SELECT %s - pg_catalog.statement_timestamp()", [moment])
        (shift,) = cursor.fetchone()
        cursor.execute(
            "CREATE FUNCTION shifted.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql"
            f" AS $$ SELECT pg_catalog.statement_timestamp() + interval '{shift.total_seconds()} s' $$"
        )
        cursor.execute(f"ALTER DATABASE {name} SET search_path = shifted, pg_catalog, public")
    _connect_anew()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET search_path")
            cursor.execute("DROP SCHEMA shifted CASCADE")
        _connect_anew()


def _connect_anew() -> None:
    """A connection that was only given back to the pool would go on as it began."""
    connection.close()
    connection.close_pool()
