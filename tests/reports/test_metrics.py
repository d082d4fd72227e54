from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.reports import metrics
from apps.reports.metrics import Handling, Line, Tally, Variant

from .planted import NOW

pytestmark = pytest.mark.embedded

# The example of the field: 1000 answered (860 within the target), 60 abandoned (20 within it, 10 within 5 s).
EXAMPLE = Tally(
    offered=1060, answered=1000, answered_in_time=860, abandoned=60, abandoned_in_time=20, abandoned_short=10
)


@pytest.mark.parametrize(
    ("variant", "percent"),
    [
        (Variant.QUICK_ABANDONS_SERVED, 83.0),
        (Variant.ANSWERED_ONLY, 86.0),
        (Variant.EVERY_ABANDON_A_MISS, 81.1),
        (Variant.QUICK_ABANDONS_LEFT_OUT, 82.7),
        (Variant.SHORT_ABANDONS_SERVED, 82.1),
    ],
)
def test_service_level_of_each_variant(variant: Variant, percent: float) -> None:
    assert round(metrics.service_level(EXAMPLE, variant=variant), 1) == percent


def test_service_level_is_the_strict_one_unless_named() -> None:
    assert metrics.service_level(EXAMPLE) == metrics.service_level(
        EXAMPLE, variant=Variant.EVERY_ABANDON_A_MISS
    )


def test_who_still_waits_in_time_is_not_counted_and_who_waits_too_long_is_a_miss() -> None:
    assert metrics.service_level(Tally(offered=3, answered=1, answered_in_time=1, waiting=2)) == 100
    assert metrics.service_level(Tally(offered=3, answered=1, answered_in_time=1, waiting=2, overdue=1)) == 50


def test_there_is_no_figure_of_nothing() -> None:
    assert metrics.abandonment(Tally()) is None
    assert metrics.speed_of_answer(Tally()) is None
    assert {metrics.service_level(Tally(), variant=variant) for variant in Variant} == {None}


def test_nothing_handled_has_no_handle_time() -> None:
    assert metrics.handle_time(Handling()) is None
    assert metrics.handle_time(Handling(handled=2, seconds=460)) == 230


def test_longest_wait_of_several_lines_is_that_of_the_earliest() -> None:
    lines = Line(2, 1, NOW - timedelta(seconds=40)) + Line(1, 0, NOW - timedelta(seconds=90)) + Line()
    assert (lines.waiting, lines.left_messages, metrics.longest_wait(lines, now=NOW)) == (3, 1, 90)
    assert metrics.longest_wait(Line(), now=NOW) is None


def test_agents_are_counted_by_state() -> None:
    assert metrics.agents_by_state(["available", "on_contact", "available"]) == {
        "available": 2,
        "on_contact": 1,
    }


def test_every_measure_says_what_it_is() -> None:
    assert {"waiting_now", "longest_wait", "offered", "answered", "abandoned"} <= set(metrics.CATALOGUE)
    for key, measure in metrics.CATALOGUE.items():
        assert measure.key == key
        assert all(map(str, (measure.name, measure.unit, measure.formula, measure.source)))


@st.composite
def tallies(draw) -> Tally:
    count = st.integers(0, 500)
    answered, abandoned, unanswered, waiting = draw(count), draw(count), draw(count), draw(count)
    in_time = draw(st.integers(0, abandoned))
    return Tally(
        offered=answered + abandoned + unanswered + waiting,
        answered=answered,
        answered_in_time=draw(st.integers(0, answered)),
        abandoned=abandoned,
        abandoned_in_time=in_time,
        abandoned_short=draw(st.integers(0, in_time)),
        closed_unanswered=unanswered,
        waiting=waiting,
        overdue=draw(st.integers(0, waiting)),
    )


@given(tallies(), st.sampled_from(Variant))
def test_service_level_is_a_share(tally: Tally, variant: Variant) -> None:
    level = metrics.service_level(tally, variant=variant)
    assert level is None or 0 <= level <= 100


@given(tallies())
def test_the_strict_variant_never_flatters(tally: Tally) -> None:
    strict = metrics.service_level(tally)
    others = [metrics.service_level(tally, variant=v) for v in Variant if v != Variant.ANSWERED_ONLY]
    assert all(strict <= other for other in others if other is not None and strict is not None)


@given(tallies(), tallies())
def test_tallies_add_up(one: Tally, other: Tally) -> None:
    both = one + other
    assert both.offered == both.answered + both.abandoned + both.closed_unanswered + both.waiting
    assert one + Tally() == one
