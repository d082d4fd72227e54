from __future__ import annotations

import pytest

from apps.messaging.events import ConversationAssigned
from apps.reports import metrics, selectors
from apps.reports.metrics import Handling, Line, Tally
from apps.routing.choices import Chosen, ItemState, State
from apps.routing.events import ItemBack, WorkFinished
from apps.routing.models import AgentSkill, Item, Need, Skill, Step
from apps.users.choices import Role
from tests.factories import make_user

from .planted import NOW, contact, handled, local, log, make_agent, make_place, passed_on, plant_day

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_place("support")


@pytest.fixture
def boss(place):
    return make_user(Role.SUPERVISOR, [place.team], time_zone="Europe/Berlin")


def test_figures_of_a_planted_day(place, boss) -> None:
    plant_day(place)
    figures = selectors.today(boss, now=NOW)
    assert figures.tally == Tally(
        offered=9,
        answered=3,
        answered_in_time=2,
        abandoned=3,
        abandoned_in_time=2,
        abandoned_short=1,
        closed_unanswered=1,
        waiting=2,
        overdue=1,
        answered_wait_seconds=80,
    )
    assert figures.line == Line(waiting=2, left_messages=1, since=local(16, 25))
    assert metrics.longest_wait(figures.line, now=NOW) == 300
    assert metrics.service_level(figures.tally) == 25
    assert metrics.speed_of_answer(figures.tally) == pytest.approx(80 / 3)


def test_hours_are_those_of_arrival_in_the_viewers_zone(place, boss) -> None:
    plant_day(place)
    hours = selectors.today(boss, now=NOW).hours
    assert {hour: tally.offered for hour, tally in enumerate(hours) if tally.offered} == {
        9: 3,
        10: 3,
        11: 1,
        16: 2,
    }
    assert (hours[9].answered, hours[10].abandoned) == (3, 3)
    assert sum(hours, Tally()) == selectors.today(boss, now=NOW).tally


def test_today_is_the_viewers_day(place, boss) -> None:
    contact(place, at=local(0, 30), answered=5)
    elsewhere = make_user(Role.SUPERVISOR, [place.team], time_zone="UTC")
    assert selectors.today(boss, now=NOW).tally.offered == 1
    assert selectors.today(elsewhere, now=NOW).tally.offered == 0


def test_each_queue_has_its_own_row_and_target(place, boss) -> None:
    other = make_place("sales", team=place.team, target=60)
    plant_day(place)
    contact(other, at=local(9), answered=50)
    rows = {row.queue.name: row for row in selectors.today(boss, now=NOW).queues}
    assert (rows["support"].tally.offered, rows["support"].line.waiting) == (9, 2)
    assert (rows["sales"].tally.answered_in_time, rows["sales"].line) == (1, Line())


def test_a_queue_that_is_off_shows_only_while_it_has_something(place, boss) -> None:
    off = make_place("old", team=place.team)
    type(off.queue).objects.filter(pk=off.queue.pk).update(is_active=False)
    assert [row.queue.name for row in selectors.today(boss, now=NOW).queues] == ["support"]
    contact(off, at=local(-3))
    assert [row.queue.name for row in selectors.today(boss, now=NOW).queues] == ["old", "support"]


def test_other_teams_stay_out_of_every_figure(place, boss) -> None:
    foreign = make_place("foreign")
    plant_day(foreign)
    make_agent(foreign)
    handled(contact(foreign, at=local(9), answered=1), begun=local(9), seconds=30)
    figures = selectors.today(boss, now=NOW)
    assert (figures.tally, figures.line, figures.states, figures.handling) == (
        Tally(),
        Line(),
        [],
        Handling(),
    )
    assert [row.queue.name for row in figures.queues] == ["support"]


def test_administrators_see_all_teams_and_agents_only_their_own(place) -> None:
    plant_day(place)
    plant_day(make_place("foreign"))
    assert selectors.today(make_user(Role.ADMIN, time_zone="Europe/Berlin"), now=NOW).tally.offered == 18
    assert selectors.today(make_user(None), now=NOW).tally == Tally()


