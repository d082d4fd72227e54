"""Campaigns: listed, fed into the sending queue at their pace, held, paused, stopped; nobody twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.errors import Conflict
from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.notifications import campaign_csv, campaign_figures, campaign_previews, errors, ledger
from apps.notifications.choices import CampaignState, DeliveryState, ErrorKind, PurposeKind, Reason
from apps.notifications.gateways import Outcome
from apps.notifications.models import (
    Campaign,
    CampaignRecipient,
    Delivery,
    Preference,
    Suppression,
    Template,
)
from apps.notifications.services import campaign_lists, campaigns, feeding, sending
from apps.users.models import Customer
from apps.users.services import customers as customer_service
from tests.factories import make_customer, make_purpose, make_team, make_template
from tests.notifications.campaigning import (
    feed,
    make_campaign,
    make_segment,
    of,
    people,
    run,
    start,
    state_of,
)
from tests.notifications.gate import NOW, Gate

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make_team()


def seen(gate: Gate) -> list[str]:
    return sorted(outgoing.to for outgoing in gate.seen)


def kinds(campaign: Campaign) -> list[str]:
    found = Event.objects.filter(stream=campaign.stream).order_by("id").values_list("type", flat=True)
    return [name.rpartition(".")[2] for name in found]


# From the start to the end


def test_everybody_of_the_segment_gets_it_once_and_then_it_is_over(team, gate, clock) -> None:
    there = people(5, team, language="de")
    people(2, team, language="fr")
    people(2, make_team(), language="de")
    make_customer([team], language="de", merged_into=there[0])
    campaign = start(make_campaign(team, segment=make_segment({"languages": ["de"]})), clock)
    assert state_of(campaign) == CampaignState.SCHEDULED
    assert not CampaignRecipient.objects.exists(), "the request that starts it writes one row"
    run(clock)
    assert seen(gate) == sorted(f"c{one.pk}@example.org" for one in there)
    assert state_of(campaign) == CampaignState.DONE
    assert campaign.ended_at == clock.now
    assert kinds(campaign) == ["started", "finished"]
    run(clock, seconds=60)
    assert len(gate.seen) == 5


def test_a_list_fills_in_its_columns(team, gate, clock) -> None:
    customer = people(1, team)[0]
    template = make_template({"email": {"en": {"subject": "{list.amount|0}", "body": "{list.amount}"}}})
    campaign = make_campaign(team, segment=None, template=template)
    lines = campaign_csv.read(
        f"email,amount\nC{customer.pk}@EXAMPLE.org,12 €\n".encode(), campaign_csv.Mistakes()
    )
    campaign_lists.add(campaign.pk, lines, by=SYSTEM, now=NOW)
    start(campaign, clock)
    run(clock)
    assert [(outgoing.subject, outgoing.text) for outgoing in gate.seen] == [("12 €", "12 €")]


def test_nobody_in_the_segment_and_it_is_over_at_once(team, clock) -> None:
    campaign = start(make_campaign(team), clock)
    run(clock)
    assert state_of(campaign) == CampaignState.DONE
    assert campaign_figures.progress(campaign).planned == 0


def test_both_ways_are_two_messages(team, gate, clock) -> None:
    customer = people(1, team)[0]
    campaign = start(make_campaign(team, ways=["email", "sms"]), clock)
    run(clock, ways=["email", "sms"])
    made = {row.way: (row.state, row.reason) for row in of(campaign)}
    assert made == {"email": ("sent", ""), "sms": ("suppressed", Reason.NO_ADDRESS)}
    assert {row.customer_id for row in of(campaign)} == {customer.pk}
    assert {row.priority for row in of(campaign)} == {2}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ways": ["sms"]}, "no text for: SMS"),
        ({"segment": None}, "Nobody would get it"),
        ({"date": date(2026, 3, 9), "time": time(9), "zone": "Europe/Berlin"}, "future"),
        ({"date": date(2026, 3, 9), "time": time(9)}, "future"),
        ({"date": date(2099, 3, 9), "time": time(9)}, "ten years"),
        ({"date": date(2026, 3, 29), "time": time(2, 30), "zone": "Europe/Berlin"}, "does not exist"),
    ],
)
def test_what_is_not_ready_does_not_start(team, clock, fields: dict[str, Any], said: str) -> None:
    template = make_template({"email": {"en": {"subject": "x", "body": "x"}}})
    campaign = make_campaign(team, template=template, **fields)
    with pytest.raises(errors.CampaignNotReady) as caught:
        start(campaign, clock)
    assert said in str(caught.value)
    assert state_of(campaign) == CampaignState.DRAFT
    assert kinds(campaign) == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"ways": []}, "ways"),
        ({"ways": ["in_app"]}, "ways"),
        ({"date": date(2026, 4, 1)}, "time"),
        ({"local_from": time(9), "local_until": time(9)}, "local_until"),
        ({"per_minute": 0}, "per_minute"),
        ({"per_minute": 60_001}, "per_minute"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"name": ""}, "name"),
    ],
)
def test_what_makes_no_sense_is_not_saved(team, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(errors.CampaignInvalid) as caught:
        make_campaign(team, **fields)
    assert list(caught.value.fields) == [named]
    assert not Campaign.objects.exists()


def test_another_teams_segment_is_refused_and_its_own_reaches_its_own_only(team, gate, clock) -> None:
    with pytest.raises(errors.CampaignInvalid):
        make_campaign(team, segment=make_segment(team=make_team()))
    there, _other = people(2, team), people(2, make_team())
    start(make_campaign(team, segment=make_segment(team=team)), clock)
    run(clock)
    assert seen(gate) == sorted(f"c{one.pk}@example.org" for one in there)


def test_what_is_started_is_fixed(team, clock) -> None:
    campaign = start(make_campaign(team), clock)
    plan = campaigns.Plan(name="x", template=campaign.template, ways=["sms"], team=team)
    for act in (lambda: campaigns.update(campaign.pk, plan), lambda: start(campaign, clock)):
        with pytest.raises(errors.CampaignHasBegun):
            act()


# Who gets it


def test_who_does_not_get_it_is_written_down_with_the_reason(team, gate, clock) -> None:
    template = make_template(purpose=make_purpose(PurposeKind.MARKETING))
    agreed, declined, silent, stopped, unreachable = people(5, team)
    for customer, wanted in ((agreed, True), (declined, False), (stopped, True), (unreachable, True)):
        Preference.objects.create(
            customer=customer, purpose=template.purpose, way="email", is_wanted=wanted, source="staff"
        )
    Suppression.objects.create(way="email", address=f"c{stopped.pk}@example.org")
    unreachable.contact_points.all().delete()
    campaign = start(make_campaign(team, template=template), clock)
    run(clock)
    assert seen(gate) == [f"c{agreed.pk}@example.org"]
    reasons = {row.customer_id: row.reason for row in of(campaign) if row.state == DeliveryState.SUPPRESSED}
    assert reasons == {
        declined.pk: Reason.OPTED_OUT,
        silent.pk: Reason.NO_CONSENT,
        stopped.pk: Reason.BOUNCED,
        unreachable.pk: Reason.NO_ADDRESS,
    }
    found = campaign_figures.progress(campaign)
    assert (found.planned, found.sent, found.suppressed.total(), found.percent) == (5, 1, 4, 100)


def test_rights_are_looked_at_again_before_it_is_sent(team, gate, clock) -> None:
    stays, leaves, opts_out, is_erased = people(4, team)
    campaign = make_campaign(team, per_minute=1)
    start(campaign, clock)
    feed(clock)
    leaves.teams.clear()
    for customer in (opts_out,):
        Preference.objects.create(
            customer=customer, purpose=campaign.template.purpose, way="email", is_wanted=False, source="staff"
        )
    is_erased.contact_points.all().delete()
    run(clock, seconds=300, tick=20)
    assert seen(gate) == [f"c{stays.pk}@example.org"]
    reasons = {row.customer_id: row.reason for row in of(campaign) if row.state == DeliveryState.SUPPRESSED}
    assert reasons == {leaves.pk: Reason.GONE, opts_out.pk: Reason.OPTED_OUT, is_erased.pk: Reason.NO_ADDRESS}


def test_two_records_with_one_address_get_it_once(team, gate, clock) -> None:
    """Written in capitals or with spaces it is the same address: contacts are kept in one form."""
    one, other = make_customer([team]), make_customer([team])
    for customer, text in ((one, "Ada@Example.org "), (other, "ada@EXAMPLE.org")):
        customer_service.add_contact(customer, kind="email", value=text, by=SYSTEM)
    campaign = start(make_campaign(team, per_minute=1), clock)
    run(clock, seconds=300, tick=20)
    assert seen(gate) == ["ada@example.org"]
    assert [(row.customer_id, row.reason) for row in of(campaign) if row.state == "suppressed"] == [
        (other.pk, Reason.DUPLICATE)
    ]


@pytest.mark.parametrize("first", ["keep", "double"])
def test_two_records_that_turn_out_to_be_one_person_get_it_once(team, gate, clock, first: str) -> None:
    one, other = people(2, team)
    keep, double = (one, other) if first == "keep" else (other, one)
    campaign = start(make_campaign(team, per_minute=1), clock)
    run(clock)
    assert len(gate.seen) == 1
    customer_service.merge(keep, double, by=SYSTEM)
    run(clock, seconds=300, tick=20)
    assert len(gate.seen) == 1
    assert [row.reason for row in of(campaign) if row.state == "suppressed"] == [Reason.DUPLICATE]


def test_the_database_itself_refuses_the_second_one(team) -> None:
    campaign, customer = make_campaign(team), make_customer([team])
    for fields in ({"customer": customer}, {"customer": make_customer(), "address": "ada@example.org"}):
        row = {"campaign": campaign, "way": "email"} | fields
        CampaignRecipient.objects.create(**row)
        again = row if fields.get("address") is None else row | {"customer": make_customer()}
        with pytest.raises(IntegrityError), transaction.atomic():
            CampaignRecipient.objects.create(**again)


# Pause, resume, stop


def test_a_pause_takes_back_what_waits_and_resuming_sends_the_rest_once(team, gate, clock) -> None:
    there = people(30, team)
    campaign = start(make_campaign(team, per_minute=60), clock)
    run(clock, seconds=4)
    feed(clock)
    waiting = Delivery.objects.filter(state=DeliveryState.DUE).count()
    campaigns.pause(campaign.pk, by=SYSTEM, now=clock())
    assert waiting > 0
    assert not Delivery.objects.filter(state=DeliveryState.DUE).exists()
    before = len(gate.seen)
    run(clock, seconds=120, tick=10)
    assert len(gate.seen) == before
    with pytest.raises(errors.CampaignNotRunning):
        campaigns.pause(campaign.pk, by=SYSTEM, now=clock())
    campaigns.resume(campaign.pk, by=SYSTEM, now=clock())
    with pytest.raises(errors.CampaignNotPaused):
        campaigns.resume(campaign.pk, by=SYSTEM, now=clock())
    run(clock, seconds=60)
    assert seen(gate) == sorted(f"c{one.pk}@example.org" for one in there)
    assert kinds(campaign) == ["started", "paused", "resumed", "finished"]


def test_a_pause_before_its_time_waits_for_its_time(team, gate, clock) -> None:
    people(1, team)
    campaign = start(make_campaign(team, date=date(2026, 3, 12), time=time(9), zone="UTC"), clock)
    campaigns.pause(campaign.pk, by=SYSTEM, now=clock())
    campaigns.resume(campaign.pk, by=SYSTEM, now=clock())
    run(clock)
    assert state_of(campaign) == CampaignState.SCHEDULED
    clock.now = datetime(2026, 3, 12, 9, tzinfo=UTC)
    run(clock)
    assert len(gate.seen) == 1


def test_stopping_is_for_good(team, gate, clock) -> None:
    people(30, team)
    campaign = start(make_campaign(team, per_minute=60), clock)
    run(clock, seconds=4)
    feed(clock)
    sent = len(gate.seen)
    campaigns.stop(campaign.pk, by=SYSTEM, now=clock())
    run(clock, seconds=60)
    assert len(gate.seen) == sent
    found = campaign_figures.progress(campaign)
    assert (found.sent, found.sent + found.cancelled + found.waiting) == (sent, 30)
    assert {row.reason for row in of(campaign) if row.state == DeliveryState.CANCELLED} == {Reason.DROPPED}
    for act in (campaigns.stop, campaigns.pause, campaigns.resume):
        with pytest.raises(Conflict):
            act(campaign.pk, by=SYSTEM, now=clock())
    assert kinds(campaign) == ["started", "stopped"]


@pytest.mark.parametrize("act", [campaigns.pause, campaigns.resume, campaigns.stop])
def test_a_draft_and_what_is_not_there_can_only_be_started(team, clock, act: Any) -> None:
    draft = make_campaign(team)
    with pytest.raises((errors.CampaignNotRunning, errors.CampaignNotPaused)):
        act(draft.pk, by=SYSTEM, now=clock())
    with pytest.raises(errors.CampaignNotFound):
        act(999_999, by=SYSTEM, now=clock())


def test_a_template_that_is_switched_off_stops_the_feeding_until_it_is_on_again(team, gate, clock) -> None:
    people(3, team)
    campaign = start(make_campaign(team), clock)
    Template.objects.update(is_active=False)
    run(clock, seconds=10)
    assert not of(campaign)
    assert state_of(campaign) == CampaignState.RUNNING
    Template.objects.update(is_active=True)
    run(clock)
    assert len(gate.seen) == 3


def test_what_failed_is_counted_and_what_is_tried_again_keeps_it_open(team, gate, clock) -> None:
    people(2, team)
    campaign = start(make_campaign(team), clock)
    gate.answer = lambda outgoing: Outcome(outgoing.delivery, ErrorKind.TEMPORARY, "no")
    run(clock)
    assert state_of(campaign) == CampaignState.RUNNING
    gate.answer = lambda outgoing: Outcome(outgoing.delivery, ErrorKind.PERMANENT, "no")
    clock.pass_by(minutes=30)
    run(clock)
    found = campaign_figures.progress(campaign)
    assert (found.failed, found.sent, found.percent) == (2, 0, 100)
    assert state_of(campaign) == CampaignState.DONE


# In batches


def test_it_is_listed_in_batches_and_a_crash_between_them_repeats_nobody(
    team, gate, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "LISTED_AT_ONCE", 4)
    monkeypatch.setattr(feeding, "LOOKED_AT_AT_ONCE", 3)
    there = people(10, team)
    campaign = start(make_campaign(team), clock)
    real, calls = feeding.deliveries.make_many, []

    def dies(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        calls.append(1)
        if len(calls) % 2:
            raise OSError("the worker is killed")

    monkeypatch.setattr(feeding.deliveries, "make_many", dies)
    steps = 0
    while state_of(campaign) != CampaignState.DONE and steps < 100:
        steps += 1
        try:
            feeding.step(campaign.pk, now=clock())
        except OSError:
            continue
        clock.pass_by(seconds=1)
        sending.work_off("email", clock=clock)
    assert seen(gate) == sorted(f"c{one.pk}@example.org" for one in there)
    assert CampaignRecipient.objects.count() == 10


def test_statements_do_not_grow_with_the_recipients(team, gate, clock) -> None:
    counts = []
    for size in (3, 20):
        people(size, team)
        campaign = start(make_campaign(team), clock)
        feeding.step(campaign.pk, now=clock())
        with CaptureQueriesContext(connection) as listed:
            feeding.step(campaign.pk, now=clock())
        counts.append(len(listed))
        campaigns.stop(campaign.pk, by=SYSTEM, now=clock())
    assert counts[0] == counts[1] <= 26, counts


def test_progress_takes_two_queries(team, clock, django_assert_num_queries) -> None:
    people(5, team)
    campaign = start(make_campaign(team), clock)
    feed(clock)
    with django_assert_num_queries(2):
        found = campaign_figures.progress(campaign)
    assert (found.planned, found.under_way) == (5, 5)


def test_what_would_happen_is_foreseen_by_the_same_function(team, clock) -> None:
    one, other, declined = people(3, team)
    other.contact_points.update(value=f"c{one.pk}@example.org")
    campaign = make_campaign(team)
    Preference.objects.create(
        customer=declined, purpose=campaign.template.purpose, way="email", is_wanted=False, source="staff"
    )
    rows = [
        CampaignRecipient(campaign=campaign, customer=customer, way="email")
        for customer in (one, other, declined)
    ]
    found = campaign_previews.foresee(campaign, rows, now=NOW)
    assert (found.looked_at, found.goes, found.held) == (3, 1, {})
    assert found.suppressed == {Reason.DUPLICATE: 1, Reason.OPTED_OUT: 1}
    assert not Delivery.objects.exists()


def test_a_customers_page_knows_what_is_still_to_come(team, clock) -> None:
    there = people(1, team, time_zone="Asia/Tokyo")[0]
    campaign = make_campaign(team, segment=None, date=date(2026, 3, 12), time=time(9))
    lines = campaign_csv.read(f"email\nc{there.pk}@example.org\n".encode(), campaign_csv.Mistakes())
    campaign_lists.add(campaign.pk, lines, by=SYSTEM, now=NOW)
    period = {"start": NOW, "end": NOW + timedelta(days=7), "now": NOW}
    assert ledger.of_customer(there, **period).coming == []
    start(campaign, clock)
    (line,) = ledger.of_customer(there, **period).coming
    assert (line.row.cause, line.at) == (campaign.cause, datetime(2026, 3, 12, tzinfo=UTC))


def foreseen_at(customer: Customer) -> datetime | None:
    period = {"start": NOW, "end": NOW + timedelta(days=7), "now": NOW}
    return next((line.at for line in ledger.of_customer(customer, **period).coming), None)


def test_ledger_says_when_the_turn_comes_at_the_pace_and_so_it_goes(team, gate, clock):
    everybody = people(4, team)
    campaign = start(make_campaign(team, per_minute=1), clock)
    feed(clock)  # it is listed, and the first has its place
    foreseen = [foreseen_at(customer) for customer in everybody]
    assert foreseen == [NOW + timedelta(minutes=number) for number in range(4)]
    run(clock, seconds=240, tick=5)
    assert [row.due_at for row in of(campaign)] == foreseen


def test_ledger_says_so_of_those_that_are_held_together_as_well(team, clock):
    everybody = people(5, team)
    start(make_campaign(team, per_minute=1), clock)
    feed(clock)
    later = NOW + timedelta(hours=9)
    held = CampaignRecipient.objects.filter(customer__in=everybody[2:4])
    held.update(due_at=later, reason=Reason.QUIET_HOURS)
    assert [foreseen_at(customer) for customer in everybody[1:]] == [
        NOW + timedelta(minutes=1),
        later,
        later + timedelta(minutes=1),
        NOW + timedelta(minutes=2),
    ]


def test_ledger_counts_turns_from_the_start_of_a_campaign_that_has_not_begun(team, clock):
    everybody = people(2, team)
    campaign = make_campaign(
        team, segment=None, per_minute=1, date=date(2026, 3, 12), time=time(9), zone="UTC"
    )
    lines = "email\n" + "".join(f"c{one.pk}@example.org\n" for one in everybody)
    campaign_lists.add(
        campaign.pk, campaign_csv.read(lines.encode(), campaign_csv.Mistakes()), by=SYSTEM, now=NOW
    )
    start(campaign, clock)
    begin = datetime(2026, 3, 12, 9, tzinfo=UTC)
    assert [foreseen_at(one) for one in everybody] == [begin, begin + timedelta(minutes=1)]
