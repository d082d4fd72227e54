"""Every kind of violation is planted, and found; a world in order has none."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone

from apps.core.models import Event
from apps.messaging.choices import Status
from apps.messaging.models import Conversation
from apps.routing import tasks
from apps.routing.choices import Chosen, ItemState, OfferState
from apps.routing.models import Agent, Item, Offer, PresenceInterval
from apps.routing.services import audit, router
from tests.factories import hand_to, make_agent, make_conversation, make_inbox, make_queue, put_in_line, ring

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=10)


@pytest.fixture
def queue():
    return make_queue(wrap_up_seconds=30)


@pytest.fixture
def agent(queue):
    return make_agent(queue.team)


@pytest.fixture
def active(queue, agent):
    return hand_to(put_in_line(queue), agent)


@pytest.fixture
def ringing(queue, agent):
    return ring(put_in_line(queue), agent)


def codes():
    return [violation.code for violation in audit.violations(now=timezone.now())]


def change(row, **values):
    type(row).objects.filter(pk=row.pk).update(**values)


def test_world_in_order_has_no_violations(queue, active, ringing):
    assert codes() == []


def test_conversation_with_another_agent_than_its_item_is_found(queue, active):
    change(active.conversation, agent=make_agent(queue.team).user)
    assert codes() == ["I04"]


def test_conversation_that_waits_while_its_item_is_worked_on_is_found(active):
    change(active.conversation, status=Status.WAITING, agent=None)
    assert codes() == ["I04"]


def test_conversation_with_an_agent_but_without_an_item_is_found(queue, agent):
    conversation = make_conversation(make_inbox(queue.team))
    change(conversation, status=Status.ACTIVE, agent=agent.user)
    assert codes() == ["I04"]


def test_two_acceptances_of_one_epoch_are_found(active):
    offer = Offer.objects.get()
    Offer.objects.create(
        item=active,
        agent=offer.agent,
        epoch=offer.epoch,
        units=4,
        state=OfferState.ACCEPTED,
        offered_at=offer.offered_at,
        expires_at=offer.expires_at,
    )
    assert codes() == ["I04"]


@pytest.mark.parametrize("load", [0, 8])
def test_load_that_is_not_what_he_holds_is_found(agent, active, load):
    change(agent, load=load)
    assert codes() == ["I05"]


def test_work_beside_a_free_agent_is_found(queue, agent):
    item = put_in_line(queue, waited=60)
    change(agent, free_since=timezone.now() - LONG_AGO)
    PresenceInterval.objects.update(started_at=timezone.now() - LONG_AGO)
    (violation,) = audit.violations(now=timezone.now())
    assert (violation.code, violation.subject) == ("I06", f"item {item.pk}")
    assert f"although agent {agent.pk} may take it" in violation.text


@pytest.mark.parametrize("what", ["item", "agent", "presence", "step"])
def test_work_may_wait_for_a_moment(what):
    queue = make_queue([(58, {})] if what == "step" else ())
    agent = make_agent(queue.team)
    put_in_line(queue, waited=0 if what == "item" else 60)
    if what != "agent":
        change(agent, free_since=timezone.now() - LONG_AGO)
    if what != "presence":
        PresenceInterval.objects.update(started_at=timezone.now() - LONG_AGO)
    assert codes() == []


@pytest.fixture
def passed(queue, agent):
    """Waits for longer than what the router just offered in the same queue."""
    change(agent, capacity=4, present_until=timezone.now() + LONG_AGO)
    first, second = put_in_line(queue, waited=90), put_in_line(queue, waited=60)
    Event.objects.update(at=timezone.now() - timedelta(seconds=90))
    change(first, state=ItemState.RESTING)
    assert router.run(now=timezone.now()) == 1
    assert second.offers.get().agent == agent
    change(first, state=ItemState.WAITING)
    return first


def test_who_was_overtaken_in_his_line_is_found(queue, agent, passed):
    (violation,) = audit.violations(now=timezone.now())
    assert (violation.code, violation.subject) == ("I06", f"item {passed.pk}")
    assert "was passed by item" in violation.text


def test_who_has_priority_may_pass(queue, agent):
    change(agent, capacity=4)
    put_in_line(queue, waited=60)
    put_in_line(queue, waited=30, credit=90)
    assert router.run(now=timezone.now()) == 1
    assert codes() == []


@pytest.mark.parametrize(
    "why", ["declined", "just came", "another policy", "the last agent counts", "a person chose", "long ago"]
)
def test_who_may_be_passed_is_not_overtaken(queue, agent, passed, why):
    match why:
        case "declined":
            change(passed, not_to={str(agent.pk): [1, "declined"]})
        case "just came":
            Event.objects.filter(stream=passed.conversation.stream).update(at=timezone.now())
        case "another policy":
            change(queue, version=queue.version + 1)
        case "the last agent counts":
            change(queue, w_last=60)
        case "a person chose":
            Offer.objects.update(decision=None)
        case "long ago":
            Offer.objects.update(offered_at=timezone.now() - timedelta(hours=1))
    assert codes() == []


def test_conversation_in_no_line_is_found(queue):
    make_conversation(make_inbox(queue=queue), waited=60)
    assert codes() == ["I06"]


def test_conversation_whose_item_is_done_is_found(queue):
    change(put_in_line(queue), state=ItemState.DONE)
    assert codes() == ["I06"]


def test_offer_past_its_time_is_found(ringing):
    change(ringing, expires_at=timezone.now() - LONG_AGO)
    assert codes() == ["I07"]


def test_item_that_rings_nowhere_is_found(ringing):
    change(ringing, state=OfferState.CANCELLED)
    change(ringing.agent, load=0)
    assert codes() == ["I08"]


def test_offer_for_an_item_in_other_hands_is_found(ringing):
    change(ringing.item, state=ItemState.WAITING)
    assert codes() == ["I08"]


def test_offer_of_an_older_epoch_is_found(ringing):
    change(ringing.item, epoch=99)
    assert codes() == ["I08", "I08"]


def test_item_that_outlives_its_conversation_is_found(active):
    closed = {"status": Status.CLOSED, "closed_at": timezone.now() - LONG_AGO}
    change(active.conversation, **closed)
    assert codes() == ["I08"]


def test_wrap_up_that_does_not_end_is_found(active):
    change(active.conversation, status=Status.CLOSED, closed_at=timezone.now() - LONG_AGO)
    change(active, state=ItemState.WRAP_UP, wrap_until=timezone.now() - LONG_AGO)
    assert codes() == ["I08"]


@pytest.mark.parametrize("gone", ["signed out", "lost"])
def test_work_with_somebody_who_is_gone_is_found(agent, active, gone):
    if gone == "lost":
        change(agent, present_until=timezone.now() - LONG_AGO)
    else:
        change(agent, chosen=Chosen.SIGNED_OUT, present_until=None)
    assert codes() == ["I09"]


def test_command_names_violations_and_fails(agent, active):
    change(agent, load=0)
    out = io.StringIO()
    with pytest.raises(SystemExit) as exit_:
        call_command("check_routing", stdout=out)
    assert exit_.value.code == 1
    assert f"I05  agent {agent.pk}: load 0, but he holds 4 units of 12" in out.getvalue()
    assert "1 violations" in out.getvalue()


def test_command_speaks_json(agent, active):
    out = io.StringIO()
    call_command("check_routing", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"violations": []}
    change(agent, load=0)
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("check_routing", "--json", stdout=out)
    (violation,) = json.loads(out.getvalue())["violations"]
    assert violation["code"] == "I05"


def test_command_is_quiet_about_a_world_in_order(active):
    out = io.StringIO()
    call_command("check_routing", stdout=out)
    assert out.getvalue().strip() == "routing is in order"


def test_checks_cost_a_constant_number_of_queries(queue, agent, django_assert_max_num_queries):
    for _ in range(3):
        put_in_line(queue)
        make_agent(queue.team, load=0, capacity=0)
    Conversation.objects.exists()
    with django_assert_max_num_queries(30):
        audit.violations(now=timezone.now())
    assert Agent.objects.count() == 4
    assert Item.objects.count() == 3


# Watched


def test_watch_tells_the_log_and_is_remembered_for_the_metrics(agent, active, caplog):
    cache.clear()
    assert audit.last_look() is None
    change(agent, load=0)
    tasks.watch()
    assert audit.last_look().counts == {"I04": 0, "I05": 1, "I06": 0, "I07": 0, "I08": 0, "I09": 0}
    assert f"routing is not in order: I05 agent {agent.pk}" in caplog.text
    change(agent, load=4)
    tasks.watch()
    assert not any(audit.last_look().counts.values())
    cache.clear()


def test_watch_looks_at_the_acceptances_of_a_day(active):
    first = Offer.objects.get()
    for days, codes_then in ((0, 1), (2, 0)):
        at = first.offered_at - timedelta(days=days)
        Offer.objects.exclude(pk=first.pk).delete()
        Offer.objects.create(
            item=active,
            agent=first.agent,
            epoch=first.epoch,
            units=4,
            state=OfferState.ACCEPTED,
            offered_at=at,
            expires_at=at,
        )
        assert audit.watch(now=timezone.now()).counts["I04"] == codes_then
        assert codes() == ["I04"]
    cache.clear()
