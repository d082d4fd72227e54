"""Where the server is. An installation may have several front doors; whoever loses one tries the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

_newcomers = count()


class Address:
    """One client's choice among the doors: newcomers are spread evenly, each loss moves its client on."""

    def __init__(self, servers: Sequence[str], *, numbers: Iterator[int] = _newcomers) -> None:
        self._servers = [server.rstrip("/") for server in servers]
        self._chosen = next(numbers) % len(self._servers)

    @property
    def http(self) -> str:
        return self._servers[self._chosen]

    @property
    def ws(self) -> str:
        return self.http.replace("http", "ws", 1)

    def move_on(self) -> None:
        self._chosen = (self._chosen + 1) % len(self._servers)
