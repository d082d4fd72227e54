from __future__ import annotations

import json
import random
from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.routing.estimate import (
    DAY,
    ERROR_MEMORY,
    LENGTHS,
    MEMORY,
    ROUND,
    Estimate,
    Table,
    rising,
    rounded,
    spoken,
)

pytestmark = pytest.mark.embedded

NOW = 1_800_000_000
moderate = settings(max_examples=40, deadline=None)
waits = st.floats(0, 20_000)
observations = st.lists(st.tuples(st.integers(0, 1200), waits), max_size=60)


def learned(*observed, **settings):
    table = Table(**settings)
    for number, (length, waited) in enumerate(observed):
        table.observe(length, waited, NOW + number)
    return table


def announce_and_learn(table, queue_waits, length=2, agents=4):
    for number, waited in enumerate(queue_waits):
        table.observe(length, waited, NOW + 60 * number, announced=table.estimate(length, agents))


@pytest.mark.parametrize(("length", "agents"), [(0, 1), (3, 1), (7, 5), (19, 12), (200, 3), (1000, 40)])
def test_new_table_says_what_the_formula_says(length, agents):
    expected = sum(1 / (agents / 180 + i / 600) for i in range(length + 1))
    assert Table().estimate(length, agents).mean == pytest.approx(expected)


def test_more_agents_and_quicker_ones_are_a_shorter_wait():
    assert Table().estimate(5, 4).mean < Table().estimate(5, 2).mean
    assert Table(handle_seconds=60).estimate(5, 4).mean < Table(handle_seconds=300).estimate(5, 4).mean


def test_nobody_to_answer_is_no_estimate():
    assert Table().estimate(3, 0) is None


def test_mean_becomes_what_was_experienced():
    table = learned(*[(3, 400)] * 200)
    assert table.estimate(3, 10).mean == pytest.approx(400, rel=0.1)


def test_mean_follows_a_change_within_its_memory():
    table = learned(*[(3, 400)] * 200, *[(3, 100)] * (2 * MEMORY))
    assert table.estimate(3, 10).mean == pytest.approx(100, rel=0.4)


def test_lengths_never_seen_lie_on_the_curve_of_those_seen():
    """Everything takes five times as long as the formula says, but only short lines were seen."""
    fresh, slow = Table(), Table()
    for length in [0, 1, 2] * 100:
        slow.observe(length, 5 * fresh.estimate(length, 4).mean, NOW)
    for length in (3, 10, 100):
        assert slow.estimate(length, 4).mean == pytest.approx(5 * fresh.estimate(length, 4).mean, rel=0.05)


def test_what_was_learned_long_ago_gives_way_sooner():
    old, recent = learned(*[(1, 500)] * MEMORY), learned(*[(1, 500)] * MEMORY)
    old.observe(1, 50, NOW + 60 * DAY)
    recent.observe(1, 50, NOW + MEMORY)
    assert old.estimate(1, 4).mean < 400 < recent.estimate(1, 4).mean


def test_clock_that_goes_back_forgets_nothing():
    table = learned(*[(1, 500)] * MEMORY)
    table.observe(1, 500, NOW - DAY)
    assert table.cells[1].weight == MEMORY
    assert table.cells[1].observed_at == NOW + MEMORY - 1


def test_mean_and_spread_are_those_of_the_waits_while_all_are_remembered():
    observed = [30, 90, 10, 250, 60]
    cell = learned(*[(1, waited) for waited in observed]).cells[1]
    mean = sum(observed) / 5
    assert cell.mean == pytest.approx(mean, rel=1e-4)
    assert cell.variance == pytest.approx(sum((w - mean) ** 2 for w in observed) / 5, rel=1e-4)


@moderate
@given(observations, st.integers(1, 50))
def test_a_longer_line_is_never_announced_a_shorter_wait(observed, agents):
    table = learned(*observed)
    estimates = [table.estimate(length, agents) for length in sorted({*LENGTHS, *range(0, 1200, 37)})]
    for shorter, longer in pairwise(estimates):
        assert shorter.mean <= longer.mean
        assert shorter.low <= longer.low
        assert shorter.high <= longer.high


@moderate
@given(observations, st.integers(0, 5000), st.integers(1, 50))
def test_range_is_of_round_numbers_around_the_mean(observed, length, agents):
    estimate = learned(*observed).estimate(length, agents)
    assert {estimate.low, estimate.high} <= set(ROUND)
    assert estimate.low < estimate.high
    assert estimate.low <= estimate.mean * (1 + 1e-9)
    assert estimate.mean <= estimate.high * (1 + 1e-9) or estimate.high == ROUND[-1]


@moderate
@given(observations)
def test_stored_as_json_and_read_back_it_is_the_same_table(observed):
    table = learned(*observed, handle_seconds=240)
    announce_and_learn(table, [waited for _, waited in observed])
    again = Table.from_json(json.loads(json.dumps(table.as_json())))
    assert again == table
    assert again.estimate(5, 3) == table.estimate(5, 3)


def test_table_stays_small():
    table = learned(*[(length, 60.0) for length in range(3000)])
    assert set(table.cells) == set(LENGTHS)


