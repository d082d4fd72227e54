"""Queues are open by their calendars: whom the router leaves alone, and where contacts go meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django.utils.translation import override

from apps.core.events import SYSTEM
from apps.routing import errors, openings
from apps.routing.choices import ItemState, Otherwise
from apps.routing.models import CalendarDay, Item, Offer
from apps.routing.policy_drafts import PolicyDraft, hints
from apps.routing.services import audit, callbacks, overflow, policies, queueing, router
from tests.factories import (
    make_agent,
    make_calendar,
    make_conversation,
    make_inbox,
    make_queue,
    make_team,
    put_in_line,
)

pytestmark = pytest.mark.django_db

ALWAYS = "00:00-24:00"
MONDAY_NOON = datetime(2026, 6, 1, 10, tzinfo=UTC)  # in Berlin


def office(**fields):
    weekdays = dict.fromkeys(
        ["monday", "tuesday", "wednesday", "thursday", "friday"], "08:00-12:30, 13:30-18:00"
    )
    return make_calendar(zone="Europe/Berlin", **weekdays | fields)


def closed():
    return make_calendar(every="")


def staffed(**fields):
    """Somebody is there, and busy."""
    queue = make_queue(**fields)
    make_agent(queue.team, capacity=0)
    return queue


def save(queue, **settings):
    return policies.save(queue, draft=PolicyDraft(settings=settings), by=SYSTEM)


# Rows as hours


def test_calendar_row_is_hours_with_holidays_and_special_days():
    calendar = office(country="DE", subdivision="BY")
    CalendarDay.objects.create(
        calendar=calendar, date="2026-12-24", name="Christmas Eve", ranges="08:00-12:00"
    )
    calendar = type(calendar).objects.get(pk=calendar.pk)
    with override("en"):
        queue = make_queue(calendar=calendar)
        eve = openings.standing(queue, now=datetime(2026, 12, 24, 13, tzinfo=UTC))
        day = openings.standing(queue, now=datetime(2026, 12, 25, 10, tzinfo=UTC))
    assert (eve.is_open, eve.because) == (False, "Christmas Eve")
    assert (day.is_open, day.because) == (False, "Christmas Day")
    assert day.opens_at == datetime(2026, 12, 28, 7, tzinfo=UTC)


def test_holidays_are_named_in_the_language_of_the_reader():
    queue = make_queue(calendar=office(country="DE"))
    with override("de"):
        standing = openings.standing(queue, now=datetime(2026, 12, 25, 10, tzinfo=UTC))
    assert standing.because == "Erster Weihnachtstag"


def test_the_openings_of_the_next_days_are_told():
    standing = openings.standing(make_queue(calendar=office()), now=MONDAY_NOON)
    assert standing.closes_at == datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
    first, second, *_rest = standing.openings
    assert first == (MONDAY_NOON, standing.closes_at)
    assert second == (datetime(2026, 6, 1, 11, 30, tzinfo=UTC), datetime(2026, 6, 1, 16, tzinfo=UTC))
    assert standing.openings[-1][1] <= MONDAY_NOON + openings.TOLD


def test_queue_without_a_calendar_is_always_open(django_assert_num_queries):
    queue = staffed()
    standing = openings.standing(queue, now=timezone.now())
    assert (standing.is_open, standing.takes, standing.openings) == (True, True, ())
    with django_assert_num_queries(1):
        assert openings.closed_queues(now=timezone.now()) == set()


def test_closed_queues_cost_the_same_however_many(django_assert_num_queries):
    shut = {make_queue(calendar=closed()).pk for _ in range(3)}
    make_queue(calendar=make_calendar(every=ALWAYS))
    with django_assert_num_queries(3):
        assert openings.closed_queues(now=timezone.now()) == shut


# The router


def test_nobody_is_rung_while_it_is_closed_and_the_first_in_line_as_soon_as_it_opens():
    queue = make_queue(calendar=closed())
    make_agent(queue.team, capacity=4)
    first, second = put_in_line(queue, waited=90), put_in_line(queue, waited=30)
    assert router.run(now=timezone.now()) == 0
    assert audit.violations(now=timezone.now()) == []
    type(queue.calendar).objects.update(**dict.fromkeys(openings.WEEKDAYS, ALWAYS))
    assert router.run(now=timezone.now()) == 1
    assert Offer.objects.get().item == first
    second.refresh_from_db()
    assert second.state == ItemState.WAITING


def test_another_queue_is_served_while_one_is_closed():
    team = make_team()
    shut, other = make_queue(team=team, calendar=closed()), make_queue(team=team)
    make_agent(team, capacity=4)
    put_in_line(shut, waited=900)
    item = put_in_line(other)
    router.run(now=timezone.now())
    assert Offer.objects.get().item == item


# Full and overflow


def test_limit_of_the_line_makes_it_full():
    queue = make_queue(most_waiting=2)
    put_in_line(queue)
    assert not openings.standing(queue, now=timezone.now()).is_full
    put_in_line(queue)
    assert openings.standing(queue, now=timezone.now()).is_full


def test_a_wait_beyond_the_limit_makes_it_full_but_a_left_message_does_not():
    queue = make_queue(longest_wait_seconds=60)
    conversation = make_conversation(make_inbox(queue=queue), waited=600, is_left_message=True)
    queueing.enqueue(conversation.pk, now=timezone.now())
    assert not openings.standing(queue, now=timezone.now()).is_full
    put_in_line(queue, waited=61)
    assert openings.standing(queue, now=timezone.now()).is_full


def overflowing(**fields):
    """A queue, and the one that takes what it cannot."""
    other = staffed()
    return make_queue(overflow_to=other, **fields), other


def test_closed_queue_sends_new_contacts_on():
    queue, other = overflowing(calendar=closed(), when_closed=Otherwise.OVERFLOW)
    item = put_in_line(queue)
    assert item.queue == other
    item.conversation.refresh_from_db()
    assert item.conversation.team == other.team


def test_full_queue_sends_new_contacts_on_until_the_other_is_full_too():
    queue, other = overflowing(most_waiting=1, when_full=Otherwise.OVERFLOW)
    type(other).objects.filter(pk=other.pk).update(most_waiting=1)
    assert [put_in_line(queue).queue for _ in range(3)] == [queue, other, queue]


def test_overflow_goes_on_through_queues_that_overflow_themselves():
    last = staffed()
    middle = make_queue(calendar=closed(), when_closed=Otherwise.OVERFLOW, overflow_to=last)
    first = make_queue(calendar=closed(), when_closed=Otherwise.OVERFLOW, overflow_to=middle)
    assert put_in_line(first).queue == last


def test_who_cannot_be_taken_anywhere_waits_where_he_came():
    shut = make_queue(calendar=closed())
    queue = make_queue(calendar=closed(), when_closed=Otherwise.OVERFLOW, overflow_to=shut)
    assert put_in_line(queue).queue == queue
    assert overflow.sweep(now=timezone.now()) == 0


def test_who_waits_too_long_is_moved_with_his_place_in_line():
    queue, other = overflowing(longest_wait_seconds=60, when_full=Otherwise.OVERFLOW)
    type(queue).objects.filter(pk=queue.pk).update(longest_wait_seconds=None)  # full only later
    late, early = put_in_line(queue, waited=61), put_in_line(queue, waited=5)
    type(queue).objects.filter(pk=queue.pk).update(longest_wait_seconds=60)
    assert overflow.sweep(now=timezone.now()) == 1
    late.refresh_from_db()
    early.refresh_from_db()
    assert (late.queue, early.queue) == (other, queue)
    assert late.at == late.conversation.opened_at
    assert overflow.sweep(now=timezone.now()) == 0


def test_what_waits_is_moved_when_the_queue_closes():
    queue, other = overflowing(when_closed=Otherwise.OVERFLOW)
    item = put_in_line(queue)
    type(queue).objects.filter(pk=queue.pk).update(calendar=closed())
    assert overflow.sweep(now=timezone.now()) == 1
    assert Item.objects.get(pk=item.pk).queue == other


def test_sweep_fills_the_other_queue_no_further_than_its_limit():
    queue, other = overflowing(when_closed=Otherwise.OVERFLOW)
    items = [put_in_line(queue, waited=waited) for waited in (30, 20, 10)]
    type(queue).objects.filter(pk=queue.pk).update(calendar=closed())
    type(other).objects.filter(pk=other.pk).update(most_waiting=2)
    assert overflow.sweep(now=timezone.now()) == 2
    assert list(Item.objects.filter(queue=queue)) == items[2:]


# The policy as a whole


def test_an_overflow_that_leads_back_is_named():
    support, sales, back_office = (make_queue(name=name) for name in ("Support", "Sales", "Back office"))
    save(support, overflow_to=sales)
    save(sales, overflow_to=back_office)
    with pytest.raises(errors.PolicyInvalid, match="Back office → Support → Sales → Back office"):
        save(back_office, overflow_to=support)
    with pytest.raises(errors.PolicyInvalid, match="Support → Support"):
        save(support, overflow_to=support)


def test_overflow_needs_another_queue_that_is_switched_on():
    queue, off = make_queue(), make_queue(is_active=False, name="Old")
    with pytest.raises(errors.PolicyInvalid, match="Choose the other queue"):
        save(queue, when_full=Otherwise.OVERFLOW)
    with pytest.raises(errors.PolicyInvalid, match="“Old” is switched off"):
        save(queue, when_full=Otherwise.OVERFLOW, overflow_to=off)


def test_a_queue_that_others_overflow_to_is_not_switched_off():
    other = make_queue()
    make_queue(overflow_to=other, name="Support")
    with pytest.raises(errors.PolicyInvalid, match="These queues overflow here: Support"):
        save(other, is_active=False)


def test_changed_hours_are_a_new_version_of_the_policy():
    queue = make_queue()
    assert save(queue, calendar=make_calendar(every=ALWAYS)).version == queue.version + 1


def test_what_can_never_happen_is_hinted_at():
    assert hints(PolicyDraft(settings={"when_closed": "overflow", "calendar": None})) == [
        "What happens while it is closed never happens: it has no opening hours."
    ]
    assert hints(PolicyDraft(settings={"when_full": "callback"})) == [
        "What happens when it is full never happens: it has no limit."
    ]


def test_expiry_counts_only_hours_in_which_somebody_is_there():
    queue = make_queue(calendar=office(), callback_hours=10)
    # Friday 16:00: two hours on Friday, eight and a half on Monday less the half hour at noon.
    friday = datetime(2026, 6, 5, 14, tzinfo=UTC)
    assert callbacks._expiry(queue, now=friday) == datetime(2026, 6, 8, 15, tzinfo=UTC)
    assert callbacks._expiry(make_queue(calendar=closed()), now=friday) is None
    assert callbacks._expiry(make_queue(callback_hours=1), now=friday) == friday + timedelta(hours=1)
