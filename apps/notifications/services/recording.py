"""What became of claimed deliveries, written for many in one statement together with their attempts.

Only who holds the latest claim is heard. One thing is believed even late: that it went out, as long as nobody has
begun anew. An attempt's number is that of its claim: it only rises, also when a dead one gets its tries back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.core import events, moments
from apps.core.among import array
from apps.core.events import SYSTEM, Entry

from .. import retry
from ..choices import DeliveryState, ErrorKind, Reason, Way
from ..events import DeliveryDead
from ..gateways import Outcome
from ..models import Attempt, Delivery, Gateway
from . import answers, claiming, preferences

MOST_DETAIL = 500
_chance = random.SystemRandom()


@dataclass(slots=True)
class Ended:
    """The new state of one claimed row. Without `is_attempt` it was never tried: the try is given back."""

    row: Delivery
    state: DeliveryState
    due_at: datetime
    reason: str = ""
    error: str = ""
    detail: str = ""
    provider_id: str = ""
    sent_at: datetime | None = None
    is_attempt: bool = True

    @property
    def tries(self) -> int:
        return self.row.tries if self.is_attempt else self.row.tries - 1


def of_outcome(row: Delivery, outcome: Outcome, *, gateway: Gateway | None, now: datetime) -> Ended:
    """Sent, or tried again later, or dead, or held for review, as the retry table and the gateway's policy say."""
    # Why it had to wait stays with it: that is why it came when it came.
    if outcome.error is None:
        return Ended(
            row,
            DeliveryState.SENT,
            row.due_at,
            reason=row.reason,
            provider_id=outcome.provider_id[:200],
            sent_at=now,
        )
    kind = ErrorKind(outcome.error)
    detail = outcome.detail[:MOST_DETAIL]
    if kind == ErrorKind.UNKNOWN and claiming.holds_doubts(gateway):
        return Ended(row, DeliveryState.REVIEW, row.due_at, error=kind, detail=detail)
    wait = retry.wait(
        kind, row.tries, way=Way(row.way), jitter=_chance.random(), retry_after=outcome.retry_after
    )
    if wait is None:
        return Ended(row, DeliveryState.DEAD, row.due_at, error=kind, detail=detail)
    return Ended(row, DeliveryState.DUE, now + wait, reason=row.reason, error=kind, detail=detail)


def held(row: Delivery, *, until: datetime, reason: Reason) -> Ended:
    return Ended(row, DeliveryState.DUE, until, reason=reason, is_attempt=False)


def suppressed(row: Delivery, *, reason: Reason) -> Ended:
    return Ended(row, DeliveryState.SUPPRESSED, row.due_at, reason=reason, is_attempt=False)


def write(all_ended: Sequence[Ended], *, now: datetime) -> None:
    """All of it in one transaction; rows that somebody else has claimed since are left alone."""
    if not all_ended:
        return
    with transaction.atomic():
        changed = (
            _write_set(all_ended, now) if connection.vendor == "postgresql" else _write_each(all_ended, now)
        )
        _follow([ended for ended in all_ended if ended.row.pk in changed], now=now)


def _follow(changed: Sequence[Ended], *, now: datetime) -> None:
    for ended in changed:
        if ended.error == ErrorKind.BAD_ADDRESS and ended.row.address:
            preferences.bounced(
                way=Way(ended.row.way), address=ended.row.address, detail=ended.detail, now=now
            )
    answers.moved(((ended.row, ended.state) for ended in changed), by=SYSTEM)
    dead = [ended for ended in changed if ended.state == DeliveryState.DEAD]
    if dead:
        events.record_many(
            Entry(DeliveryDead(ended.row.pk, ended.row.way, ended.error), ended.row.stream, SYSTEM.actor_ref)
            for ended in dead
        )


# Believed: the latest claim; and late, that it went out.
_HEARD = "d.claim = {claim} AND (d.state = 'sending' OR ({state} = 'sent' AND d.state IN ('due', 'review')))"

