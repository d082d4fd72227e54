"""What each side said and saw with its own eyes. The proof compares it with what is stored."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict

from apps.messaging.choices import Sender


@dataclasses.dataclass
class Seen:
    """One person's view of one conversation: messages by `seq`, in order of arrival."""

    bodies: dict[int, tuple[str, str]] = dataclasses.field(default_factory=dict)
    order: list[int] = dataclasses.field(default_factory=list)
    repeats: int = 0

    @property
    def last(self) -> int:
        return len(self.order)

    def take(self, message: dict) -> bool:
        """Whether it is the next one. What is known already is not shown twice; what comes too early is a gap."""
        seq = message["seq"]
        if seq in self.bodies:
            self.repeats += 1
            return False
        if seq != self.last + 1:
            return False
        self.bodies[seq] = (message["sender"], message["body"])
        self.order.append(seq)
        return True

    def count(self, sender: Sender) -> int:
        return sum(said_by == sender for said_by, _ in self.bodies.values())

    @property
    def waits_for_answer(self) -> bool:
        """The customer spoke last (lines of the system are nobody's words)."""
        for seq in reversed(self.order):
            if self.bodies[seq][0] != Sender.SYSTEM:
                return self.bodies[seq][0] == Sender.CUSTOMER
        return False


@dataclasses.dataclass(frozen=True)
class Saying:
    """One message as its sender wrote it."""

    conversation: int
    sender: str
    body: str


class Journal:
    def __init__(self) -> None:
        # By client_msg_id, in the order of sending.
        self.sent: dict[str, Saying] = {}
        self.acked: dict[str, int] = {}
        # What the server said no to (client_msg_id → code); it must not be stored.
        self.refused: dict[str, str] = {}
        # By conversation, and for agents by user: after a hand-over there are several.
        self.customers: dict[int, Seen] = defaultdict(Seen)
        self.agents: dict[int, dict[int, Seen]] = defaultdict(lambda: defaultdict(Seen))
        self.first_answers: list[float] = []
        self.answers: Counter[int] = Counter()
        self.refusals: list[str] = []
        self.troubles: list[str] = []
        self.reconnects = 0

    def send(self, client_msg_id: str, conversation: int, sender: Sender, body: str) -> None:
        self.sent[client_msg_id] = Saying(conversation, str(sender), body)

    def ack(self, client_msg_id: str, seq: int) -> None:
        self.acked[client_msg_id] = seq

    @property
    def unanswered(self) -> int:
        """Messages the server has said nothing to."""
        return len(self.sent) - len(self.acked.keys() | self.refused.keys())

    def trouble(self, text: str) -> None:
        """Something that has no business in a good run; told once."""
        if text not in self.refusals and text not in self.troubles:
            self.troubles.append(text)

    def refuse(self, client_msg_id: str, code: str) -> None:
        self.refused[client_msg_id] = code
