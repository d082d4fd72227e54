"""The agent's socket: rung by offers, watching conversations, keeping his presence alive."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from django.utils import timezone

from apps.core import frame_fields, realtime, threads
from apps.core.hub import hub
from apps.core.realtime import CloseCode, Frame
from apps.core.sockets import Socket
from apps.messaging.choices import Sender
from apps.messaging.errors import ConversationNotFound
from apps.messaging.live import Talk
from apps.routing.services import agents
from apps.users.models import User
from apps.users.services import tickets

from .services import desks

# Half a lease: the row of an agent is written at most this often, however many screens he has.
RENEW_SECONDS = 10.0
# Whoever did not answer the last ping and a half is not known to be there.
PONG_SECONDS = 15.0
MOST_WATCHED = 50
_CONVERSATION: dict[str, Any] = {"conversation": frame_fields.number}
# Frames begin with their type, so one look tells this one from the others.
_REAUTH = realtime.encode({"type": Frame.REAUTH})[:-1]


class DeskSocket(Socket):
    user: User
    session_key: str | None = None
    renewed_at = 0.0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.talks: dict[int, Talk] = {}

    async def authenticate(self, frame: dict[str, Any] | None) -> bool:
        if frame is None:
            user, self.session_key = self.scope.get("user"), _session_key(self.scope)
        else:
            ticket = frame_fields.read(frame, ticket=frame_fields.text)["ticket"]
            user, self.session_key = await threads.run(tickets.redeem, ticket, now=timezone.now()), None
        if not isinstance(user, User) or not await threads.run(desks.may_work, user):
            return False
        self.user, self.owner = user, user.actor_ref
        return True

    async def welcome(self, frame: dict[str, Any] | None) -> None:
        hub.join(realtime.user_group(self.user.pk), self)
        self.renewed_at = time.monotonic()
        desk = await threads.run(desks.open_desk, self.user, now=timezone.now())
        self.reply({"type": Frame.READY, "user": self.user.pk, **desk})

    def receive_group(self, group: str, text: str) -> None:
        self.push(text)
        if text.startswith(_REAUTH) and group == realtime.user_group(self.user.pk):
            # What he may do has changed: nothing more under the old rights; he comes back with the new ones.
            self.close(CloseCode.RESTART)

    async def watch(self, frame: dict[str, Any]) -> None:
        fields = frame_fields.read(frame, **_CONVERSATION, optional={"after_seq": (frame_fields.number, 0)})
        number = fields["conversation"]
        if not await threads.run(desks.may_watch, self.user, conversation_id=number):
            raise ConversationNotFound
        if number not in self.talks and len(self.talks) >= MOST_WATCHED:
            self.forget(next(iter(self.talks)))
        talk = self.talks.setdefault(number, Talk(self, number, side=Sender.AGENT))
        hub.join(realtime.conversation_group(number), self)
        hub.join(realtime.staff_group(number), self)
        await talk.catch_up(fields["after_seq"])

    async def unwatch(self, frame: dict[str, Any]) -> None:
        self.forget(frame_fields.read(frame, **_CONVERSATION)["conversation"])

    def forget(self, conversation_id: int) -> None:
        self.talks.pop(conversation_id, None)
        hub.leave(realtime.conversation_group(conversation_id), self)
        hub.leave(realtime.staff_group(conversation_id), self)

    async def message(self, frame: dict[str, Any]) -> None:
        talk = self.talk_of(frame)
        await talk.send(frame, actor_ref=self.user.actor_ref, user=self.user, **_CONVERSATION)

    async def typing(self, frame: dict[str, Any]) -> None:
        frame_fields.read(frame, **_CONVERSATION)
        talk = self.talk_of(frame)
        if await threads.run(desks.has, self.user, conversation_id=talk.conversation_id):
            talk.typing(self.user.get_short_name())

    async def read(self, frame: dict[str, Any]) -> None:
        seq = frame_fields.read(frame, **_CONVERSATION, seq=frame_fields.number)["seq"]
        talk = self.talk_of(frame)
        # Whoever only looks on does not read for the agent.
        if await threads.run(desks.has, self.user, conversation_id=talk.conversation_id):
            await talk.read(seq)

    async def resume(self, frame: dict[str, Any]) -> None:
        after_seq = frame_fields.read(frame, **_CONVERSATION, after_seq=frame_fields.number)["after_seq"]
        talk = self.talk_of(frame)
        if not await threads.run(desks.may_watch, self.user, conversation_id=talk.conversation_id):
            self.forget(talk.conversation_id)
            raise ConversationNotFound
        await talk.catch_up(after_seq)

    def talk_of(self, frame: dict[str, Any]) -> Talk:
        """Only of what is watched; foreign, deleted and never joined look the same."""
        if (talk := self.talks.get(frame_fields.number(frame.get("conversation")))) is None:
            raise ConversationNotFound
        return talk

    frames = {
        "watch": watch,
        "unwatch": unwatch,
        "message": message,
        "typing": typing,
        "read": read,
        "resume": resume,
    }

    @classmethod
    async def beat(cls, sockets: list[DeskSocket]) -> None:  # type: ignore[override]
        """Whoever may no longer be here goes; the others keep their presence, their rights and their seqs."""
        watched = {socket: tuple(socket.talks) for socket in sockets}
        state = await threads.run(
            desks.look_around,
            user_ids={socket.user.pk for socket in sockets},
            session_keys={socket.session_key for socket in sockets if socket.session_key},
            conversation_ids={number for numbers in watched.values() for number in numbers},
            now=timezone.now(),
        )
        for socket, numbers in watched.items():
            socket.follow(state, watched=numbers)
        await cls.renew([socket for socket in sockets if not socket.is_closing])

    def follow(self, state: desks.Surroundings, *, watched: Collection[int]) -> None:
        """Only of what was asked about: what he began to watch meanwhile was allowed a moment ago."""
        if not state.may_stay(self.user, session_key=self.session_key):
            self.close(CloseCode.UNAUTHENTICATED)
            return
        for number in watched:
            if not state.may_see(self.user, conversation_id=number):
                self.forget(number)
        still = [number for number in watched if number in self.talks]
        self.ping(last_seq={str(number): state.conversations[number].last_seq for number in still})

    @classmethod
    async def renew(cls, sockets: list[DeskSocket]) -> None:
        now = time.monotonic()
        due = [
            s for s in sockets if now - s.last_pong < PONG_SECONDS and now - s.renewed_at >= RENEW_SECONDS - 1
        ]
        if not due:
            return
        await threads.run(agents.renew_leases, {socket.user.pk for socket in due}, now=timezone.now())
        for socket in due:
            socket.renewed_at = now


def _session_key(scope: dict[str, Any]) -> str | None:
    session = scope.get("session")
    return session.session_key if session is not None else None
