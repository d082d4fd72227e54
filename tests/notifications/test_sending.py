"""The engine: claimed, planned again, sent, recorded, and what becomes of it when something breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.models import Event
from apps.notifications import breaker, gateways, wake
from apps.notifications.choices import ConsentSource, DeliveryState, ErrorKind, Reason, UnknownOutcome, Way
from apps.notifications.gateways import Outcome
from apps.notifications.models import (
    Attempt,
    Delivery,
    Gateway,
    Preference,
    Purpose,
    SendingQueue,
    SendingRule,
    Suppression,
)
from apps.notifications.services import claiming, facts, recording, rendering, sending
from tests.notifications.gate import NOW, Gate, Time, make_delivery, make_gateway, reachable

pytestmark = pytest.mark.django_db


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()
    monkeypatch.setitem(gateways.KINDS, "gate", made)
    return made


@pytest.fixture
def gateway(gate: Gate) -> Gateway:
    return make_gateway()


def run(clock: Time, way: str = Way.EMAIL) -> int:
    return sending.work_off(way, clock=clock)


def failing(kind: ErrorKind, **fields: Any):
    return lambda outgoing: Outcome(outgoing.delivery, kind, "no", **fields)


def test_what_is_due_goes_out_once_and_is_recorded(gate, gateway, clock):
    row, later = make_delivery(due_at=NOW), make_delivery(due_at=NOW + timedelta(seconds=1))
    assert run(clock) == 1
    assert run(clock) == 0
    row.refresh_from_db()
    later.refresh_from_db()
    assert (row.state, row.sent_at, row.tries, row.gateway, row.leased_until) == (
        "sent",
        NOW,
        1,
        gateway,
        None,
    )
    assert row.address == gate.seen[0].to == f"c{row.customer_id}@example.org"
    assert later.state == DeliveryState.DUE
    attempt = row.attempts.get()
    assert (attempt.number, attempt.error, attempt.gateway, attempt.at) == (1, "", gateway, NOW)


def test_urgent_goes_before_bulk_and_then_by_time(gate, gateway, clock):
    for priority, minutes in ((2, 9), (1, 1), (0, 1), (0, 5), (1, 3)):
        make_delivery(
            due_at=NOW - timedelta(minutes=minutes), priority=priority, cause=f"test:{priority}{minutes}"
        )
    run(clock)
    causes = [Delivery.objects.get(pk=outgoing.delivery).cause for outgoing in gate.seen]
    assert causes == ["test:05", "test:01", "test:13", "test:11", "test:29"]


def test_a_sender_sleeps_until_the_first_is_due_and_looks_again_after_a_minute(gate, gateway, clock):
    make_delivery(due_at=NOW + timedelta(hours=1))
    assert claiming.next_moment(Way.EMAIL, now=NOW) is None
    first = make_delivery(due_at=NOW + timedelta(seconds=3), priority=2)
    make_delivery(due_at=NOW + timedelta(seconds=5), priority=0)
    assert claiming.next_moment(Way.EMAIL, now=NOW) == first.due_at


def test_without_a_gateway_everything_waits(clock):
    make_delivery(due_at=NOW)
    assert run(clock) == 0
    assert claiming.next_moment(Way.EMAIL, now=NOW) is None


@pytest.mark.parametrize("kind", [ErrorKind.TEMPORARY, ErrorKind.RATE_LIMITED, ErrorKind.UNKNOWN])
def test_what_failed_comes_back_later_and_is_dead_in_the_end(gate, gateway, clock, kind):
    row = make_delivery(due_at=NOW)
    gate.answer = failing(kind)
    dues = []
    for _ in range(30):
        run(clock)
        row.refresh_from_db()
        if row.state == DeliveryState.DEAD:
            break
        assert row.state == DeliveryState.DUE
        assert row.due_at > clock.now
        dues.append(row.due_at)
        clock.now = row.due_at
    assert row.state == DeliveryState.DEAD
    assert len(dues) >= 3
    numbers = list(row.attempts.values_list("number", "error"))
    assert numbers == [(n, kind) for n in range(1, row.tries + 1)]
    assert Event.objects.get(type="notifications.delivery.dead").payload["delivery"] == row.pk


@pytest.mark.parametrize("kind", [ErrorKind.PERMANENT, ErrorKind.BAD_ADDRESS])
def test_a_permanent_error_ends_it_and_a_bad_address_is_remembered(gate, gateway, clock, kind):
    row = make_delivery(due_at=NOW)
    gate.answer = failing(kind)
    run(clock)
    row.refresh_from_db()
    assert (row.state, row.tries) == (DeliveryState.DEAD, 1)
    assert Suppression.objects.filter(address=row.address).exists() == (kind == ErrorKind.BAD_ADDRESS)


# Planned again


def test_who_opted_out_meanwhile_gets_nothing(gate, gateway, clock):
    purpose = Purpose.objects.create(slug="p", name="P")
    row = make_delivery(due_at=NOW, purpose=purpose)
    Preference.objects.create(
        customer=row.customer, purpose=purpose, way=Way.EMAIL, is_wanted=False, source=ConsentSource.STAFF
    )
    run(clock)
    row.refresh_from_db()
    assert (row.state, row.reason, row.tries) == (DeliveryState.SUPPRESSED, Reason.OPTED_OUT, 0)
    assert not gate.seen
    assert not Attempt.objects.exists()


def test_quiet_hours_hold_it_until_they_end(gate, gateway, clock):
    purpose = Purpose.objects.create(slug="p", name="P")
    SendingRule.objects.create(purpose=purpose, way=Way.EMAIL, quiet_from=time(21), quiet_until=time(8))
    row = make_delivery(reachable(time_zone="Asia/Tokyo"), due_at=NOW, purpose=purpose)  # 21:00 there
    run(clock)
    row.refresh_from_db()
    assert (row.state, row.reason, row.tries) == (DeliveryState.DUE, Reason.QUIET_HOURS, 0)
    assert row.due_at == datetime(2026, 3, 10, 23, 0, tzinfo=UTC)
    clock.now = row.due_at
    run(clock)
    row.refresh_from_db()
    assert (row.state, row.reason) == (DeliveryState.SENT, Reason.QUIET_HOURS)


def test_a_rule_that_changed_holds_for_a_sender_that_goes_on(gate, gateway, clock, monkeypatch):
    purpose = Purpose.objects.create(slug="p", name="P")
    sender = sending.Sender(Way.EMAIL)

    def fate() -> tuple[str, str]:
        row = make_delivery(due_at=NOW, purpose=purpose)
        sending.send_batch(sender, clock=clock)
        row.refresh_from_db()
        return row.state, row.reason

    assert fate() == (DeliveryState.SENT, "")
    SendingRule.objects.create(purpose=purpose, way=Way.EMAIL, weekdays=[5, 6])
    monkeypatch.setattr(facts, "SETUP_SECONDS", 0.0)
    assert fate() == (DeliveryState.DUE, Reason.CLOSED_DAY)


def test_a_cap_holds_within_one_batch(gate, gateway, clock):
    purpose = Purpose.objects.create(slug="p", name="P")
    SendingRule.objects.create(purpose=purpose, way=Way.EMAIL, most_per_day=2)
    customer = reachable()
    for number in range(4):
        make_delivery(customer, due_at=NOW, purpose=purpose, cause=f"test:{number}")
    run(clock)
    assert len(gate.seen) == 2
    assert Delivery.objects.filter(reason=Reason.CAPPED).count() == 2


def test_what_has_no_text_or_is_over_is_not_sent(gate, gateway, clock):
    empty = make_delivery(due_at=NOW, context={})
    over = make_delivery(due_at=NOW, expires_at=NOW)
    run(clock)
    empty.refresh_from_db()
    over.refresh_from_db()
    assert (empty.reason, over.reason) == (Reason.NO_TEXT, Reason.EXPIRED)


def test_a_row_that_breaks_the_batch_hurts_no_other(gate, gateway, clock, monkeypatch):
    good, bad = make_delivery(due_at=NOW), make_delivery(due_at=NOW)
    real = rendering.render

    def breaking(rows, **known):
        if bad.pk in [row.pk for row in rows]:
            raise ZeroDivisionError
        return real(rows, **known)

    monkeypatch.setattr(rendering, "render", breaking)
    run(clock)
    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.state, bad.state, bad.tries) == (DeliveryState.SENT, DeliveryState.DUE, 1)
    assert bad.attempts.get().detail == "not prepared: ZeroDivisionError"


# Crashes


def claimed(clock: Time) -> claiming.Batch:
    batch = claiming.claim(Way.EMAIL, most=100, now=clock())
    assert batch is not None
    return batch


@pytest.mark.parametrize(
    ("knows_keys", "policy", "state"),
    [
        (False, UnknownOutcome.RESEND, DeliveryState.DUE),
        (False, UnknownOutcome.REVIEW, DeliveryState.REVIEW),
        (True, UnknownOutcome.REVIEW, DeliveryState.DUE),
    ],
)
def test_a_lease_that_ends_leaves_the_outcome_to_the_policy(gate, gateway, clock, knows_keys, policy, state):
    gate.knows_keys = knows_keys
    Gateway.objects.update(unknown_outcome=policy)
    row = make_delivery(due_at=NOW)
    claimed(clock)
    assert sending.recover(Way.EMAIL, now=clock()) == 0
    assert claiming.next_moment(Way.EMAIL, now=clock()) == NOW + claiming.LEASE
    clock.pass_by(seconds=61)
    assert sending.recover(Way.EMAIL, now=clock()) == 1
    row.refresh_from_db()
    assert row.state == state
    assert row.attempts.get().error == ErrorKind.UNKNOWN


def test_where_doubt_is_work_for_a_person_batches_are_small(gate, gateway, clock):
    Gateway.objects.update(unknown_outcome=UnknownOutcome.REVIEW)
    customer = reachable()
    for number in range(claiming.MOST_IN_DOUBT + 5):
        make_delivery(customer, due_at=NOW, occurrence=f"{number}")
    assert len(claimed(clock).rows) == claiming.MOST_IN_DOUBT


def test_who_was_overtaken_is_not_heard(gate, gateway, clock):
    row = make_delivery(due_at=NOW)
    old = claimed(clock)
    clock.pass_by(seconds=61)
    sending.recover(Way.EMAIL, now=clock())
    clock.pass_by(seconds=10)
    new = claimed(clock)
    late = recording.of_outcome(old.rows[0], Outcome(row.pk), gateway=gateway, now=clock())
    recording.write([late], now=clock())
    row.refresh_from_db()
    assert (row.state, row.claim) == (DeliveryState.SENDING, 2)
    recording.write(
        [recording.of_outcome(new.rows[0], Outcome(row.pk), gateway=gateway, now=clock())], now=clock()
    )
    row.refresh_from_db()
    assert row.state == DeliveryState.SENT


@pytest.mark.parametrize("is_followed", [True, False])
def test_f47_who_stood_still_does_not_go_on_with_what_others_took_over(gate, gateway, clock, is_followed):
    """As a sleeping machine does, or a stopped process."""
    rows = [make_delivery(due_at=NOW) for _ in range(3)]

    def sleep_once(outgoing):
        gate.answer = lambda one: Outcome(one.delivery)
        clock.pass_by(seconds=claiming.LEASE.total_seconds() + 1)
        if is_followed:
            run(clock)
            clock.pass_by(hours=1)
            run(clock)
        return Outcome(outgoing.delivery)

    gate.answer = sleep_once
    run(clock)
    clock.pass_by(hours=1)
    run(clock)
    # The one it slept over is in doubt, and sent again as the gateway says.
    sent = Counter(outgoing.delivery for outgoing in gate.seen)
    assert [sent[row.pk] for row in rows] == [2 if is_followed else 1, 1, 1]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}


def test_a_late_success_is_believed_while_nobody_began_anew(gate, gateway, clock):
    row = make_delivery(due_at=NOW)
    slow = claimed(clock)
    clock.pass_by(seconds=61)
    sending.recover(Way.EMAIL, now=clock())
    late = recording.of_outcome(slow.rows[0], Outcome(row.pk), gateway=gateway, now=clock())
    recording.write([late], now=clock())
    row.refresh_from_db()
    assert row.state == DeliveryState.SENT
    assert list(row.attempts.values_list("number", "error")) == [(1, "")]
    clock.pass_by(hours=1)
    assert run(clock) == 0


def test_a_late_failure_is_not_heard(gate, gateway, clock):
    row = make_delivery(due_at=NOW)
    slow = claimed(clock)
    clock.pass_by(seconds=61)
    sending.recover(Way.EMAIL, now=clock())
    failure = Outcome(row.pk, ErrorKind.PERMANENT)
    recording.write([recording.of_outcome(slow.rows[0], failure, gateway=gateway, now=clock())], now=clock())
    row.refresh_from_db()
    assert row.state == DeliveryState.DUE


def test_a_gateway_that_breaks_off_or_forgets_leaves_the_rest_unknown(gate, gateway, clock):
    first, second, third = (make_delivery(due_at=NOW) for _ in range(3))

    def answer(outgoing):
        if outgoing.delivery == third.pk:
            raise RuntimeError
        return Outcome(outgoing.delivery) if outgoing.delivery == first.pk else None

    gate.answer = answer
    run(clock)
    errors = dict(Attempt.objects.values_list("delivery_id", "error"))
    assert errors == {first.pk: "", second.pk: ErrorKind.UNKNOWN, third.pk: ErrorKind.UNKNOWN}


def test_a_clock_set_back_sends_nothing_twice(gate, gateway, clock):
    make_delivery(due_at=NOW)
    run(clock)
    for hours in (-1, 1, -24):
        clock.pass_by(hours=hours)
        assert run(clock) == 0
    assert len(gate.seen) == 1


# Breaker and ranks


def test_a_gateway_that_is_not_reached_rests_and_then_is_probed(gate, gateway, clock):
    rows = [make_delivery(due_at=NOW + timedelta(seconds=n)) for n in range(6)]
    gate.answer = failing(ErrorKind.UNREACHABLE)
    for _ in range(breaker.FAILURES_BEFORE_REST):
        run(clock)
        clock.pass_by(seconds=1)
    gateway.refresh_from_db()
    assert gateway.broken_until is not None
    assert gateway.broken_until > clock.now
    clock.pass_by(seconds=2)
    seen = len(gate.seen)
    assert run(clock) == 0
    assert claiming.next_moment(Way.EMAIL, now=clock()) == gateway.broken_until
    clock.now = gateway.broken_until
    sending.send_batch(sending.Sender(Way.EMAIL), clock=clock)
    assert len(gate.seen) == seen + 1
    gate.answer = lambda outgoing: Outcome(outgoing.delivery)
    clock.pass_by(hours=1)
    run(clock)
    gateway.refresh_from_db()
    assert (gateway.failures, gateway.broken_until) == (0, None)
    assert {Delivery.objects.get(pk=row.pk).state for row in rows} == {DeliveryState.SENT}


def test_one_bad_recipient_opens_no_breaker(gate, gateway, clock):
    gate.answer = failing(ErrorKind.TEMPORARY)
    for _ in range(10):
        make_delivery(due_at=NOW)
        run(clock)
    gateway.refresh_from_db()
    assert gateway.failures == 0


def test_the_next_gateway_in_rank_takes_over_and_other_ways_do_not_notice(gate, clock, monkeypatch):
    spare = Gate()
    monkeypatch.setitem(gateways.KINDS, "spare", spare)
    first, second = make_gateway(rank=1), make_gateway(kind="spare", rank=2)
    Gateway.objects.filter(pk=first.pk).update(failures=5, broken_until=NOW + timedelta(minutes=5))
    row = make_delivery(due_at=NOW)
    run(clock)
    row.refresh_from_db()
    assert row.gateway == second
    assert [len(gate.seen), len(spare.seen)] == [0, 1]


def test_a_provider_that_names_a_time_is_left_alone_until_then(gate, gateway, clock):
    make_delivery(due_at=NOW)
    gate.answer = failing(ErrorKind.RATE_LIMITED, retry_after=30)
    run(clock)
    gateway.refresh_from_db()
    assert gateway.broken_until == NOW + timedelta(seconds=30)


def test_a_gateway_that_is_set_up_wrongly_is_not_reached(gate, gateway, clock):
    Gateway.objects.update(kind="nonsense")
    row = make_delivery(due_at=NOW)
    run(clock)
    assert row.attempts.get().error == ErrorKind.UNREACHABLE


# Pause and pace


def test_a_paused_queue_waits_and_others_go_on(gate, gateway, clock):
    SendingQueue.objects.filter(way=Way.EMAIL, priority=1).update(is_paused=True)
    waiting, going = make_delivery(due_at=NOW, priority=1), make_delivery(due_at=NOW, priority=2)
    run(clock)
    waiting.refresh_from_db()
    going.refresh_from_db()
    assert (waiting.state, going.state) == (DeliveryState.DUE, DeliveryState.SENT)
    assert claiming.next_moment(Way.EMAIL, now=clock()) is None


@pytest.mark.parametrize("limited", ["queue", "gateway", "both"])
def test_a_pace_is_kept(gate, gateway, clock, limited):
    if limited != "gateway":
        SendingQueue.objects.filter(way=Way.EMAIL).update(per_minute=120)
    if limited != "queue":
        Gateway.objects.update(per_minute=120 if limited == "gateway" else 600)
    customer = reachable()
    for number in range(30):
        make_delivery(customer, due_at=NOW, occurrence=f"{number}")
    counts = []
    for _ in range(5):
        counts.append(run(clock))
        moment = claiming.next_moment(Way.EMAIL, now=clock())
        assert moment is not None
        assert NOW < moment <= clock.now + timedelta(seconds=1)
        clock.pass_by(seconds=1)
    assert counts == [2] * 5


def test_the_senders_are_woken_by_what_is_due_soon(django_capture_on_commit_callbacks):
    rings = wake.bell.rings
    with django_capture_on_commit_callbacks(execute=True):
        wake.after_commit(due_at=NOW + timedelta(days=1), now=NOW)
    assert wake.bell.rings == rings
    with django_capture_on_commit_callbacks(execute=True):
        wake.after_commit(due_at=NOW + timedelta(seconds=5), now=NOW)
    assert wake.bell.rings == rings + 1


def test_questions_do_not_grow_with_the_batch(gate, gateway, clock):
    sender, asked = sending.Sender(Way.EMAIL), []
    for count in (2, 60):
        for _ in range(count):
            make_delivery(due_at=NOW)
        sender.most = 500
        with CaptureQueriesContext(connection) as queries:
            assert sending.send_batch(sender, clock=clock) == count
        asked.append(sum(query["sql"].startswith("SELECT") for query in queries))
    assert asked[0] == asked[1]
