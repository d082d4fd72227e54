"""Retry, breaker and pace: pure tables and their laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.notifications import breaker, pacing, retry
from apps.notifications.choices import ErrorKind, Way

pytestmark = pytest.mark.embedded

NOW = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
ways, jitters = st.sampled_from(list(Way)), st.floats(0, 1)
kinds = st.sampled_from([kind for kind in ErrorKind if kind not in retry.FINAL])


@pytest.mark.parametrize("kind", [ErrorKind.PERMANENT, ErrorKind.BAD_ADDRESS])
@given(tries=st.integers(1, 50), way=ways, jitter=jitters)
def test_a_permanent_error_is_dead_at_once(kind, tries, way, jitter):
    assert retry.wait(kind, tries, way=way, jitter=jitter, retry_after=60) is None


@given(kind=kinds, way=ways, jitter=jitters)
def test_waiting_grows_and_ends(kind, way, jitter):
    waits = [retry.wait(kind, tries, way=way, jitter=jitter) for tries in range(1, 40)]
    alive = [wait for wait in waits if wait is not None]
    assert alive == sorted(alive)
    assert waits == alive + [None] * (len(waits) - len(alive))
    assert 3 <= len(alive) <= 12
    assert max(alive) <= retry.LONGEST * (1 + retry.SPREAD)


@given(kind=kinds, way=ways, tries=st.integers(1, 3), one=jitters, other=jitters)
def test_jitter_only_makes_it_later_and_not_by_much(kind, way, tries, one, other):
    low, high = sorted((one, other))
    earlier, later = (retry.wait(kind, tries, way=way, jitter=jitter) for jitter in (low, high))
    assert earlier <= later <= earlier * (1 + retry.SPREAD)


@given(way=ways, tries=st.integers(1, 5), jitter=jitters, asked=st.integers(0, 10**6))
def test_a_provider_that_names_a_time_is_obeyed_up_to_a_day(way, tries, jitter, asked):
    wait = retry.wait(ErrorKind.RATE_LIMITED, tries, way=way, jitter=jitter, retry_after=asked)
    assert wait >= min(timedelta(seconds=asked), retry.LONGEST)
    assert wait <= retry.LONGEST * (1 + retry.SPREAD)


@pytest.mark.parametrize(("way", "hours"), [(Way.EMAIL, 24), (Way.SMS, 24), (Way.WEBHOOK, 72)])
def test_retries_last_about_a_day_and_for_webhooks_three(way, hours):
    waits = [retry.wait(ErrorKind.TEMPORARY, tries, way=way, jitter=0) for tries in range(1, 20)]
    total = sum((wait for wait in waits if wait is not None), timedelta())
    assert timedelta(hours=hours * 0.9) <= total <= timedelta(hours=hours * 1.3)


# Breaker


@given(failures=st.integers(0, 200))
def test_rests_grow_up_to_the_longest_and_one_success_ends_them(failures):
    state, rests = breaker.Breaker(), []
    for _ in range(failures):
        state = state.failed(now=NOW)
        rests.append(state.until - NOW if state.until else timedelta())
    assert rests == sorted(rests)
    assert not rests or rests[-1] <= breaker.LONGEST_REST
    assert state.is_open(NOW) == state.is_probing == (failures >= breaker.FAILURES_BEFORE_REST)
    assert state.reached() == breaker.Breaker()


@given(seconds=st.integers(-5, 10**6))
def test_asked_to_wait_is_no_failure_and_has_an_end(seconds):
    state = breaker.Breaker().asked_to_wait(seconds, now=NOW)
    assert state.is_open(NOW)
    assert not state.is_probing
    assert not state.is_open(NOW + breaker.LONGEST_REST)


# Pace


@given(
    per_minute=st.integers(1, 100_000),
    pauses=st.lists(st.floats(0, 90), min_size=1, max_size=40),
    wishes=st.lists(st.integers(0, 5000), min_size=40, max_size=40),
)
def test_a_pace_is_never_exceeded_whatever_the_moments(per_minute, pauses, wishes):
    pace, now, went = pacing.Pace(per_minute), NOW, 0
    for pause, wish in zip(pauses, wishes, strict=False):
        now += timedelta(seconds=pause)
        count = min(pace.allowed(now), wish)
        pace, went = pace.given(count, now=now), went + count
    most = (now - NOW + pacing.SAVED) / pacing.MINUTE * per_minute
    assert went <= most + 1


@given(per_minute=st.integers(1, 100_000), count=st.integers(0, 5000))
def test_after_the_named_moment_one_more_may_go(per_minute, count):
    pace = pacing.Pace(per_minute)
    pace = pace.given(min(count, pace.allowed(NOW)), now=NOW)
    free = pace.free_at(NOW)
    assert pace.allowed(free + timedelta(microseconds=1)) >= 1
    assert free - NOW <= max(pace.interval, pacing.SAVED)


@given(per_minute=st.integers(1, 100_000))
def test_a_pace_is_reached_by_who_asks_often_enough(per_minute):
    pace, now, went = pacing.Pace(per_minute), NOW, 0
    while now < NOW + pacing.MINUTE:
        count = pace.allowed(now)
        pace, went = pace.given(count, now=now), went + count
        now = max(pace.free_at(now), now + timedelta(seconds=0.25)) + timedelta(microseconds=1)
    assert went >= per_minute * 0.95 - 1
