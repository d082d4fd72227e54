"""Estimated waits: announced to who waits, learned from who was answered, with their own error."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.messaging.services import conversations
from apps.routing import lobby, selectors, waits
from apps.routing.choices import Chosen
from apps.routing.models import AgentSkill, Announcement, Item, Need, Queue, Step, WaitTable
from apps.routing.services import estimates, queueing, work
from tests.factories import hand_to, make_agent, make_calendar, make_queue, make_skill, put_in_line

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    return make_queue()


@pytest.fixture
def busy(queue):
    """Somebody is there, and has no room."""
    agent = make_agent(queue.team, capacity=4)
    hand_to(put_in_line(queue), agent)
    return agent


def answer(item, busy, *, after):
    """He is answered `after` so many seconds of waiting."""
    answered = item.at + timedelta(seconds=after)
    Item.objects.filter(pk=item.pk).update(state="done", agent=busy, answered_at=answered)


def test_who_waits_is_told_a_range_that_grows_with_the_line(queue, busy):
    first, second = put_in_line(queue), put_in_line(queue)
    told = {row.item: row for row in Announcement.objects.all()}
    assert (told[first].length, told[second].length) == (0, 1)
    assert told[first].low < told[first].high
    assert told[first].mean <= told[second].mean


def test_nobody_is_told_anything_while_somebody_is_free_or_nobody_there(queue):
    put_in_line(queue)
    make_agent(queue.team)
    put_in_line(make_queue(team=queue.team))
    assert not Announcement.objects.exists()


def test_paused_agents_answer_nobody(queue, busy):
    type(busy).objects.update(chosen=Chosen.NOT_READY)
    put_in_line(queue)
    assert not Announcement.objects.exists()


def test_whom_no_step_will_ever_accept_answers_nobody(queue, django_assert_num_queries):
    cards = make_skill("cards")
    Need.objects.create(step=Step.objects.create(queue=queue), skill=cards, level=4)
    expert, beginner = make_agent(queue.team, capacity=8), make_agent(queue.team)
    AgentSkill.objects.create(agent=expert, skill=cards, level=4)
    AgentSkill.objects.create(agent=beginner, skill=cards, level=3)
    for _ in range(2):
        hand_to(put_in_line(queue), expert)

    def told():
        with django_assert_num_queries(2):
            one = waits.estimate(queue, length=0, now=timezone.now())
        lines = selectors.with_line(Queue.objects.all(), now=timezone.now())
        (line,) = waits.with_places(lines, now=timezone.now())
        assert (line.places, line.free_places, waits.next_estimate(line)) == (2, 0, one)
        return one

    with_beginner = told()
    assert with_beginner is not None
    type(beginner).objects.filter(pk=beginner.pk).update(chosen=Chosen.SIGNED_OUT)
    assert told() == with_beginner


def test_real_waits_teach_the_table_and_its_error_once(queue, busy):
    answer(put_in_line(queue), busy, after=100)
    assert estimates.learn(now=timezone.now()) == 1
    assert estimates.learn(now=timezone.now()) == 0
    table = waits.table_for(queue)
    assert (table.cells[0].mean, table.error.count) == (100, 1)
    assert not Announcement.objects.exists()


def test_who_still_waits_teaches_nothing_yet(queue, busy):
    put_in_line(queue)
    assert estimates.learn(now=timezone.now()) == 0
    assert Announcement.objects.count() == 1


@pytest.mark.parametrize("how", ["left", "moved"])
def test_who_left_or_was_moved_teaches_nothing(queue, busy, how):
    item = put_in_line(queue)
    if how == "left":
        conversations.close(item.conversation_id, by=SYSTEM, now=timezone.now())
        work.conversation_closed(item.conversation_id, now=timezone.now())
    else:
        queueing.move(item, to=make_queue(team=queue.team), by=SYSTEM, now=timezone.now())
        answer(item, busy, after=10)
    assert estimates.learn(now=timezone.now()) == 0
    assert not Announcement.objects.exists()
    assert waits.table_for(queue).error.count == 0


def test_the_night_is_no_wait(queue, busy):
    item = put_in_line(queue)
    hour = item.at.replace(minute=0, second=0, microsecond=0)
    # Open every day for 59 minutes of the hour in which he came.
    calendar = make_calendar(every=f"{hour:%H}:00-{hour:%H}:59")
    Queue.objects.filter(pk=queue.pk).update(calendar=calendar)
    Item.objects.filter(pk=item.pk).update(at=hour, line_key=0)
    item.at = hour
    answer(item, busy, after=24 * 3600 + 60)
    estimates.learn(now=timezone.now())
    assert waits.table_for(queue).cells[0].mean == 59 * 60 + 60


def test_many_waits_of_many_queues_are_learned_at_once(queue, busy):
    other = make_queue(team=queue.team)
    for line in (queue, other, queue):
        answer(put_in_line(line), busy, after=50)
    assert estimates.learn(now=timezone.now()) == 3
    assert WaitTable.objects.count() == 2
    assert waits.table_for(queue).error.count == 2


def test_customer_sees_the_range_for_his_place_now(queue, busy):
    item = put_in_line(queue)
    told = lobby.wait_of(item.conversation_id, now=timezone.now())["estimate"]
    row = Announcement.objects.get()
    assert (told.low, told.high) == (row.low, row.high)


def test_closed_queue_promises_no_wait(queue, busy):
    item = put_in_line(queue)
    Queue.objects.filter(pk=queue.pk).update(calendar=make_calendar(every=""))
    told = lobby.wait_of(item.conversation_id, now=timezone.now())
    assert (told["estimate"], told["is_open"], told["is_staffed"]) == (None, False, False)


def test_quality_is_published_for_queues_that_learned(queue, busy):
    assert list(waits.qualities(Queue.objects.all())) == []
    answer(put_in_line(queue), busy, after=40)
    estimates.learn(now=timezone.now())
    (quality,) = waits.qualities(Queue.objects.all())
    assert (quality.queue, quality.error.count) == (queue, 1)
