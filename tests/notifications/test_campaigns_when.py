"""When a campaign goes out: its pace, the recipient's own time, the hours that are allowed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest

from apps.notifications import campaign_figures
from apps.notifications.choices import CampaignState, Reason
from apps.notifications.models import CampaignRecipient, SendingQueue, SendingRule
from apps.notifications.services import feeding, sending
from tests.factories import make_team, make_template
from tests.notifications.campaigning import feed, make_campaign, of, people, run, start, state_of
from tests.notifications.gate import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make_team()


# Pace


def test_the_pace_is_kept_whatever_the_ticks_do(team, gate, clock) -> None:
    people(40, team)
    campaign = start(make_campaign(team, per_minute=30), clock)
    run(clock, seconds=62)
    sent = Counter(int((row.sent_at - NOW).total_seconds()) // 10 for row in of(campaign) if row.sent_at)
    assert 30 <= len(gate.seen) <= 32
    assert all(4 <= sent[n] <= 6 for n in range(6)), sent
    gaps = [b.due_at - a.due_at for a, b in zip(of(campaign), of(campaign)[1:], strict=False)]
    assert set(gaps) == {timedelta(seconds=2)}
    run(clock, seconds=30)
    assert state_of(campaign) == CampaignState.DONE


def test_after_an_outage_it_goes_on_at_its_pace_and_does_not_make_up_for_it(team, gate, clock) -> None:
    people(100, team)
    start(make_campaign(team, per_minute=60), clock)
    run(clock, seconds=10)
    before = len(gate.seen)
    clock.pass_by(minutes=5)
    run(clock, seconds=0)
    # What was in the queue already (AHEAD), and what is due at this moment.
    assert len(gate.seen) - before <= feeding.AHEAD.total_seconds() + 2


def test_a_queue_that_stands_still_is_not_filled(team, gate, clock) -> None:
    people(50, team)
    SendingQueue.objects.update(is_paused=True)
    campaign = start(make_campaign(team, per_minute=12), clock)
    for _ in range(60):
        feed(clock)
        clock.pass_by(seconds=2)
    assert 12 <= len(of(campaign)) <= 12 + feeding.AHEAD.total_seconds() / 5


# When


def test_by_each_recipients_own_clock(team, gate, clock) -> None:
    zones = {"Asia/Tokyo": 0, "Europe/Berlin": 8, "America/New_York": 13}
    for zone in zones:
        people(1, team, time_zone=zone)
    # 9:00 on 12 March: 0:00, 8:00 and 13:00 (summer time) by UTC.
    campaign = start(make_campaign(team, date=date(2026, 3, 12), time=time(9)), clock)
    run(clock, seconds=600, tick=600)
    assert not CampaignRecipient.objects.exists(), "nobody's day has begun"
    midnight = datetime(2026, 3, 12, tzinfo=UTC)
    clock.now = midnight - timedelta(hours=14, minutes=5)
    run(clock, seconds=(midnight - clock.now).total_seconds() + 14 * 3600, tick=900)
    hours = {row.customer.time_zone: row.sent_at - midnight for row in of(campaign) if row.sent_at}
    assert hours.keys() == zones.keys()
    assert all(
        timedelta() <= hours[zone] - timedelta(hours=hour) < timedelta(minutes=15)
        for zone, hour in zones.items()
    )
    assert state_of(campaign) == CampaignState.DONE


def test_by_one_clock_for_all(team, gate, clock) -> None:
    people(1, team, time_zone="Asia/Tokyo")
    start(make_campaign(team, date=date(2026, 3, 12), time=time(9), zone="Europe/Berlin"), clock)
    clock.now = datetime(2026, 3, 12, 7, 54, tzinfo=UTC)
    run(clock, seconds=300, tick=10)
    assert not gate.seen
    run(clock, seconds=90, tick=10)
    assert len(gate.seen) == 1


def test_b33_a_time_that_does_not_exist_for_somebody_is_the_next_one(team, gate, clock) -> None:
    people(1, team, time_zone="Europe/Berlin")
    campaign = start(make_campaign(team, date=date(2026, 3, 29), time=time(2, 30)), clock)
    clock.now = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
    run(clock, seconds=120, tick=10)
    assert [row.due_at for row in of(campaign)] == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC)]


def test_hours_of_the_campaign_hold_and_so_do_quiet_hours(team, gate, clock) -> None:
    people(1, team, time_zone="Asia/Tokyo")  # 21:00
    people(1, team, time_zone="America/Los_Angeles")  # 5:00
    people(1, team, time_zone="Europe/Berlin")  # 13:00
    template = make_template()
    SendingRule.objects.create(
        purpose=template.purpose, way="email", quiet_from=time(20), quiet_until=time(8)
    )
    campaign = start(make_campaign(team, template=template, local_from=time(10), local_until=time(18)), clock)
    run(clock)
    assert len(gate.seen) == 1
    held = {
        row.customer.time_zone: (row.reason, row.due_at)
        for row in CampaignRecipient.objects.filter(is_planned=False)
    }
    assert held == {
        "Asia/Tokyo": (Reason.QUIET_HOURS, datetime(2026, 3, 11, 1, tzinfo=UTC)),
        "America/Los_Angeles": (Reason.QUIET_HOURS, datetime(2026, 3, 10, 17, tzinfo=UTC)),
    }
    clock.now = datetime(2026, 3, 10, 16, 59, 30, tzinfo=UTC)
    run(clock, seconds=60, tick=5)
    sent = [row for row in of(campaign) if row.customer.time_zone.startswith("America")]
    assert [row.state for row in sent] == ["sent"]
    assert sent[0].sent_at >= datetime(2026, 3, 10, 17, tzinfo=UTC)


def test_hours_of_the_campaign_hold_what_is_in_the_queue_already(team, gate, clock) -> None:
    people(1, team)
    campaign = start(make_campaign(team, local_until=time(12, 1)), clock)
    feed(clock)
    clock.pass_by(minutes=2)
    sending.work_off("email", clock=clock)
    (row,) = of(campaign)
    assert (row.state, row.reason, row.due_at) == (
        "due",
        Reason.OUT_OF_HOURS,
        datetime(2026, 3, 11, tzinfo=UTC),
    )
    assert campaign_figures.progress(campaign).held == {Reason.OUT_OF_HOURS: 1}


def test_hours_that_never_come_are_told(team, clock) -> None:
    people(1, team)
    template = make_template()
    SendingRule.objects.create(
        purpose=template.purpose, way="email", quiet_from=time(18), quiet_until=time(10)
    )
    campaign = start(make_campaign(team, template=template, local_from=time(19), local_until=time(20)), clock)
    run(clock)
    assert [(row.state, row.reason) for row in of(campaign)] == [("suppressed", Reason.OUT_OF_HOURS)]
