"""The router's doorbell: says what changed, so that it is looked at now and not at the next sweep.

A ring is a hint: the router reads what it is about from the database, and finds what a lost ring was about within
seconds. It goes out after the commit, by the connection that committed, so it costs no fsync and holds no lock.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg
from django.db import connection

logger = logging.getLogger(__name__)

CHANNEL = "eml_router"
# A notification may be 8,000 bytes long: so many ids of 13 digits fit.
MOST_IDS = 500


@dataclasses.dataclass(slots=True)
class Hints:
    """What may have changed, by ids. `everybody`: all agents, with their skills."""

    conversations: set[int] = dataclasses.field(default_factory=set)
    agents: set[int] = dataclasses.field(default_factory=set)
    queues: set[int] = dataclasses.field(default_factory=set)
    everybody: bool = False

    def __bool__(self) -> bool:
        return bool(self.conversations or self.agents or self.queues or self.everybody)

    def __ior__(self, other: Hints) -> Hints:
        self.conversations |= other.conversations
        self.agents |= other.agents
        self.queues |= other.queues
        self.everybody |= other.everybody
        return self


def ring(
    *,
    conversations: Collection[int] = (),
    agents: Collection[int] = (),
    queues: Collection[int] = (),
    everybody: bool = False,
) -> None:
    """After a commit. Never raises: the work is stored, and the sweep finds it."""
    try:
        if connection.vendor == "postgresql":
            _notify(conversations, agents, queues, everybody)
        else:
            _here.put(Hints(set(conversations), set(agents), set(queues), everybody))
    except Exception as error:
        logger.warning("router's bell not rung (%s); the sweep will find it", type(error).__name__)


def _notify(
    conversations: Collection[int], agents: Collection[int], queues: Collection[int], everybody: bool
) -> None:
    kinds = {"c": conversations, "a": agents, "q": queues}
    payloads: list[dict[str, Any]] = [
        {kind: list(ids)[begin : begin + MOST_IDS]}
        for kind, ids in kinds.items()
        for begin in range(0, len(ids), MOST_IDS)
    ]
    if everybody:
        payloads.append({"e": True})
    with connection.cursor() as cursor:
        for payload in payloads:
            cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, json.dumps(payload, separators=(",", ":"))))


class Ear(Protocol):
    """Where a router hears the bell."""

    def wait(self, seconds: float) -> Hints:
        """What was rung since the last call; at the latest after so many seconds."""


@contextmanager
def listening() -> Iterator[Ear]:
    """Hears rings from every process of the installation (PostgreSQL), or of this one (SQLite has no other)."""
    if connection.vendor != "postgresql":
        yield _here
        return
    ear = _Postgres()
    try:
        yield ear
    finally:
        ear.close()


class _InProcess:
    def __init__(self) -> None:
        self._hints = Hints()
        self._rung = threading.Condition()

    def put(self, hints: Hints) -> None:
        with self._rung:
            self._hints |= hints
            self._rung.notify_all()

    def wait(self, seconds: float) -> Hints:
        with self._rung:
            self._rung.wait_for(lambda: bool(self._hints), timeout=max(seconds, 0))
            heard, self._hints = self._hints, Hints()
            return heard


_here = _InProcess()


class _Postgres:
    """LISTEN on a connection of its own. While it is broken, the router lives by its sweeps."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection | None = None

    def wait(self, seconds: float) -> Hints:
        try:
            heard, wait = Hints(), max(seconds, 0)
            # After the first, whatever has arrived already: a burst is worked off together.
            for notification in self._connected().notifies(timeout=wait, stop_after=1):
                heard |= _read(notification.payload)
            for notification in self._connected().notifies(timeout=0) if heard else ():
                heard |= _read(notification.payload)
            return heard
        except psycopg.Error as error:
            logger.warning("router's bell not heard (%s); sweeps only", type(error).__name__)
            self.close()
            time.sleep(min(wait, 1.0))
            return Hints(everybody=True)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            params = connection.get_connection_params()
            ours = {
                name: value for name, value in params.items() if name in ("host", "port", "user", "password")
            }
            self._connection = psycopg.connect(**ours, dbname=params["dbname"], autocommit=True)
            self._connection.execute(f"LISTEN {CHANNEL}")
        return self._connection


def _read(payload: str) -> Hints:
    told = json.loads(payload)
    return Hints(
        set(told.get("c", ())), set(told.get("a", ())), set(told.get("q", ())), bool(told.get("e", False))
    )
