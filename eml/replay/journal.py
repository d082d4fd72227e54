"""What each side saw with its own eyes, and the comparison with what is stored."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict

from apps.messaging.choices import Sender, Status
from apps.messaging.models import Conversation, Message
from apps.routing.choices import ItemState
from apps.routing.models import Agent, Item, Offer


@dataclasses.dataclass
class Seen:
    """One side of one conversation: messages by `seq`, in order of arrival."""

    bodies: dict[int, tuple[str, str]] = dataclasses.field(default_factory=dict)
    order: list[int] = dataclasses.field(default_factory=list)
    repeats: int = 0

    @property
    def next_seq(self) -> int:
        return len(self.order) + 1

    def take(self, message: dict) -> bool:
        """Whether it is the next one. What is known already is not shown twice; what comes too early is a gap."""
        seq = message["seq"]
        if seq in self.bodies:
            self.repeats += 1
            return False
        if seq != self.next_seq:
            return False
        self.bodies[seq] = (message["sender"], message["body"])
        self.order.append(seq)
        return True


class Journal:
    def __init__(self) -> None:
        self.sent: dict[str, tuple[int, str]] = {}
        self.acked: dict[str, int] = {}
        self.customers: dict[int, Seen] = defaultdict(Seen)
        self.agents: dict[int, Seen] = defaultdict(Seen)
        # Customer turns that an agent has seen, per conversation.
        self.answered: dict[int, int] = defaultdict(int)
        self.ended: set[int] = set()
        self.first_answers: list[float] = []
        self.reconnects = 0
        self.started_at = time.monotonic()

    def send(self, client_msg_id: str, conversation: int, body: str) -> None:
        self.sent[client_msg_id] = (conversation, body)

    def ack(self, client_msg_id: str, seq: int) -> None:
        self.acked[client_msg_id] = seq


@dataclasses.dataclass
class Proof:
    conversations: int
    sent: int
    acknowledged: int
    stored: int
    received: int
    faults: list[str]


def prove(journal: Journal, *, planned: int) -> Proof:
    """Compare what was sent and acknowledged with the database, and with what the other side received."""
    ids = list(journal.customers)
    stored = _stored(ids)
    by_client_id = {str(m.client_msg_id): m for rows in stored.values() for m in rows if m.client_msg_id}
    faults = (
        [] if len(ids) == planned else [f"{planned - len(ids)} of {planned} conversations were never opened"]
    )
    faults += _message_faults(journal, by_client_id)
    for conversation_id in ids:
        faults += _conversation_faults(journal, conversation_id, stored[conversation_id])
    faults += _left_behind(ids)
    received = sum(_is_received(journal, key, by_client_id) for key in journal.sent)
    return Proof(
        conversations=len(ids),
        sent=len(journal.sent),
        acknowledged=len(journal.acked),
        stored=sum(key in by_client_id for key in journal.sent),
        received=received,
        faults=faults,
    )


def _stored(ids: list[int]) -> dict[int, list[Message]]:
    rows: dict[int, list[Message]] = {conversation_id: [] for conversation_id in ids}
    for start in range(0, len(ids), 500):
        for message in Message.objects.filter(conversation_id__in=ids[start : start + 500]).order_by("seq"):
            rows[message.conversation_id].append(message)
    return rows


def _message_faults(journal: Journal, by_client_id: dict[str, Message]) -> list[str]:
    faults = []
    for key, (conversation, body) in journal.sent.items():
        row = by_client_id.get(key)
        if key not in journal.acked:
            faults.append(f"conversation {conversation}: a message was never acknowledged")
        elif row is None:
            faults.append(f"conversation {conversation}: an acknowledged message is not stored")
        elif (row.conversation_id, row.body, row.seq) != (conversation, body, journal.acked[key]):
            faults.append(f"conversation {conversation}: message {row.seq} is stored otherwise than sent")
    return faults


def _is_received(journal: Journal, key: str, by_client_id: dict[str, Message]) -> bool:
    row = by_client_id.get(key)
    if row is None:
        return False
    others = journal.agents if row.sender == Sender.CUSTOMER else journal.customers
    return others[row.conversation_id].bodies.get(row.seq) == (row.sender, row.body)


def _conversation_faults(journal: Journal, conversation_id: int, rows: list[Message]) -> list[str]:
    faults = []
    expected = list(range(1, len(rows) + 1))
    if [row.seq for row in rows] != expected:
        faults.append(f"conversation {conversation_id}: the stored seq has a gap or a double")
    for side, seen in (
        ("customer", journal.customers[conversation_id]),
        ("agent", journal.agents[conversation_id]),
    ):
        # The last line says that it has ended; whoever ended it need not see it before he leaves.
        if seen.order != expected[: len(seen.order)] or len(seen.order) < len(expected) - 1:
            faults.append(
                f"conversation {conversation_id}: the {side} saw {len(seen.order)} of {len(rows)} messages"
            )
    return faults


def _left_behind(ids: list[int]) -> list[str]:
    faults = []
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        for pk in (
            Conversation.objects.filter(id__in=part)
            .exclude(status=Status.CLOSED)
            .values_list("id", flat=True)
        ):
            faults.append(f"conversation {pk}: left open")
        for pk in (
            Item.objects.filter(conversation_id__in=part)
            .exclude(state=ItemState.DONE)
            .values_list("conversation_id", flat=True)
        ):
            faults.append(f"conversation {pk}: still in routing's hands")
        if live := Offer.objects.live().filter(item__conversation_id__in=part).count():
            faults.append(f"{live} offers still ring")
    return faults


def loads_left(agent_ids: list[int]) -> list[str]:
    """Agents whose units did not all come back."""
    left = Agent.objects.filter(id__in=agent_ids, load__gt=0).values_list("id", "load")
    return [f"agent {pk}: {load} units are still taken" for pk, load in left]
