"""What happens in conversations. Payloads hold ids only."""

from __future__ import annotations

from dataclasses import dataclass

from apps.core.events import Fact


@dataclass(frozen=True)
class ConversationStarted(Fact, type="messaging.conversation.started"):
    conversation: int
    inbox: int
    customer: int


@dataclass(frozen=True)
class ConversationAssigned(Fact, type="messaging.conversation.assigned"):
    conversation: int
    agent: int


@dataclass(frozen=True)
class ConversationReleased(Fact, type="messaging.conversation.released"):
    """The agent no longer has it, and it waits again; `reason` is a code: transfer, lost, reassign."""

    conversation: int
    agent: int
    reason: str


@dataclass(frozen=True)
class ConversationClosed(Fact, type="messaging.conversation.closed"):
    conversation: int
    agent: int | None
    reason: str
    disposition: int | None


@dataclass(frozen=True)
class ConversationRated(Fact, type="messaging.conversation.rated"):
    conversation: int
    rating: int


@dataclass(frozen=True)
class ConversationTagged(Fact, type="messaging.conversation.tagged"):
    conversation: int
    tags: list[int]


@dataclass(frozen=True)
class MessageSent(Fact, type="messaging.message.sent"):
    conversation: int
    message: int
    seq: int


@dataclass(frozen=True)
class AnswerGiven(Fact, type="messaging.answer.given"):
    """An agent's message in a conversation that came by e-mail or SMS: it still has to go there."""

    conversation: int
    message: int


@dataclass(frozen=True)
class NoteAdded(Fact, type="messaging.note.added"):
    conversation: int
    note: int


@dataclass(frozen=True)
class AttachmentStored(Fact, type="messaging.attachment.stored"):
    conversation: int
    attachment: str


@dataclass(frozen=True)
class ArrivalHeld(Fact, type="messaging.arrival.held"):
    """What came by e-mail or SMS is in no conversation; `reason` is a Quarantined."""

    arrival: int
    reason: str


@dataclass(frozen=True)
class ArrivalAccepted(Fact, type="messaging.arrival.accepted"):
    arrival: int
    conversation: int


@dataclass(frozen=True)
class ArrivalDropped(Fact, type="messaging.arrival.dropped"):
    arrival: int
