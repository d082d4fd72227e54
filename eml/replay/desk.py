"""One user at the desk socket and the API: what every kind of replayed agent needs."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx

from apps.users.models import User

from . import stage
from .address import Address
from .journal import Journal
from .line import Line
from .rest import NoAnswer, Rest

# Access tokens live five minutes.
TOKEN_SECONDS = 200.0


class Desk:
    """Subclasses say what they do with a frame."""

    def __init__(
        self, servers: Sequence[str], user: User, *, http: httpx.AsyncClient, journal: Journal
    ) -> None:
        self._user, self._journal = user, journal
        self._line = Line(
            Address(servers), "/ws/desk/", hello=self._hello, on_frame=self._take, on_loss=self._count_loss
        )
        self._rest = Rest(
            Address(servers), http=http, journal=journal, prefix="", credentials=self._credentials
        )
        self._token, self._token_until = "", 0.0

    async def _take(self, frame: dict) -> None:
        raise NotImplementedError

    async def _hello(self) -> dict:
        try:
            answer = await self._rest.call("POST", "auth/ticket/")
        except NoAnswer as error:
            self._journal.trouble(str(error))
            raise ConnectionError from error  # the line tries again
        assert answer is not None
        return {"type": "auth", "ticket": answer["ticket"]}

    async def _credentials(self) -> dict[str, str]:
        if time.monotonic() > self._token_until:
            self._token = await stage.patiently(stage.access_token_for, self._user)
            self._token_until = time.monotonic() + TOKEN_SECONDS
        return {"Authorization": f"Bearer {self._token}"}

    def _count_loss(self) -> None:
        self._journal.reconnects += 1
