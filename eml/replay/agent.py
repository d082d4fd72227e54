"""One agent: at the desk socket by ticket, accepts offers over REST, answers every customer turn."""

from __future__ import annotations

import asyncio
import time

import httpx

from apps.core import threads
from apps.users.models import User

from . import stage
from .journal import Journal
from .line import Line
from .speaker import Speaker

# Access tokens live five minutes.
TOKEN_SECONDS = 200.0


class Agent:
    def __init__(
        self,
        server: str,
        user: User,
        *,
        http: httpx.AsyncClient,
        journal: Journal,
        turns: dict[int, int],
        disposition: int,
    ) -> None:
        self._server, self._user, self._http, self._journal = server, user, http, journal
        # Conversation → how many turns its customer has; 0 when the customer ends it himself.
        self._turns, self._disposition = turns, disposition
        self._jobs: set[asyncio.Task] = set()
        url = server.replace("http", "ws", 1) + "/ws/desk/"
        self._line = Line(url, hello=self._hello, on_frame=self._take, on_loss=self._count_loss)
        self._speaker = Speaker(self._line, journal, names_conversation=True)
        self._token, self._token_until = "", 0.0

    async def run(self) -> None:
        await self._line.run()

    async def leave(self) -> None:
        await self._line.hang_up()
        for job in self._jobs:
            job.cancel()

    async def _hello(self) -> dict:
        return {"type": "auth", "ticket": await threads.run(stage.ticket_for, self._user)}

    async def _take(self, frame: dict) -> None:
        if take := self._frames.get(frame["type"]):
            await take(self, frame)

    async def _on_ready(self, frame: dict) -> None:
        for conversation in frame["conversations"]:
            await self._watch(conversation["id"])
        self._spawn(self._accept_all())

    async def _on_offer(self, frame: dict) -> None:
        self._spawn(self._accept(frame["offer"]))

    async def _on_ack(self, frame: dict) -> None:
        self._speaker.take(frame)

    async def _on_replay(self, frame: dict) -> None:
        for message in frame["messages"]:
            await self._see({"conversation": frame["conversation"], **message})

    async def _on_ping(self, frame: dict) -> None:
        for key, last_seq in frame.get("last_seq", {}).items():
            if last_seq > len(self._journal.agents[int(key)].order):
                await self._watch(int(key))

    async def _on_change(self, frame: dict) -> None:
        if frame["what"] == "assigned":
            await self._watch(frame["conversation"])

    async def _watch(self, conversation: int) -> None:
        after = len(self._journal.agents[conversation].order)
        await self._line.say({"type": "watch", "conversation": conversation, "after_seq": after})

    async def _accept_all(self) -> None:
        """After a reconnect: what was offered meanwhile."""
        answer = await self._call("GET", "offers/")
        for offer in answer.get("results", []):
            await self._accept(offer["id"])

    async def _accept(self, offer: int) -> None:
        await self._call("POST", f"offers/{offer}/accept/", {})

    async def _see(self, message: dict) -> None:
        conversation = message["conversation"]
        seen = self._journal.agents[conversation]
        if not seen.take(message):
            if message["seq"] > len(seen.order):
                await self._watch(conversation)
            return
        if message["sender"] == "customer":
            self._journal.answered[conversation] += 1
            self._spawn(self._answer(conversation, self._journal.answered[conversation]))

    async def _answer(self, conversation: int, number: int) -> None:
        await self._speaker.say(conversation, f"Thank you, that was number {number}.")
        if number == self._turns.get(conversation):
            await self._call(
                "POST", f"conversations/{conversation}/close/", {"disposition": self._disposition}
            )

    async def _call(self, method: str, path: str, body: dict | None = None) -> dict:
        """A call that is safe to repeat; a conflict means that it was settled otherwise."""
        for attempt in range(30):
            token = await self._fresh_token()
            try:
                answer = await self._http.request(
                    method,
                    f"{self._server}/api/v1/{path}",
                    json=body,
                    headers={"Authorization": f"Bearer {token}"},
                )
            except httpx.HTTPError:
                await asyncio.sleep(min(5.0, 0.2 * 2**attempt))
                continue
            if answer.status_code in (429, 503):
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
            elif answer.status_code in (404, 409):
                return {}
            else:
                answer.raise_for_status()
                return answer.json() if answer.content else {}
        raise TimeoutError(f"the server did not answer {path}")

    async def _fresh_token(self) -> str:
        if time.monotonic() > self._token_until:
            self._token = await threads.run(stage.access_token_for, self._user)
            self._token_until = time.monotonic() + TOKEN_SECONDS
        return self._token

    def _spawn(self, job) -> None:
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    def _count_loss(self) -> None:
        self._journal.reconnects += 1

    _frames = {
        "ready": _on_ready,
        "offer.made": _on_offer,
        "ack": _on_ack,
        "message": _see,
        "replay": _on_replay,
        "ping": _on_ping,
        "conversation.changed": _on_change,
    }
