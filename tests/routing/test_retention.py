"""Decisions, presence intervals and callbacks leave when their time is over; `manage.py prune` does it by hand."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.routing import tasks
from apps.routing.choices import CallbackState, CallbackWay, State
from apps.routing.models import Callback, Decision, Offer, PresenceInterval
from apps.routing.services import audit, offers, router
from tests.factories import make_agent, make_queue, put_in_line

pytestmark = pytest.mark.django_db
YEAR = timedelta(days=365)


@pytest.fixture
def agent():
    return make_agent(make_queue().team, capacity=12)


@pytest.fixture
def ringing(agent):
    put_in_line(agent.user.teams.get().queues.get())
    router.run(now=timezone.now())
    return Offer.objects.get()


def age(model, **by):
    row = model.objects.latest("id")
    for field, days in by.items():
        setattr(row, field, timezone.now() - timedelta(days=days))
    row.save()


def prune(*arguments):
    out = io.StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue()


def test_old_decision_leaves_and_its_offer_stays(ringing):
    offers.decline(ringing.pk, by=ringing.agent.user, now=timezone.now())
    age(Decision, at=91)
    assert tasks.prune()["decisions"] == 1
    assert Offer.objects.get().decision is None
    assert audit.violations(now=timezone.now()) == []


def test_decision_that_rings_or_is_young_stays(ringing):
    age(Decision, at=91)
    assert tasks.prune()["decisions"] == 0
    offers.decline(ringing.pk, by=ringing.agent.user, now=timezone.now())
    age(Decision, at=89)
    assert tasks.prune()["decisions"] == 0


def test_intervals_that_ended_leave_and_the_open_one_stays(agent):
    PresenceInterval.objects.all().delete()
    for started, ended in ((900, 800), (800, 700), (750, None)):
        times = [timezone.now() - timedelta(days=days) if days else None for days in (started, ended)]
        PresenceInterval.objects.create(
            agent=agent, state=State.AVAILABLE, started_at=times[0], ended_at=times[1]
        )
    assert tasks.prune()["presence"] == 1
    assert PresenceInterval.objects.count() == 2


def test_callbacks_that_are_over_leave_with_their_numbers_and_open_ones_stay():
    talk = put_in_line(make_queue()).conversation
    for state, asked, ended in (
        (CallbackState.REACHED, 400, 366),
        (CallbackState.CANCELLED, 400, 364),
        (CallbackState.REQUESTED, 400, None),
    ):
        moments = [timezone.now() - timedelta(days=days) if days else None for days in (asked, ended)]
        Callback.objects.create(
            conversation=talk,
            way=CallbackWay.CALL,
            phone="+4930901820",
            state=state,
            requested_at=moments[0],
            ended_at=moments[1],
        )
    assert "callbacks: 1 would be deleted" in prune("--dry-run")
    assert tasks.prune()["callbacks"] == 1
    assert set(Callback.objects.values_list("state", flat=True)) == {"cancelled", "requested"}


def test_dry_run_counts_and_deletes_nothing(ringing):
    offers.decline(ringing.pk, by=ringing.agent.user, now=timezone.now())
    age(Decision, at=91)
    assert "decisions: 1 would be deleted" in prune("--dry-run")
    assert Decision.objects.exists()
    assert json.loads(prune("--json")) == {
        "dry_run": False,
        "deleted": {"decisions": 1, "presence": 0, "callbacks": 0, "lists": 0, "events": 0},
    }
    assert not Decision.objects.exists()


def test_days_may_be_given_for_what_is_named(ringing):
    offers.decline(ringing.pk, by=ringing.agent.user, now=timezone.now())
    age(Decision, at=3)
    assert prune("decisions", "--days=5", "--batch=1").strip() == "decisions: 0 deleted"
    assert prune("decisions", "--days=2", "--batch=1").strip() == "decisions: 1 deleted"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pizza"], "pizza: choose from decisions, presence, callbacks, lists, events"),
        (["decisions", "--days=0"], "must be at least 1"),
        (["--batch=0"], "must be at least 1"),
        (["--days=3"], "name what to delete"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        prune(*arguments)
