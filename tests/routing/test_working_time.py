"""An agent's day: sums of intervals that add up, over midnight and change of clocks, in the viewer's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.core.events import SYSTEM
from apps.routing import selectors
from apps.routing.choices import Chosen, State
from apps.routing.models import Agent, PresenceInterval
from apps.routing.services import acceptance, agents, leaving, offers, supervision, work
from apps.routing.working_time import Interval, WorkingTime, clock_face, midnights, read_day, total
from apps.users.choices import Role
from apps.users.services import tokens
from tests.factories import hand_to, make_agent, make_queue, make_reason, make_user, put_in_line

MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def at(seconds):
    return MORNING + timedelta(seconds=seconds)


def interval(state, start, end, reason=""):
    return Interval(state, reason, at(start), None if end is None else at(end))


# Sums


def test_seconds_are_summed_by_state_and_by_reason():
    told = total(
        [
            interval(State.AVAILABLE, 0, 100),
            interval(State.ON_CONTACT, 100, 400),
            interval(State.NOT_READY, 400, 460, "Lunch"),
            interval(State.NOT_READY, 460, 470, "Break"),
            interval(State.NOT_READY, 470, 480, "Lunch"),
            interval(State.SIGNED_OUT, 480, 900),
        ],
        start=at(0),
        end=at(900),
    )
    assert told.of(State.NOT_READY) == 80
    assert told.by_reason == {"Lunch": 70, "Break": 10}
    assert told.staffed == 480
    assert told.occupancy == 0.75


def test_what_reaches_over_the_edges_is_cut_and_what_lasts_ends_with_the_day():
    spans = [interval(State.ON_CONTACT, -500, 10), interval(State.AVAILABLE, 10, None)]
    told = total(spans, start=at(0), end=at(60))
    assert told.by_state == {State.ON_CONTACT: 10, State.AVAILABLE: 50}
    assert total(spans, start=at(-900), end=at(-600)) == WorkingTime()


def test_occupancy_of_somebody_who_neither_worked_nor_waited_is_none():
    assert total([interval(State.NOT_READY, 0, 60)], start=at(0), end=at(60)).occupancy is None


@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=30), st.data())
def test_parts_add_up_to_the_whole_exactly(microseconds, data):
    """Wherever the boundaries lie within their seconds, and wherever the day begins and ends."""
    moments = [MORNING]
    for step in microseconds:
        moments.append(moments[-1] + timedelta(microseconds=step))
    spans = [
        Interval(data.draw(st.sampled_from(State.values)), "", since, until)
        for since, until in pairwise(moments)
    ]
    middle = data.draw(st.sampled_from(moments))
    whole = total(spans, start=moments[0], end=moments[-1])
    halves = (total(spans, start=moments[0], end=middle), total(spans, start=middle, end=moments[-1]))
    length = int(moments[-1].timestamp()) - int(MORNING.timestamp())
    assert sum(whole.by_state.values()) == length
    assert sum(sum(half.by_state.values()) for half in halves) == length


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)]
)
def test_days_are_as_long_as_the_clock_makes_them(day, hours):
    start, end = midnights(day, BERLIN)
    assert end - start == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-26", date(2026, 11, 26)),
        ("2026-02-30", None),
        ("20261126", None),
        ("2026-W10-1", date(2026, 3, 2)),
        ("0001-01-01", None),
        ("9999-12-31", None),
        ("", None),
        ("x" * 5000, None),
    ],
)
def test_days_are_read_or_not(text, day):
    assert read_day(text) == day


def test_seconds_are_shown_like_a_clock():
    assert clock_face(7 * 3600 + 5 * 60 + 9) == "7:05:09"


# Stored intervals


@pytest.fixture
def queue(db):
    return make_queue(wrap_up_seconds=30)


@pytest.fixture
def agent(queue):
    return make_agent(queue.team)


def keep(agent, *spans):
    PresenceInterval.objects.filter(agent=agent).delete()
    PresenceInterval.objects.bulk_create(
        PresenceInterval(agent=agent, state=state, reason=reason, started_at=since, ended_at=until)
        for state, reason, since, until in spans
    )


def shown(agent, day, zone=UTC, now=None):
    return selectors.day_of(agent.pk, day=day, zone=zone, now=now or at(86_400 * 9))


def test_night_shift_belongs_to_two_days_of_the_viewer(agent):
    """From 22:00 to 02:00 in Berlin, which is one day in UTC."""
    began = datetime(2026, 3, 2, 21, tzinfo=UTC)
    ended = began + timedelta(hours=4)
    keep(agent, interval(State.ON_CONTACT, 0, 1)._replace(started_at=began, ended_at=ended))
    assert [shown(agent, date(2026, 3, day), BERLIN).time.staffed for day in (2, 3)] == [7200, 7200]
    assert [shown(agent, date(2026, 3, day)).time.staffed for day in (2, 3)] == [10_800, 3600]


def test_today_ends_now(agent):
    keep(agent, interval(State.AVAILABLE, 0, None))
    day = shown(agent, MORNING.date(), now=at(90))
    assert (day.time.staffed, day.intervals[0].ended_at) == (90, at(90))
    assert shown(agent, MORNING.date() + timedelta(days=3), now=at(90)).time.staffed == 0


def test_years_of_intervals_cost_two_queries(agent, django_assert_num_queries):
    keep(agent, *(interval(State.AVAILABLE, n * 60, n * 60 + 60) for n in range(3000)))
    with django_assert_num_queries(2):
        day = shown(agent, date(2026, 3, 3))
    assert day.time.staffed == 86_400


def states_of(agent):
    rows = PresenceInterval.objects.filter(agent=agent).order_by("started_at", "id")
    return [
        (row.state, (row.ended_at - row.started_at).total_seconds() if row.ended_at else None) for row in rows
    ]


def test_a_day_in_the_product_is_exact_to_the_second(queue):
    """Every kind of change, by the agent, a customer, a timer and a supervisor, at known moments."""
    agent = make_agent(queue.team, chosen=Chosen.SIGNED_OUT, free_since=MORNING)
    PresenceInterval.objects.all().delete()
    user, boss, lunch = agent.user, make_user(Role.SUPERVISOR, [queue.team]), make_reason("Lunch")
    agents.choose(user, chosen=Chosen.AVAILABLE, now=at(0), by=user)
    item = put_in_line(queue)
    stay(agent)
    ring_at(item, agent, at(10))
    accept_at(agent, at(15))
    close_at(item, at(75))
    work.end_wrap_ups(now=at(90))
    assert work_states(agent)[-1] == State.WRAP_UP, "its time is not over yet"
    work.end_wrap_ups(now=at(105))
    supervision.pause(agent, reason=lunch, by=boss, now=at(120))
    agents.choose(user, chosen=Chosen.AVAILABLE, now=at(720), by=user)
    leaving.sign_out(agent.pk, reason="signed_out", by=SYSTEM, now=at(800))
    day = shown(agent, MORNING.date())
    assert day.time.by_state == {
        State.AVAILABLE: 10 + 15 + 80,
        State.OFFERED: 5,
        State.ON_CONTACT: 60,
        State.WRAP_UP: 30,
        State.NOT_READY: 600,
        State.SIGNED_OUT: 86_400 - 8 * 3600 - 800,
    }
    assert day.time.by_reason == {"Lunch": 600}
    assert day.time.staffed == 800


def test_wrap_up_ended_by_hand_frees_at_that_second(queue, agent):
    item = hand_to(put_in_line(queue), agent)
    PresenceInterval.objects.filter(agent=agent).update(started_at=at(0))
    close_at(item, at(50))
    work.end_wrap_up(item.conversation_id, by=agent.user, now=at(57), user=agent.user)
    assert states_of(agent)[-2:] == [(State.WRAP_UP, 7), (State.AVAILABLE, None)]


def stay(agent):
    type(agent).objects.filter(pk=agent.pk).update(present_until=at(86_400 * 400_0))


def ring_at(item, agent, now):
    from django.db import transaction

    with transaction.atomic():
        assert offers.make(item, agent=agents.lock(agent.pk), now=now)
    agent.offers.update(expires_at=at(86_400 * 400_0))


def accept_at(agent, now):
    acceptance.accept(agent.offers.get().pk, by=agent.user, now=now)


def close_at(item, now):
    from apps.messaging.services import conversations

    conversations.close(item.conversation_id, by=SYSTEM, now=now)
    work.conversation_closed(item.conversation_id, now=now)


def work_states(agent):
    return [state for state, _seconds in states_of(agent)]


# Doors


@pytest.fixture
def boss(queue, settings):
    settings.REQUIRE_MFA = False
    return make_user(Role.SUPERVISOR, [queue.team], time_zone="Europe/Berlin")


def as_(user):
    client = Client(headers={"Authorization": f"Bearer {tokens.issue(user).access}"})
    client.force_login(user)
    return client


def test_api_tells_a_day_in_the_askers_zone(agent, boss):
    keep(agent, Interval(State.AVAILABLE, "", datetime(2026, 3, 2, 22, 30, tzinfo=UTC), at(86_400)))
    answer = as_(boss).get(f"/api/v1/agents/{agent.user_id}/day/?date=2026-03-02").json()
    assert (answer["date"], answer["time_zone"], answer["staffed_seconds"]) == (
        "2026-03-02",
        "Europe/Berlin",
        1800,
    )
    assert answer["by_state"]["available"] == 1800
    assert [row["state"] for row in answer["intervals"]] == ["available"]


def test_api_tells_ones_own_day(agent):
    keep(agent, interval(State.NOT_READY, 0, 60, "Lunch"))
    answer = as_(agent.user).get("/api/v1/presence/day/?date=2026-03-02").json()
    assert answer["not_ready_by_reason"] == {"Lunch": 60}
    assert as_(agent.user).get("/api/v1/presence/day/").status_code == 200


def test_day_of_somebody_who_never_was_an_agent_is_empty(db):
    answer = as_(make_user()).get("/api/v1/presence/day/").json()
    assert (answer["staffed_seconds"], answer["intervals"]) == (0, [])
    assert not Agent.objects.exists()


@pytest.mark.parametrize("query", ["date=2026-02-30", "date=", "date=x", "day=2026-03-02"])
def test_api_refuses_days_that_are_none(agent, query):
    answer = as_(agent.user).get(f"/api/v1/presence/day/?{query}")
    assert answer.status_code == 400


def test_page_shows_sums_and_intervals_in_the_viewers_zone(agent, boss):
    keep(
        agent,
        interval(State.AVAILABLE, 0, 60),
        interval(State.NOT_READY, 60, 3660, "Lunch"),
        interval(State.SIGNED_OUT, 3660, None),
    )
    text = as_(boss).get(f"/admin/routing/agent/{agent.pk}/day/?date=2026-03-02").content.decode()
    for words in ("Staffed 1:01:00", "– Lunch", "1:00:00", "98%", "09:00:00", "Not ready: Lunch"):
        assert words in text, words
    assert f"/admin/routing/agent/{agent.pk}/day/" in (
        as_(boss).get(f"/admin/routing/agent/{agent.pk}/change/").content.decode()
    )


def test_rows_of_the_page_add_up_to_its_sums(agent, boss):
    ends = [0, 9.9, 20.3, 29.9, 40.3, 60.2]
    states = [State.AVAILABLE, State.ON_CONTACT] * 3
    keep(agent, *(interval(s, *span) for s, span in zip(states, pairwise(ends), strict=False)))
    shown = as_(boss).get(f"/admin/routing/agent/{agent.pk}/day/?date=2026-03-02").context
    seconds = [
        sum(60**n * int(part) for n, part in enumerate(reversed(row[3].split(":"))))
        for row in shown["intervals"]
    ]
    assert (sum(seconds), shown["staffed"]) == (60, "0:01:00")


def test_page_of_a_day_that_cannot_be_read_is_today(agent, boss):
    answer = as_(boss).get(f"/admin/routing/agent/{agent.pk}/day/?date=yesterday")
    assert answer.status_code == 200
    foreign = make_agent(make_queue().team)
    assert as_(boss).get(f"/admin/routing/agent/{foreign.pk}/day/").status_code == 404