def test_handle_time_counts_agents_hands_only(place, boss) -> None:
    handled(contact(place, at=local(9), answered=5), begun=local(9), seconds=300)
    passed_on(contact(place, at=local(10), answered=5), begun=local(10), first=60, between=40, second=100)
    unanswered = contact(place, at=local(11), left=30)
    log(unanswered, WorkFinished, at=local(11, 1), item=unanswered.pk, agent=None)
    open_still = contact(place, at=local(12), answered=5, state=ItemState.ACTIVE)
    log(open_still, ConversationAssigned, at=local(12), agent=1)
    handling = selectors.today(boss, now=NOW).handling
    assert handling == Handling(handled=2, seconds=460)
    assert metrics.handle_time(handling) == 230


def test_handle_time_of_yesterdays_contact_belongs_to_the_day_it_was_finished(place, boss) -> None:
    handled(contact(place, at=local(-1), answered=5), begun=local(-1, 59), seconds=120)
    handled(contact(place, at=local(-9), answered=5), begun=local(-9), seconds=120)
    assert selectors.today(boss, now=NOW).handling == Handling(handled=1, seconds=120)


def test_wait_after_a_transfer_begins_when_the_contact_came_back(place, boss) -> None:
    item = contact(place, at=local(15), answered=10, state=ItemState.WAITING)
    log(item, ItemBack, at=local(15, 30), item=item.pk, agent=1, reason="transfer")
    log(item, ItemBack, at=local(16, 28), item=item.pk, agent=2, reason="transfer")
    figures = selectors.today(boss, now=NOW)
    assert metrics.longest_wait(figures.line, now=NOW) == 120
    # It was answered once: its case is decided.
    assert (figures.tally.answered, figures.tally.waiting) == (1, 0)


def test_agents_are_shown_as_they_are_now(place, boss) -> None:
    make_agent(place)
    make_agent(place, Chosen.NOT_READY)
    make_agent(place, is_connected=False)
    make_agent(place, Chosen.SIGNED_OUT)
    busy = make_agent(place, Chosen.NOT_READY)
    item = contact(place, at=local(9), answered=5, state=ItemState.ACTIVE)
    Item.objects.filter(pk=item.pk).update(agent=busy)
    figures = selectors.today(boss, now=NOW)
    assert sorted(figures.states) == [State.AVAILABLE, State.DISCONNECTED, State.NOT_READY, State.ON_CONTACT]
    assert figures.signed_out == 1
    assert figures.queues[0].agents == dict.fromkeys(figures.states, 1)


def test_a_queues_agents_are_those_of_any_of_its_steps(place, boss) -> None:
    german = Skill.objects.create(name="de")
    for after, level in ((0, 4), (30, 2)):
        step = Step.objects.create(queue=place.queue, after=after)
        Need.objects.create(step=step, skill=german, level=level)
    expert, beginner, _ = (make_agent(place) for _ in range(3))
    AgentSkill.objects.create(agent=expert, skill=german, level=5)
    AgentSkill.objects.create(agent=beginner, skill=german, level=2)
    figures = selectors.today(boss, now=NOW)
    assert (len(figures.states), figures.queues[0].agents) == (3, {State.AVAILABLE: 2})


def test_queries_do_not_grow_with_the_rows(place, boss, django_assert_num_queries) -> None:
    busy_place(place)
    with django_assert_num_queries(12):
        selectors.today(type(boss).objects.get(pk=boss.pk), now=NOW)
    for name in ("b", "c", "d"):
        busy_place(make_place(name, team=place.team))
    with django_assert_num_queries(12):
        selectors.today(type(boss).objects.get(pk=boss.pk), now=NOW)


def busy_place(place) -> None:
    plant_day(place)
    skill = Skill.objects.create(name=place.queue.slug)
    Need.objects.create(step=Step.objects.create(queue=place.queue), skill=skill)
    for _ in range(2):
        AgentSkill.objects.create(agent=make_agent(place), skill=skill)
