"""Campaigns for tests: a clock moved by hand, people who can be written to, and the work of ticks and senders."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from apps.core.events import SYSTEM
from apps.notifications.choices import Way
from apps.notifications.models import Campaign, Delivery, Segment
from apps.notifications.services import campaigns, feeding, sending
from apps.users.models import ContactPoint, Customer, Team
from tests.factories import make_customer, make_team, make_template
from tests.notifications.gate import NOW, Time


def make_segment(filter: dict[str, Any] | None = None, **fields: Any) -> Segment:
    return Segment.objects.create(
        **{"name": f"Segment {Segment.objects.count()}", "filter": filter or {}} | fields
    )


def make_campaign(team: Team | None = None, **fields: Any) -> Campaign:
    """To everybody of the team, by e-mail, fast, unless the test says otherwise."""
    plan = {
        "name": "Spring letter",
        "template": fields.pop("template", None) or make_template(),
        "ways": [Way.EMAIL],
        "team": team or make_team(),
        "segment": fields.pop("segment") if "segment" in fields else make_segment(),
        "per_minute": 60_000,
    } | fields
    return campaigns.create(campaigns.Plan(**plan), by=SYSTEM, now=NOW)


def people(count: int, team: Team, **fields: Any) -> list[Customer]:
    """Each with an address of his own."""
    made = [make_customer([team], **{"time_zone": "UTC"} | fields) for _ in range(count)]
    for one in made:
        add_email(one, f"c{one.pk}@example.org")
    return made


def add_email(customer: Customer, value: str, **fields: Any) -> ContactPoint:
    return ContactPoint.objects.create(customer=customer, kind="email", value=value, **fields)


def start(campaign: Campaign, clock: Time) -> Campaign:
    return campaigns.start(campaign.pk, by=SYSTEM, now=clock())


def feed(clock: Time) -> int:
    return feeding.work_off(clock=clock)


def run(clock: Time, *, seconds: float = 4, tick: float = 2, ways: Iterable[str] = (Way.EMAIL,)) -> None:
    """Ticks and senders until so much time has passed, and once more at its end."""
    end = clock.now + timedelta(seconds=seconds)
    while True:
        feed(clock)
        for way in ways:
            sending.work_off(way, clock=clock)
        if clock.now >= end:
            return
        clock.now = min(clock.now + timedelta(seconds=tick), end)


def of(campaign: Campaign) -> list[Delivery]:
    return list(Delivery.objects.filter(cause=campaign.cause).order_by("due_at", "id"))


def state_of(campaign: Campaign) -> str:
    campaign.refresh_from_db()
    return campaign.state
