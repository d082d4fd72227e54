"""The proof: sent = acknowledged = stored = received on the other side, in order, and nothing left behind."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence

from apps.core.models import Handling
from apps.messaging.choices import CloseReason, Sender, Status
from apps.messaging.models import Conversation, Message, stream
from apps.routing.choices import ItemState
from apps.routing.models import Agent, Item, Offer

from .journal import Journal, Seen

# SQLite takes so many values in one query at least.
AT_ONCE = 500


@dataclasses.dataclass
class Proof:
    conversations: int
    sent: int
    acknowledged: int
    stored: int
    received: int
    faults: list[str]


def prove(journal: Journal, *, planned: int) -> Proof:
    """Compare the journal with the database. Reads only."""
    ids = list(journal.customers)
    stored = _stored(ids)
    by_client_id = {
        str(row.client_msg_id): row for rows in stored.values() for row in rows if row.client_msg_id
    }
    places = {key: number for number, key in enumerate(journal.sent)}
    faults = [*journal.refusals, *journal.troubles]
    if len(ids) != planned:
        faults.append(f"{planned - len(ids)} of {planned} conversations were never opened")
    faults += _sent_is_stored(journal, by_client_id)
    holders = _last_holders(ids)
    for conversation, rows in stored.items():
        faults += _stored_is_sent(conversation, rows, places)
        faults += _seen_is_stored(journal, conversation, rows, holder=holders.get(conversation))
    faults += left_behind(ids)
    return Proof(
        conversations=len(ids),
        sent=len(journal.sent) - len(journal.refused),
        acknowledged=len(journal.acked),
        stored=sum(key in by_client_id for key in journal.sent),
        received=sum(_is_received(journal, by_client_id[key]) for key in journal.sent if key in by_client_id),
        faults=faults,
    )


def _stored(ids: list[int]) -> dict[int, list[Message]]:
    rows: dict[int, list[Message]] = {conversation: [] for conversation in ids}
    for part in _parts(ids):
        for message in Message.objects.filter(conversation_id__in=part).order_by("conversation_id", "seq"):
            rows[message.conversation_id].append(message)
    return rows


def _sent_is_stored(journal: Journal, by_client_id: dict[str, Message]) -> Iterator[str]:
    """Every message once, as it was sent and acknowledged; what was refused not at all."""
    for key, said in journal.sent.items():
        where, row, seq = f"conversation {said.conversation}", by_client_id.get(key), journal.acked.get(key)
        if key in journal.refused:
            if row is not None:
                yield f"{where}: message {row.seq} was refused ({journal.refused[key]}), but is stored"
        elif seq is None:
            yield f"{where}: a message was never acknowledged"
        elif row is None:
            yield f"{where}: message {seq} was acknowledged, but is not stored"
        elif (row.conversation_id, row.sender, row.body) != (said.conversation, said.sender, said.body):
            yield f"{where}: message {row.seq} is stored otherwise than sent"
        elif row.seq != seq:
            yield f"{where}: message {row.seq} was acknowledged as {seq}"
        elif not _is_received(journal, row):
            yield f"{where}: message {seq} was not received on the other side"


def _stored_is_sent(conversation: int, rows: list[Message], places: dict[str, int]) -> Iterator[str]:
    """No gap, no double, nothing that nobody said, and each side's words in the order it said them.

    `places` numbers the messages in the order of sending, by client_msg_id.
    """
    if [row.seq for row in rows] != list(range(1, len(rows) + 1)):
        yield f"conversation {conversation}: the stored seq has a gap or a double"
    said = [row for row in rows if row.sender != Sender.SYSTEM]
    for row in said:
        if str(row.client_msg_id) not in places:
            yield f"conversation {conversation}: message {row.seq} is stored, but nobody sent it"
    for sender in (Sender.CUSTOMER, Sender.AGENT):
        order = [places.get(str(row.client_msg_id), -1) for row in said if row.sender == sender]
        if order != sorted(order):
            yield f"conversation {conversation}: the words of the {sender} are not in the order of sending"


def _seen_is_stored(
    journal: Journal, conversation: int, rows: list[Message], *, holder: int | None
) -> Iterator[str]:
    """The customer and the agent who had it last saw all of it; who had it before, saw it up to some line."""
    truth = {row.seq: (str(row.sender), row.body) for row in rows}
    yield from _view_faults(
        f"conversation {conversation}: the customer", journal.customers[conversation], truth
    )
    agents = journal.agents[conversation]
    # Nobody has it at the end when the customer left while it waited for another agent.
    if holder is not None and holder not in agents:
        yield f"conversation {conversation}: the agent who had it last saw nothing of it"
    for user, seen in agents.items():
        whose = f"conversation {conversation}: agent {user}"
        yield from _view_faults(whose, seen, truth, must_be_complete=user == holder)


def _view_faults(
    whose: str, seen: Seen, truth: dict[int, tuple[str, str]], *, must_be_complete: bool = True
) -> Iterator[str]:
    if seen.order != list(range(1, seen.last + 1)):
        yield f"{whose} saw messages out of order"
    if must_be_complete and seen.last != len(truth):
        yield f"{whose} saw {seen.last} of {len(truth)} messages"
    if any(truth.get(seq) != words for seq, words in seen.bodies.items()):
        yield f"{whose} saw words that are not stored so"


def _is_received(journal: Journal, row: Message) -> bool:
    if row.sender == Sender.CUSTOMER:
        others: Sequence[Seen] = list(journal.agents[row.conversation_id].values())
    else:
        others = [journal.customers[row.conversation_id]]
    return any(seen.bodies.get(row.seq) == (str(row.sender), row.body) for seen in others)


def _last_holders(ids: list[int]) -> dict[int, int | None]:
    """Conversation → the user who had it last."""
    found: dict[int, int | None] = {}
    for part in _parts(ids):
        found.update(Conversation.objects.filter(id__in=part).values_list("id", "agent_id"))
    return found


def left_behind(ids: list[int]) -> list[str]:
    """What should be over and is not."""
    faults: dict[str, list[int]] = defaultdict(list)
    for part in _parts(ids):
        still_open = Conversation.objects.filter(id__in=part).exclude(status=Status.CLOSED)
        faults["left open"] += still_open.values_list("id", flat=True)
        items = Item.objects.filter(conversation_id__in=part)
        faults["still in routing's hands"] += items.exclude(state=ItemState.DONE).values_list(
            "conversation_id", flat=True
        )
        live = Offer.objects.live().filter(item__conversation_id__in=part)
        faults["an offer still rings"] += live.values_list("item__conversation_id", flat=True)
        # Whoever hung up before the follow-up of his arrival ran had no need of a place.
        unseen = Conversation.objects.filter(id__in=part, item=None)
        faults["never came into a line"] += unseen.exclude(close_reason=CloseReason.ABANDONED).values_list(
            "id", flat=True
        )
        streams = {stream(pk): pk for pk in part}
        undone = Handling.objects.filter(stream__in=streams).values_list("stream", flat=True)
        faults["follow-up work is undone"] += {streams[name] for name in undone}
    return [f"conversation {pk}: {what}" for what, found in faults.items() for pk in sorted(found)]


def loads_left(agent_ids: list[int]) -> list[str]:
    """Agents whose units did not all come back."""
    left = Agent.objects.filter(id__in=agent_ids).exclude(load=0).values_list("id", "load")
    return [f"agent {pk}: {load} units are still taken" for pk, load in left]


def _parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
