"""What a campaign's list said of its customers leaves when the campaign is over for long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.core.events import SYSTEM
from apps.core.retention import remove
from apps.notifications import campaign_csv, tasks
from apps.notifications.models import Campaign, CampaignRecipient, Delivery
from apps.notifications.services import campaign_lists, retention
from tests.factories import make_team
from tests.notifications.campaigning import make_campaign, people, run, start
from tests.notifications.gate import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign(gate, clock) -> Campaign:
    """It went to three customers by a list, and is over since NOW."""
    team = make_team()
    made = make_campaign(team, segment=None)
    lines = "email,amount\n" + "".join(f"c{one.pk}@example.org,12\n" for one in people(3, team))
    campaign_lists.add(
        made.pk, campaign_csv.read(lines.encode(), campaign_csv.Mistakes()), by=SYSTEM, now=NOW
    )
    start(made, clock)
    run(clock)
    return Campaign.objects.get(ended_at__isnull=False)


def left() -> int:
    """In the list, and in the deliveries made of it."""
    assert CampaignRecipient.objects.count() == Delivery.objects.count() == 3
    said = [row.values for row in CampaignRecipient.objects.all()]
    return sum(map(bool, said)) + Delivery.objects.filter(context__has_key="list.amount").count()


def test_values_leave_in_batches_and_who_got_it_stays(campaign) -> None:
    assert left() == 6
    later = campaign.ended_at + timedelta(days=11)
    assert list(remove(retention.LISTS, days=10, now=later, batch=2)) == [2, 3]
    assert left() == 0
    assert list(remove(retention.LISTS, days=10, now=later)) == []


def test_what_ended_lately_or_goes_on_is_kept(campaign) -> None:
    assert list(remove(retention.LISTS, days=10, now=campaign.ended_at + timedelta(days=9))) == []
    Campaign.objects.update(ended_at=None)
    assert list(remove(retention.LISTS, days=10, now=campaign.ended_at + timedelta(days=999))) == []
    assert left() == 6


def test_the_nightly_task_goes_by_the_setting(campaign, settings) -> None:
    Campaign.objects.update(ended_at=NOW - timedelta(days=5000))
    settings.KEEP_DAYS = settings.KEEP_DAYS | {"lists": 0}
    assert tasks.prune() == 0
    settings.KEEP_DAYS = settings.KEEP_DAYS | {"lists": 365}
    assert tasks.prune() == 3
    assert left() == 0
