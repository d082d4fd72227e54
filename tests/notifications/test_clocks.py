"""Clocks that are wrong, that differ and that are set (F23): the database's decides, and nothing goes out twice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from time import sleep as pause
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.notifications import clock
from apps.notifications.choices import DeliveryState, Way
from apps.notifications.clock import DatabaseClock
from apps.notifications.models import Delivery, Purpose, Template, TemplateVersion
from apps.notifications.services import claiming, reminders, sending
from tests.notifications.gate import Time, make_delivery, reachable

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite's clock is the host's; there is only one"
)
SKEWS = [timedelta(hours=1), timedelta(hours=-1), timedelta(minutes=10), timedelta(minutes=-10)]


class Host:
    """A machine whose clock is wrong by `skew`, as this program reads it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.skew = timedelta()
        right = timezone.now
        monkeypatch.setattr(timezone, "now", lambda: right() + self.skew)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("delays", [(0.05, 0.0), (0.0, 0.05)], ids=["asking", "answering"])
def test_a_database_that_takes_its_time_makes_nothing_go_out_early(monkeypatch, delays) -> None:
    def slowly() -> datetime:
        pause(delays[0])
        read = timezone.now()
        pause(delays[1])
        return read

    monkeypatch.setattr(clock, "_database_time", slowly)
    assert DatabaseClock()() <= timezone.now()
    kept = DatabaseClock()
    kept()
    assert kept() <= timezone.now()


@pytest.mark.services
@on_postgresql
@pytest.mark.parametrize("skew", SKEWS, ids=str)
def test_f23_a_host_with_a_wrong_clock_sends_what_is_due_and_nothing_else(gate, host, skew) -> None:
    now = database_now()
    due = make_delivery(due_at=now - timedelta(seconds=1))
    coming = make_delivery(due_at=now + timedelta(minutes=5))
    host.skew = skew
    assert sending.work_off(Way.EMAIL, clock=DatabaseClock()) == 1
    due.refresh_from_db()
    coming.refresh_from_db()
    assert (due.state, coming.state) == (DeliveryState.SENT, DeliveryState.DUE)
    assert due.sent_at is not None
    assert timedelta() <= due.sent_at - now < timedelta(minutes=1)


@pytest.mark.services
@on_postgresql
@pytest.mark.parametrize("skew", SKEWS, ids=str)
def test_f23_a_host_with_a_wrong_clock_takes_no_work_away_from_another(gate, host, skew) -> None:
    row = make_delivery(due_at=database_now() - timedelta(seconds=1))
    batch = claiming.claim(Way.EMAIL, most=10, now=DatabaseClock()())
    assert batch is not None
    host.skew = skew
    other = DatabaseClock()
    assert sending.recover(Way.EMAIL, now=other()) == 0
    assert sending.work_off(Way.EMAIL, clock=other) == 0
    row.refresh_from_db()
    assert (row.state, row.claim) == (DeliveryState.SENDING, 1)


def daily(at: time, *, start: date, now: datetime) -> None:
    purpose = Purpose.objects.create(slug="daily", name="Daily")
    template = Template.objects.create(slug="daily", name="Daily", purpose=purpose, version=1)
    texts = {"email": {"en": {"subject": "Daily", "body": "It is time."}}}
    TemplateVersion.objects.create(template=template, number=1, texts=texts)
    plan = reminders.Plan(
        template=template,
        to=reachable(time_zone=BERLIN.key),
        ways=[Way.EMAIL],
        date=start,
        time=at,
        rrule="FREQ=DAILY",
    )
    reminders.schedule(plan, by=SYSTEM, now=now)


# Both nights of 2026, and what the database's clock does meanwhile: nothing, or it is set back an hour at half past
# each hour, for an hour (so that every moment of the night comes twice, some of them out of order).
@pytest.mark.parametrize("night", [date(2026, 3, 29), date(2026, 10, 25)], ids=str)
@pytest.mark.parametrize("is_set_back", [False, True])
def test_f23_on_the_night_the_clocks_change_each_day_is_sent_once(gate, night, is_set_back) -> None:
    start = datetime.combine(night - timedelta(days=1), time(), tzinfo=UTC)
    daily(time(2, 30), start=night - timedelta(days=1), now=start)
    clock = Time(start)
    # Three days, looked at around the hours that matter: half past two is half past midnight or one in UTC.
    moments = [start + timedelta(days=day, minutes=15 * step) for day in range(3) for step in range(14)]
    for right in moments:
        clock.now = right - timedelta(hours=1) if is_set_back and right.minute >= 30 else right
        reminders.advance_all(now=clock())
        sending.work_off(Way.EMAIL, clock=clock)
    sent = Delivery.objects.filter(state=DeliveryState.SENT)
    days = Counter(row.slot_at.astimezone(BERLIN).date() for row in sent)
    assert days == {night + timedelta(days=offset): 1 for offset in (-1, 0, 1)}
    assert len(gate.keys) == len(set(gate.keys)) == 3
    assert all(row.sent_at >= row.slot_at for row in sent)
