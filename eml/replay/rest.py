"""REST calls as a good client makes them: repeated until there is an answer; what must never be answered is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection

import httpx

from .address import Address
from .journal import Journal

# So long a server may be away; then the call is given up, and the proof says so.
PATIENCE_SECONDS = 120.0
LONGEST_PAUSE_SECONDS = 3.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
TOO_MANY, UNAVAILABLE = 429, 503


class NoAnswer(Exception):
    """The server could not be reached, or refused what it should have taken."""


class Rest:
    """Every call made here may be repeated: it says the same again, with the same keys."""

    def __init__(
        self,
        address: Address,
        *,
        http: httpx.AsyncClient,
        journal: Journal,
        prefix: str,
        credentials: Callable[[], Awaitable[dict[str, str]]],
    ) -> None:
        self._address, self._http, self._journal = address, http, journal
        self._prefix, self._credentials = prefix, credentials

    async def call(
        self, method: str, path: str, body: dict | None = None, *, settled: Collection[int] = ()
    ) -> dict | None:
        """What was answered; None when the status is one of `settled`: somebody or an earlier try was quicker."""
        patience = _Patience()
        while True:
            response = await self._ask(method, path, body)
            if response is None:
                await patience.wait(f"{method} {path}")
            elif response.status_code in (TOO_MANY, UNAVAILABLE):
                if response.status_code == UNAVAILABLE:
                    await patience.wait(f"{method} {path}", at_least=_retry_after(response))
                else:
                    await asyncio.sleep(_retry_after(response))
            elif response.is_success:
                return response.json() if response.content else {}
            elif response.status_code in settled:
                return None
            else:
                raise self._refusal(method, path, response)

    async def _ask(self, method: str, path: str, body: dict | None) -> httpx.Response | None:
        try:
            response = await self._http.request(
                method,
                f"{self._address.http}/api/v1/{self._prefix}{path}",
                json=body,
                headers=await self._credentials(),
            )
        except httpx.HTTPError:
            self._address.move_on()
            return None
        self._journal.answers[response.status_code] += 1
        return response

    def _refusal(self, method: str, path: str, response: httpx.Response) -> NoAnswer:
        try:
            code = response.json().get("code", "")
        except ValueError:
            code = "no JSON"
        text = f"{method} {self._prefix}{path} was answered {response.status_code} {code}"
        self._journal.refusals.append(text)
        return NoAnswer(text)


class _Patience:
    def __init__(self) -> None:
        self._until = time.monotonic() + PATIENCE_SECONDS
        self._pause = 0.2

    async def wait(self, what: str, *, at_least: float = 0.0) -> None:
        if time.monotonic() > self._until:
            raise NoAnswer(f"{what} got no answer for {PATIENCE_SECONDS:.0f} seconds")
        await asyncio.sleep(max(self._pause, at_least))
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(float(response.headers["Retry-After"]), LONGEST_RETRY_AFTER_SECONDS)
    except (KeyError, ValueError):
        return 1.0