@pytest.mark.parametrize("tail", [0.3, 0.7, 1.2])
def test_four_of_five_waits_end_inside_the_range(tail):
    """Lognormal waits, whatever their spread. The error is that of the last ones: the first are learning."""
    chance, table = random.Random(7), Table()
    announce_and_learn(table, [chance.lognormvariate(5.5, tail) for _ in range(3 * ERROR_MEMORY)])
    assert table.error.coverage == pytest.approx(0.8, abs=0.04)


def test_coverage_recovers_when_everything_takes_four_times_as_long():
    chance, table = random.Random(7), Table()
    announce_and_learn(table, [chance.lognormvariate(4, 0.7) for _ in range(1000)])
    announce_and_learn(table, [chance.lognormvariate(5.4, 0.7) for _ in range(1000)])
    assert table.error.coverage == pytest.approx(0.8, abs=0.04)


def test_waits_of_seconds_stay_under_half_a_minute():
    """The lower edge is at nothing and cannot be missed: it must not creep above the waits to be missed."""
    table, told = Table(), []
    for second in range(2000):
        told.append(table.estimate(0, 12))
        table.observe(0, second % 15, NOW + second, announced=told[-1])
    assert {(estimate.low, estimate.high) for estimate in told[100:]} == {(0, 30)}


def test_error_is_that_of_what_was_announced():
    table, announced = Table(), [Estimate(60, 120, 90.0), Estimate(60, 180, 100.0), Estimate(0, 30, 20.0)]
    for estimate, waited in zip(announced, [120, 200, 31], strict=True):
        table.observe(1, waited, NOW, announced=estimate)
    assert table.error.count == 3
    assert table.error.coverage == pytest.approx(1 / 3)
    assert table.error.bias_seconds == pytest.approx((-30 - 100 - 11) / 3)
    assert table.error.rmse_seconds == pytest.approx(sqrt((30**2 + 100**2 + 11**2) / 3))


def test_error_forgets_what_is_long_past():
    table = Table()
    for _ in range(20):
        table.observe(1, 1000, NOW, announced=Estimate(0, 30, 20.0))
    for _ in range(5 * ERROR_MEMORY):
        table.observe(1, 20, NOW, announced=Estimate(0, 30, 20.0))
    assert table.error.coverage > 0.99
    assert table.error.rmse_seconds < 60


def test_wait_that_was_never_announced_is_learned_but_not_judged():
    table = learned((1, 50))
    assert table.cells[1].mean == 50
    assert table.error.count == 0
    assert (table.below, table.above) == (Table().below, Table().above)


@pytest.mark.parametrize("waited", [-1, float("nan"), float("inf")])
def test_wait_that_is_no_wait_is_refused(waited):
    with pytest.raises(ValueError, match="number of seconds"):
        Table().observe(1, waited, NOW)


def test_line_shorter_than_nobody_is_refused():
    with pytest.raises(ValueError, match="nobody"):
        Table().observe(-1, 10, NOW)
    with pytest.raises(ValueError, match="nobody"):
        Table().estimate(-1, 2)


@pytest.mark.parametrize("name", ["handle_seconds", "patience_seconds"])
def test_contacts_and_patience_take_time(name):
    with pytest.raises(ValueError, match="take time"):
        Table(**{name: 0})


values = st.lists(st.tuples(st.floats(-100, 100), st.integers(1, 9)), min_size=1, max_size=20)


@given(values)
def test_rising_never_falls_and_moves_no_weight(pairs):
    numbers, weights = zip(*pairs, strict=True)
    result = rising(numbers, weights)
    assert all(earlier <= later for earlier, later in pairwise(result))
    total = sum(number * weight for number, weight in pairs)
    moved = sum(number * weight for number, weight in zip(result, weights, strict=True))
    assert moved == pytest.approx(total, abs=1e-2)


@given(st.lists(st.floats(-100, 100), max_size=20).map(sorted))
def test_rising_leaves_what_rises_alone(numbers):
    assert rising(numbers, [1.0] * len(numbers)) == numbers


def test_rising_lets_weight_decide_and_nothing_give_way():
    assert rising([1, 9, 5], [1, 3, 1]) == pytest.approx([1, 8, 8], rel=1e-5)
    assert rising([600, 200, 700], [40, 0, 0]) == pytest.approx([600, 600, 700], rel=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "announced"),
    [
        (-50, 12, (0, 30)),
        (0, 0, (0, 30)),
        (60, 60, (60, 120)),
        (125, 230, (120, 240)),
        (3599, 3601, (2700, 5400)),
        (9e9, 9e9, (14 * DAY, 28 * DAY)),
    ],
)
def test_rounded_outwards(low, high, announced):
    assert rounded(low, high) == announced


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (30, (30, "seconds")),
        (60, (1, "minutes")),
        (5400, (90, "minutes")),
        (7200, (2, "hours")),
        (DAY, (24, "hours")),
        (14 * DAY, (14, "days")),
    ],
)
def test_spoken_in_the_unit_people_use(seconds, words):
    assert spoken(seconds) == words


def test_every_round_number_can_be_said_with_a_small_one():
    assert all(spoken(seconds)[0] <= 90 for seconds in ROUND)
