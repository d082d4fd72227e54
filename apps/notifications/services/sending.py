"""Sends what is due: a batch is claimed, planned again, written, sent, and recorded; nothing is sent in a transaction.

Planned again, because since it was written somebody may have been deactivated, erased, or have opted out.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction

from .. import planning
from ..choices import DeliveryState, ErrorKind, Way
from ..clock import Clock
from ..gateways import KINDS, GatewayKind, Outcome, Outgoing
from ..models import Delivery, Gateway
from . import claiming, facts, recording, rendering
from .claiming import Batch
from .recording import Ended

logger = logging.getLogger(__name__)

# Batches are as large as what goes out in about this time: a crash leaves little in doubt, and what is urgent does not
# wait long behind what is not.
BATCH_SECONDS = 1.0
FEWEST, MOST = 10, 500
# Outcomes are written at the latest after so many, or so long.
RECORDED_AT_ONCE = 500
RECORD_SECONDS = 0.25
# The lease is renewed when a third of it is over; a gateway answers within the rest or is taken for dead.
RENEW_AFTER = claiming.LEASE / 3
RECOVERED_AT_ONCE = 200


@dataclass(slots=True)
class Sender:
    """One thread's own: its gateways with their kept connections, how much it can take at once, and what is set up."""

    way: str
    most: int = FEWEST
    setup: facts.Setup = field(default_factory=facts.Setup)
    _kept: dict[int, tuple[str, GatewayKind]] = field(default_factory=dict)

    def gateway(self, row: Gateway) -> GatewayKind:
        """Made once, and anew when the row says something else."""
        setup = json.dumps([row.kind, row.options, row.secrets], sort_keys=True, default=str)
        kept = self._kept.get(row.pk)
        if kept is None or kept[0] != setup:
            self._close(row.pk)
            secrets: Any = row.secrets
            self._kept[row.pk] = setup, KINDS[row.kind](row.options, secrets)
        return self._kept[row.pk][1]

    def _close(self, pk: int) -> None:
        if (kept := self._kept.pop(pk, None)) and (close := getattr(kept[1], "close", None)):
            close()

    def close(self) -> None:
        for pk in list(self._kept):
            self._close(pk)

    def adapt(self, sent: int, seconds: float) -> None:
        """Twice as much at most, so that one lucky batch does not decide."""
        could = int(sent * BATCH_SECONDS / max(seconds, 0.001))
        self.most = max(FEWEST, min(could, self.most * 2, MOST))


def work_off(way: str, *, clock: Clock, sender: Sender | None = None) -> int:
    """Send all that is due by this way now; returns how many deliveries were looked at."""
    own = sender or Sender(way)
    done = recover(way, now=clock())
    while count := send_batch(own, clock=clock):
        done += count
    if sender is None:
        own.close()
    return done


def send_batch(sender: Sender, *, clock: Clock) -> int:
    """One batch from its claim to its record; returns how many rows that were, 0 when nothing may go out now."""
    batch = claiming.claim(sender.way, most=sender.most, now=clock())
    return send(sender, batch, clock=clock) if batch else 0


def send(sender: Sender, batch: Batch, *, clock: Clock) -> int:
    """What was claimed; returns how many rows that were."""
    began = time.monotonic()
    try:
        outgoing = _prepare(sender, batch, clock=clock)
    except (DatabaseError, InterfaceError):
        # Away: the lease will end by itself.
        raise
    except Exception:
        logger.exception("a batch could not be prepared; each of it is tried alone")
        outgoing = _prepare_alone(sender, batch, clock=clock)
    if outgoing:
        _send(sender, batch, outgoing, clock=clock)
    sender.adapt(len(batch.rows), time.monotonic() - began)
    return len(batch.rows)


# Before sending


def _prepare(sender: Sender, batch: Batch, *, clock: Clock) -> list[Outgoing]:
    """What may go out, written; the rest is recorded as held, suppressed or failed."""
    now = clock()
    world = facts.load(batch.rows, sender.setup)
    goes, ended = _planned(batch.rows, world, now=now)
    rendered = rendering.render(goes, texts=world.texts, reminders=world.reminders)
    outgoing = []
    for row in goes:
        made = rendered[row.pk]
        if isinstance(made, Outgoing):
            row.address = made.to or row.address
            outgoing.append(made)
        elif isinstance(made, Outcome):
            ended.append(recording.of_outcome(row, made, gateway=batch.gateway, now=now))
        else:
            ended.append(recording.suppressed(row, reason=made))
    recording.write(ended, now=now)
    return outgoing


def _prepare_alone(sender: Sender, batch: Batch, *, clock: Clock) -> list[Outgoing]:
    """One row that cannot even be planned must not keep the others; it counts as a failed try."""
    outgoing: list[Outgoing] = []
    for row in batch.rows:
        try:
            outgoing += _prepare(sender, replace(batch, rows=[row]), clock=clock)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as error:
            logger.exception("delivery %s cannot be prepared", row.pk)
            failed = Outcome(row.pk, ErrorKind.TEMPORARY, f"not prepared: {type(error).__name__}")
            recording.write(
                [recording.of_outcome(row, failed, gateway=batch.gateway, now=clock())], now=clock()
            )
    return outgoing


def _planned(
    rows: list[Delivery], world: facts.World, *, now: datetime
) -> tuple[list[Delivery], list[Ended]]:
    goes: list[Delivery] = []
    ended: list[Ended] = []
    for row in rows:
        match facts.decide(row, world, now=now):
            case planning.Goes():
                goes.append(row)
            case planning.Held(until, reason):
                ended.append(recording.held(row, until=until, reason=reason))
            case planning.Suppressed(reason):
                ended.append(recording.suppressed(row, reason=reason))
    return goes, ended


