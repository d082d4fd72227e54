"""Whatever is done to a campaign in whatever order: nobody gets it twice, and in the end nobody was forgotten."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core.events import SYSTEM
from apps.notifications import errors, gateways
from apps.notifications.choices import CampaignState
from apps.notifications.models import Campaign
from apps.notifications.services import campaigns, feeding, sending
from apps.users.errors import MergedAlready
from apps.users.models import Customer
from apps.users.services import customers
from tests.factories import make_customer, make_team
from tests.notifications.campaigning import add_email, feed, make_campaign, people, run, start
from tests.notifications.gate import Gate, Time, make_gateway

pytestmark = pytest.mark.django_db
ACTS = ["tick", "tick", "send", "send", "pause", "resume", "crash", "wait", "merge", "again"]


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> list[Gate]:
    """The gateway of each example is the last of them."""
    made: list[Gate] = []
    monkeypatch.setitem(gateways.KINDS, "gate", lambda options, secrets: made[-1])
    return made


def test_nobody_gets_it_twice_whatever_happens(gates: list[Gate]) -> None:
    _play(gates)
    assert any(gate.seen for gate in gates)


@settings(max_examples=12, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    acts=st.lists(st.sampled_from(ACTS), max_size=25),
    doubles=st.integers(0, 3),
    per_minute=st.sampled_from([6, 60_000]),
)
def _play(gates: list[Gate], acts: list[str], doubles: int, per_minute: int) -> None:
    with transaction.atomic():
        gates.append(Gate())
        make_gateway()
        _check(gates[-1], acts, doubles=doubles, per_minute=per_minute)
        transaction.set_rollback(True)


def _check(gate: Gate, acts: list[str], *, doubles: int, per_minute: int) -> None:
    clock, team = Time(), make_team()
    there = people(6, team)
    for customer in there[:doubles]:
        add_email(make_customer([team]), f"c{customer.pk}@example.org")
    campaign = start(make_campaign(team, per_minute=per_minute), clock)
    for act in acts:
        _do(act, campaign, clock, there)
    if _state(campaign) == CampaignState.PAUSED:
        campaigns.resume(campaign.pk, by=SYSTEM, now=clock())
    for _ in range(20):
        if _state(campaign) != CampaignState.DONE:
            run(clock, seconds=20, tick=10)
    assert _state(campaign) == CampaignState.DONE
    seen = Counter(outgoing.to for outgoing in gate.seen)
    assert max(seen.values()) == 1
    for person in Customer.objects.current().filter(teams=team):
        assert seen.keys() & set(person.contact_points.values_list("value", flat=True)), person


def _state(campaign: Campaign) -> str:
    campaign.refresh_from_db()
    return campaign.state


def _do(act: str, campaign: Campaign, clock: Time, there: list[Any]) -> None:
    match act:
        case "tick":
            feed(clock)
        case "send":
            sending.work_off("email", clock=clock)
        case "wait":
            clock.pass_by(seconds=7)
        case "again":
            feeding.step(campaign.pk, now=clock())
        case "crash":
            with transaction.atomic():
                feeding.step(campaign.pk, now=clock())
                transaction.set_rollback(True)
        case "merge":
            with contextlib.suppress(MergedAlready):
                customers.merge(there[4], there[5], by=SYSTEM)
        case _:
            act_on = {"pause": campaigns.pause, "resume": campaigns.resume}[act]
            with contextlib.suppress(errors.CampaignNotRunning, errors.CampaignNotPaused):
                act_on(campaign.pk, by=SYSTEM, now=clock())
