"""One customer: starts a chat over REST, then says one turn after each answer over the chat socket."""

from __future__ import annotations

import asyncio
import time
import uuid

import httpx

from .journal import Journal, Seen
from .line import Line
from .speaker import Speaker

LONGEST_WAIT_SECONDS = 300.0


class Pace:
    """At most so many messages a second over all customers; 0 sets no limit."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = time.monotonic()

    async def turn(self) -> None:
        self._next = max(self._next + self._gap, time.monotonic())
        await asyncio.sleep(max(0.0, self._next - self._gap - time.monotonic()))


class Customer:
    def __init__(
        self, server: str, inbox: str, turns: list[str], *, http: httpx.AsyncClient, journal: Journal
    ) -> None:
        self._server, self._inbox, self._turns = server, inbox, turns
        self._http, self._journal = http, journal
        self._answers = asyncio.Semaphore(0)
        self._closed = asyncio.Event()
        self.conversation = 0
        self._token = ""

    async def live(self, pace: Pace, *, turns_of: dict[int, int]) -> None:
        """The whole conversation, until it is closed. Where `turns_of` knows its length, the agent closes it."""
        await pace.turn()
        began = time.monotonic()
        await self._start(self._turns[0])
        ends_himself = self.conversation % 2 == 0 or len(self._turns) == 1
        if not ends_himself:
            turns_of[self.conversation] = len(self._turns)
        line = Line(
            self._server.replace("http", "ws", 1) + "/ws/chat/",
            hello=self._hello,
            on_frame=self._take,
            origin=self._server,
            on_loss=self._count_loss,
        )
        self._line, self._speaker = line, Speaker(line, self._journal, names_conversation=False)
        running = asyncio.create_task(line.run())
        try:
            await asyncio.wait_for(self._answers.acquire(), LONGEST_WAIT_SECONDS)
            self._journal.first_answers.append(time.monotonic() - began)
            for text in self._turns[1:]:
                await pace.turn()
                await self._speaker.say(self.conversation, text)
                await asyncio.wait_for(self._answers.acquire(), LONGEST_WAIT_SECONDS)
            if ends_himself:
                await self._post("end/", {})
            await asyncio.wait_for(self._closed.wait(), LONGEST_WAIT_SECONDS)
            self._journal.ended.add(self.conversation)
        finally:
            await line.hang_up()
            running.cancel()

    async def _start(self, body: str) -> None:
        key = str(uuid.uuid4())
        answer = await self._retrying("POST", f"{self._inbox}/start/", {"start_key": key, "body": body})
        self._token, self.conversation = answer["token"], answer["conversation"]
        self._journal.send(key, self.conversation, body)
        self._journal.ack(key, 1)

    async def _hello(self) -> dict:
        return {"type": "auth", "token": self._token, "after_seq": len(self._seen.order)}

    async def _take(self, frame: dict) -> None:
        match frame["type"]:
            case "ack":
                self._speaker.take(frame)
            case "message":
                await self._see(frame)
            case "replay":
                for message in frame["messages"]:
                    await self._see(message)
            case "ping":
                if frame.get("last_seq", {}).get(str(self.conversation), 0) > len(self._seen.order):
                    await self._resume()
            case "ready" | "conversation.changed":
                if frame.get("status") == "closed" or frame.get("what") == "closed":
                    await self._resume()
                    self._closed.set()

    @property
    def _seen(self) -> Seen:
        return self._journal.customers[self.conversation]

    async def _see(self, message: dict) -> None:
        if self._seen.take(message):
            if message["sender"] == "agent":
                self._answers.release()
        elif message["seq"] > len(self._seen.order):
            await self._resume()

    async def _resume(self) -> None:
        await self._line.say({"type": "resume", "after_seq": len(self._seen.order)})

    def _count_loss(self) -> None:
        self._journal.reconnects += 1

    async def _post(self, path: str, body: dict) -> dict:
        return await self._retrying("POST", path, body, headers={"Authorization": f"Visitor {self._token}"})

    async def _retrying(self, method: str, path: str, body: dict, headers: dict | None = None) -> dict:
        """A server that restarts or asks to slow down is asked again; every call here may be repeated."""
        for attempt in range(60):
            try:
                answer = await self._http.request(
                    method, f"{self._server}/api/v1/chat/{path}", json=body, headers=headers
                )
            except httpx.HTTPError:
                await asyncio.sleep(min(5.0, 0.2 * 2**attempt))
                continue
            if answer.status_code in (429, 503):
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
            elif answer.status_code == 409:
                return {}  # a repeated call whose first try got through
            else:
                answer.raise_for_status()
                return answer.json() if answer.content else {}
        raise TimeoutError(f"the server did not answer {path}")