# Sending


class _WhileOurs(Sequence[Outgoing]):
    """Ends when the batch's lease has: a sender who stood still (a sleeping machine) must not go on with what others
    have taken over."""

    def __init__(self, batch: Batch, outgoing: list[Outgoing], *, clock: Clock) -> None:
        self._batch, self._outgoing, self._clock = batch, outgoing, clock
        self.begun: set[int] = set()

    def __len__(self) -> int:
        return len(self._outgoing)

    def __getitem__(self, at: Any) -> Any:
        return self._outgoing[at]

    def __iter__(self) -> Iterator[Outgoing]:
        for one in self._outgoing:
            if not self._is_ours():
                return
            self.begun.add(one.delivery)
            yield one

    def _is_ours(self) -> bool:
        try:
            return self._clock() < self._batch.leased_until
        except (DatabaseError, InterfaceError):
            # Away, and for others as well: nobody takes anything over.
            return True


def _send(sender: Sender, batch: Batch, outgoing: list[Outgoing], *, clock: Clock) -> None:
    """Everything in `outgoing` is recorded at the end, whatever the gateway does."""
    rows = {row.pk: row for row in batch.rows}
    open_rows = {one.delivery: rows[one.delivery] for one in outgoing}
    ours = _WhileOurs(batch, outgoing, clock=clock)
    kinds: Counter[ErrorKind | None] = Counter()
    waits: list[int] = []
    waiting: list[Ended] = []
    recorded = time.monotonic()
    for outcome in _outcomes(sender, batch.gateway, ours):
        row = open_rows.pop(outcome.delivery, None)
        if row is None:
            continue
        kinds[outcome.error] += 1
        if outcome.error == ErrorKind.RATE_LIMITED and outcome.retry_after:
            waits.append(outcome.retry_after)
        waiting.append(recording.of_outcome(row, outcome, gateway=batch.gateway, now=clock()))
        if len(waiting) >= RECORDED_AT_ONCE or time.monotonic() - recorded > RECORD_SECONDS:
            _record(batch, waiting, open_rows, now=clock())
            waiting, recorded = [], time.monotonic()
    for row in open_rows.values():
        lost = Outcome(row.pk, *(_NO_OUTCOME if row.pk in ours.begun else _NOT_BEGUN))
        waiting.append(recording.of_outcome(row, lost, gateway=batch.gateway, now=clock()))
    recording.write(waiting, now=clock())
    _note_health(batch.gateway, kinds, waits, now=clock())


_NO_OUTCOME = ErrorKind.UNKNOWN, "the gateway gave no outcome"
_NOT_BEGUN = ErrorKind.TEMPORARY, "not tried: its sender stood still"


def _record(batch: Batch, ended: list[Ended], still_open: dict[int, Delivery], *, now: datetime) -> None:
    recording.write(ended, now=now)
    if still_open and timedelta() < batch.leased_until - now < claiming.LEASE - RENEW_AFTER:
        claiming.extend(batch, list(still_open.values()), now=now)


def _outcomes(sender: Sender, row: Gateway, outgoing: Sequence[Outgoing]) -> Iterator[Outcome]:
    try:
        kind = sender.gateway(row)
    except Exception as error:
        logger.error("gateway %s cannot be used: %s", row.name, type(error).__name__)
        detail = f"gateway cannot be used: {type(error).__name__}"
        yield from (Outcome(one.delivery, ErrorKind.UNREACHABLE, detail) for one in outgoing)
        return
    try:
        yield from kind.send(outgoing)
    except Exception:
        # Against its contract. What it did with the rest nobody knows.
        logger.exception("gateway %s broke off", row.name)


def _note_health(gateway: Gateway, kinds: Counter[Any], waits: list[int], *, now: datetime) -> None:
    """The breaker opens when the provider answered nothing of a whole batch, and closes when it answered anything."""
    state = claiming.breaker_of(gateway)
    if sum(kinds.values()) > kinds[ErrorKind.UNREACHABLE] + kinds[ErrorKind.UNKNOWN]:
        new = state.reached()
    elif kinds:
        new = state.failed(now=now)
    else:
        new = state
    if waits:
        new = new.asked_to_wait(max(waits), now=now)
    if new != state:
        Gateway.objects.filter(pk=gateway.pk).update(failures=new.failures, broken_until=new.until)
        if new.is_probing and not state.is_probing:
            logger.error("gateway %s does not answer and rests", gateway.name)


# After a crash


def recover(way: str, *, now: datetime) -> int:
    """Leases that ended: their sender died in the middle, and nobody knows whether it went out. Sent again or held for
    review as the gateway says."""
    done = 0
    while True:
        with transaction.atomic():
            lost = Delivery.objects.filter(way=way, state=DeliveryState.SENDING, leased_until__lt=now)
            rows = list(
                lost.select_for_update(skip_locked=True, of=("self",)).order_by("leased_until", "id")[
                    :RECOVERED_AT_ONCE
                ]
            )
            gateways = Gateway.objects.in_bulk({row.gateway_id for row in rows if row.gateway_id})
            recording.write([_in_doubt(row, gateways.get(row.gateway_id or 0), now) for row in rows], now=now)
        done += len(rows)
        if len(rows) < RECOVERED_AT_ONCE:
            return done


def _in_doubt(row: Delivery, gateway: Gateway | None, now: datetime) -> Ended:
    outcome = Outcome(row.pk, ErrorKind.UNKNOWN, "the sender died before the outcome was recorded")
    return recording.of_outcome(row, outcome, gateway=gateway, now=now)


def ways() -> list[str]:
    return list(Way.values)
