"""The figures come from rows; whoever adds up the event log by hand must come to the same."""

from __future__ import annotations

from collections import defaultdict

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.messaging.choices import CloseReason
from apps.messaging.services import conversations
from apps.reports import selectors
from apps.routing.models import Item, Queue
from apps.routing.services import work
from apps.users.choices import Role
from tests.factories import hand_to, make_agent, make_queue, make_user, put_in_line

pytestmark = pytest.mark.django_db


def close(item: Item, *, reason: CloseReason = CloseReason.RESOLVED) -> None:
    conversations.close(item.conversation_id, by=SYSTEM, now=timezone.now(), reason=reason)
    work.conversation_closed(item.conversation_id, now=timezone.now())


def live_a_day() -> Queue:
    """Six contacts through the real services: two handled, one of them by two agents; one with an agent; one left;
    one in wrap-up; one waits."""
    queue = make_queue(wrap_up_seconds=30, service_target_seconds=20)
    ana, ben = make_agent(queue.team), make_agent(queue.team)
    handled, passed_on, active, wraps_up = (put_in_line(queue, waited=n) for n in (5, 30, 10, 15))
    for item in (handled, active, wraps_up):
        hand_to(item, ana)
    hand_to(passed_on, ben)
    work.transfer_to_queue(passed_on.conversation_id, to=queue, by=SYSTEM, now=timezone.now())
    close(handled)
    work.end_wrap_up(handled.conversation_id, by=SYSTEM, now=timezone.now())
    hand_to(Item.objects.get(pk=passed_on.pk), ana)
    close(passed_on)
    work.end_wrap_up(passed_on.conversation_id, by=SYSTEM, now=timezone.now())
    close(wraps_up)
    close(put_in_line(queue, waited=40), reason=CloseReason.ENDED_BY_CUSTOMER)
    put_in_line(queue, waited=7)
    return queue


def log_of(type_: str) -> dict[str, list]:
    """The moments of one type, by stream."""
    moments = defaultdict(list)
    for event in Event.objects.filter(type=type_).order_by("id"):
        moments[event.stream].append(event.at)
    return moments


def test_figures_are_those_of_the_log() -> None:
    queue = live_a_day()
    # A zone in which it is noon: the test may run at midnight.
    offset = timezone.now().hour - 12
    boss = make_user(Role.SUPERVISOR, [queue.team], time_zone=f"Etc/GMT{offset:+d}" if offset else "UTC")
    figures = selectors.today(boss, now=timezone.now())
    entered, assigned = log_of("routing.item.enqueued"), log_of("messaging.conversation.assigned")
    closed = log_of("messaging.conversation.closed")
    assert figures.tally.offered == len(entered) == 6
    assert figures.tally.answered == len(assigned) == 4
    assert figures.tally.abandoned == len(closed.keys() - assigned.keys()) == 1
    assert figures.tally.waiting == len(entered.keys() - assigned.keys() - closed.keys()) == 1
    assert (figures.tally.answered_in_time, figures.line.waiting) == (3, 1)
    assert figures.tally.answered_wait_seconds == pytest.approx(5 + 30 + 10 + 15, abs=10)


def test_handle_time_is_that_of_the_log() -> None:
    live_a_day()
    begun, released = log_of("messaging.conversation.assigned"), log_of("messaging.conversation.released")
    finished = {
        stream: moments
        for stream, moments in log_of("routing.work.finished").items()
        if stream in begun  # the one who left is finished too, without an agent
    }
    seconds = sum(
        (end - begin).total_seconds()
        for stream, moments in finished.items()
        for begin, end in zip(begun[stream], [*released[stream], *moments], strict=True)
    )
    handling = selectors.today(make_user(Role.ADMIN), now=timezone.now()).handling
    assert handling.handled == len(finished) == 2
    assert handling.seconds == pytest.approx(seconds)