_SET = f"""
WITH ended AS (
    SELECT * FROM unnest(
        %s::bigint[], %s::int[], %s::text[], %s::text[], %s::timestamptz[], %s::smallint[], %s::text[],
        %s::text[], %s::timestamptz[], %s::smallint[], %s::bigint[], %s::text[], %s::text[], %s::boolean[]
    ) AS e (id, claim, state, reason, due_at, tries, address, provider_id, sent_at, number, gateway_id, error,
            detail, is_attempt)
), changed AS (
    UPDATE notifications_delivery d
    SET state = e.state, reason = e.reason, due_at = e.due_at, tries = e.tries, address = e.address,
        provider_id = e.provider_id, sent_at = e.sent_at, leased_until = NULL
    FROM ended e
    WHERE d.id = e.id AND {_HEARD.format(claim="e.claim", state="e.state")}
    RETURNING d.id
), attempts AS (
    INSERT INTO notifications_attempt (delivery_id, number, gateway_id, at, error, detail)
    SELECT e.id, e.number, e.gateway_id, %s, e.error, e.detail FROM ended e WHERE e.is_attempt
    ON CONFLICT (delivery_id, number) DO UPDATE SET error = excluded.error, detail = excluded.detail
    WHERE notifications_attempt.error = 'unknown'
)
SELECT id FROM changed
"""


def _write_set(all_ended: Sequence[Ended], now: datetime) -> set[int]:
    columns = zip(
        *(
            (
                ended.row.pk,
                ended.row.claim,
                str(ended.state),
                str(ended.reason),
                ended.due_at,
                ended.tries,
                ended.row.address,
                ended.provider_id,
                ended.sent_at,
                ended.row.claim,
                ended.row.gateway_id,
                str(ended.error),
                ended.detail,
                ended.is_attempt,
            )
            for ended in all_ended
        ),
        strict=True,
    )
    with connection.cursor() as cursor:
        cursor.execute(_SET, [*map(array, columns), now])
        return {pk for (pk,) in cursor.fetchall()}


def _write_each(all_ended: Sequence[Ended], now: datetime) -> set[int]:
    """SQLite: no arrays, and the statements cost no round trip."""
    heard = _HEARD.replace("d.", "").format(claim="%s", state="%s")
    sql = (
        "UPDATE notifications_delivery SET state = %s, reason = %s, due_at = %s, tries = %s, address = %s,"
        f" provider_id = %s, sent_at = %s, leased_until = NULL WHERE id = %s AND {heard}"
    )
    changed = set()
    with connection.cursor() as cursor:
        for ended in all_ended:
            row = ended.row
            values: list[Any] = [
                str(ended.state),
                str(ended.reason),
                moments.written(ended.due_at),
                ended.tries,
                row.address,
            ]
            values += [ended.provider_id, moments.written(ended.sent_at), row.pk, row.claim, str(ended.state)]
            cursor.execute(sql, values)
            if cursor.rowcount:
                changed.add(row.pk)
    _add_attempts([ended for ended in all_ended if ended.is_attempt], now)
    return changed


def _add_attempts(tried: Sequence[Ended], now: datetime) -> None:
    ids = [ended.row.pk for ended in tried]
    doubtful = {
        (row.delivery_id, row.number): row
        for row in Attempt.objects.filter(delivery__in=ids, error=ErrorKind.UNKNOWN)
    }
    for ended in tried:
        if known := doubtful.get((ended.row.pk, ended.row.claim)):
            known.error, known.detail = str(ended.error), ended.detail
            known.save(update_fields=["error", "detail"])
    rows = [
        Attempt(
            delivery_id=ended.row.pk,
            number=ended.row.claim,
            gateway_id=ended.row.gateway_id,
            at=now,
            error=str(ended.error),
            detail=ended.detail,
        )
        for ended in tried
    ]
    Attempt.objects.bulk_create(rows, ignore_conflicts=True)
