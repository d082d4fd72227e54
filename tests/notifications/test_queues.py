"""Supervisors manage what waits to be sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.notifications import figures, gateways
from apps.notifications.choices import DeliveryState, Reason, Way
from apps.notifications.gateways import Outgoing
from apps.notifications.models import Attempt, Delivery, OutboxMessage, SendingQueue
from apps.notifications.services import defaults, outbox, queues
from apps.users.choices import Role
from tests.factories import make_team, make_user
from tests.notifications.campaigning import make_campaign
from tests.notifications.gate import Gate, make_delivery, make_gateway, reachable

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def without_second_factor(settings):
    settings.REQUIRE_MFA = False


def queue_of(priority: int = 1) -> SendingQueue:
    return SendingQueue.objects.get(way=Way.EMAIL, priority=priority)


def supervisor_page() -> Client:
    client = Client()
    client.force_login(make_user(Role.ADMIN))
    return client


def act(client: Client, model: str, name: str, *ids: int, **more: str):
    data = {"action": name, "_selected_action": ids, "index": 0} | more
    return client.post(reverse(f"admin:notifications_{model}_changelist"), data, follow=True)


def changes() -> list[tuple[str, int]]:
    return [
        (event.payload["what"], event.payload["count"])
        for event in Event.objects.filter(type="notifications.queue.changed").order_by("id")
    ]


def test_pause_resume_and_pace_are_recorded_once():
    queue = queue_of()
    for _ in range(2):
        queues.pause(queue.pk, by=SYSTEM, now=NOW)
    queues.set_pace(queue.pk, per_minute=60, by=SYSTEM, now=NOW)
    queues.set_pace(queue.pk, per_minute=60, by=SYSTEM, now=NOW)
    queues.resume(queue.pk, by=SYSTEM, now=NOW)
    assert changes() == [("paused", 0), ("pace", 60), ("resumed", 0)]
    assert (queue_of().is_paused, queue_of().per_minute) == (False, 60)


def test_dead_ones_of_one_queue_get_their_tries_back():
    dead = make_delivery(due_at=NOW, state=DeliveryState.DEAD, tries=10)
    other = make_delivery(due_at=NOW, state=DeliveryState.DEAD, priority=2)
    assert queues.retry_dead(queue_of().pk, by=SYSTEM, now=NOW) == 1
    dead.refresh_from_db()
    other.refresh_from_db()
    assert (dead.state, dead.tries, other.state) == (DeliveryState.DUE, 0, DeliveryState.DEAD)
    assert changes() == [("retried", 1)]


def test_dropping_asks_first():
    row, client = make_delivery(due_at=timezone.now() + timedelta(days=1)), supervisor_page()
    asked = act(client, "sendingqueue", "drop_waiting", queue_of().pk)
    assert "1 delivery would never go out. Drop it?</h2>" in asked.content.decode()
    row.refresh_from_db()
    assert row.state == DeliveryState.DUE
    act(client, "sendingqueue", "drop_waiting", queue_of().pk, confirmed="yes")
    row.refresh_from_db()
    assert (row.state, row.reason) == (DeliveryState.CANCELLED, Reason.DROPPED)
    assert changes() == [("dropped", 1)]


def test_the_page_pauses_paces_and_resumes():
    client, queue = supervisor_page(), queue_of()
    act(client, "sendingqueue", "pause", queue.pk)
    assert queue_of().is_paused
    client.post(reverse("admin:notifications_sendingqueue_change", args=[queue.pk]), {"per_minute": "120"})
    act(client, "sendingqueue", "resume", queue.pk)
    assert (queue_of().is_paused, queue_of().per_minute) == (False, 120)
    assert [what for what, _ in changes()] == ["paused", "pace", "resumed"]


def test_nothing_is_a_number_and_little_is_not_nothing():
    now = timezone.now()
    for _ in range(3):
        row = make_delivery(due_at=now - timedelta(seconds=7), state=DeliveryState.SENT, sent_at=now)
        Attempt.objects.create(delivery=row, number=1, at=now)
    page = supervisor_page().get(reverse("admin:notifications_sendingqueue_changelist"))
    (row,) = (row for row in page.context["results"] if "E-mail, Normal" in str(row[1]))
    text = [strip_tags(cell).split() for cell in row]
    assert (text[7], text[8], text[10]) == (["0"], ["0"], ["0.3"])


def test_the_page_of_a_queue_says_whether_it_runs_and_its_history_is_the_log():
    """The stream of a queue is read by who may pause it, of whatever team."""
    client, queue, boss = Client(), queue_of(), make_user(Role.SUPERVISOR, teams=[make_team()])
    client.force_login(boss)
    queues.pause(queue.pk, by=boss, now=NOW)
    shown = client.get(reverse("admin:notifications_sendingqueue_change", args=[queue.pk])).content.decode()
    assert "Paused" in shown
    assert "(&#x27;paused" not in shown
    history = reverse("admin:notifications_sendingqueue_history", args=[queue.pk])
    log = client.get(history, follow=True)
    assert [event.payload["what"] for event in log.context["cl"].result_list] == ["paused"]
    assert client.get(history.replace(str(queue.pk), "999999")).status_code == 404


@pytest.mark.parametrize(
    ("name", "state", "after"),
    [
        ("send_again", DeliveryState.DEAD, DeliveryState.DUE),
        ("send_again", DeliveryState.REVIEW, DeliveryState.DUE),
        ("send_again", DeliveryState.SENT, DeliveryState.SENT),
        ("mark_sent", DeliveryState.REVIEW, DeliveryState.SENT),
        ("mark_sent", DeliveryState.DEAD, DeliveryState.DEAD),
        ("drop", DeliveryState.DUE, DeliveryState.CANCELLED),
        ("drop", DeliveryState.SENDING, DeliveryState.SENDING),
    ],
)
def test_single_deliveries_are_settled_by_hand(name, state, after):
    row = make_delivery(due_at=timezone.now(), state=state)
    act(supervisor_page(), "delivery", name, row.pk)
    row.refresh_from_db()
    assert row.state == after
    assert Event.objects.filter(stream=row.stream).exists() == (state != after)


def test_a_delivery_leads_to_its_cause_and_to_all_that_was_meant_for_its_customer():
    campaign = make_campaign(make_team())
    row = make_delivery(due_at=NOW, cause=f"campaign:{campaign.pk}")
    page = reverse("admin:notifications_delivery_change", args=[row.pk])
    shown = supervisor_page().get(page).content.decode()
    assert reverse("admin:notifications_campaign_change", args=[campaign.pk]) in shown
    assert reverse("admin:notifications_delivery_customer", args=[row.customer_id]) in shown
    Delivery.objects.filter(pk=row.pk).update(cause="campaign:999999", customer=None)
    assert "campaign:999999" in supervisor_page().get(page).content.decode()


def test_a_supervisor_settles_nothing_of_another_team():
    row = make_delivery(due_at=timezone.now(), state=DeliveryState.DEAD)
    client = Client()
    client.force_login(make_user(Role.SUPERVISOR, teams=[make_team()]))
    act(client, "delivery", "send_again", row.pk)
    row.refresh_from_db()
    assert row.state == DeliveryState.DEAD


def test_f45_after_a_restore_what_may_have_gone_out_is_held(monkeypatch):
    monkeypatch.setitem(gateways.KINDS, "gate", Gate())
    monkeypatch.setitem(gateways.KINDS, "keyed", Gate(knows_keys=True))
    make_gateway()
    make_gateway(Way.WEBHOOK, kind="keyed")
    before, within, later = (make_delivery(due_at=NOW + timedelta(minutes=n)) for n in (-90, -30, 30))
    safe = make_delivery(due_at=NOW - timedelta(minutes=30), way=Way.WEBHOOK)
    assert queues.hold_after_restore(since=NOW - timedelta(hours=1), by=SYSTEM, now=NOW) == 1
    states = [Delivery.objects.get(pk=row.pk).state for row in (before, within, later, safe)]
    assert states == ["due", "review", "due", "due"]
    assert changes() == [("held", 1)]


def test_figures_of_a_queue(django_assert_num_queries):
    customer = reachable()
    for number, (state, minutes, tries) in enumerate(
        [("due", -5, 0), ("due", -1, 2), ("due", 5, 0), ("sending", 0, 1), ("dead", 0, 9), ("review", 0, 1)]
    ):
        make_delivery(
            customer,
            due_at=NOW + timedelta(minutes=minutes),
            state=state,
            tries=tries,
            occurrence=str(number),
        )
    for number in range(10):
        sent = make_delivery(
            customer,
            due_at=NOW - timedelta(seconds=60 + number),
            sent_at=NOW - timedelta(seconds=60),
            state=DeliveryState.SENT,
            occurrence=f"s{number}",
        )
        Attempt.objects.create(delivery=sent, number=1, at=NOW - timedelta(seconds=60))
    with django_assert_num_queries(3):
        queue = figures.of_queues(now=NOW)["email", 1]
    assert (queue.waiting, queue.due, queue.leased, queue.retrying) == (1, 2, 1, 1)
    assert (queue.dead, queue.review) == (1, 1)
    assert queue.oldest_seconds(NOW) == 300
    assert (queue.late(0.5), queue.late(0.99)) == (5, 9)
    assert round(queue.per_minute, 3) == 1


def test_the_outbox_says_that_nothing_left_the_machine():
    row = make_delivery(due_at=NOW)
    for _ in range(2):
        outbox.put_many([Outgoing(row.pk, row.key, "a@example.org", "Hi", "Hello", "<b>Hello</b>")])
    client = supervisor_page()
    listed = client.get(reverse("admin:notifications_outboxmessage_changelist")).content.decode()
    assert "have not left this machine" in listed
    message = OutboxMessage.objects.get()
    shown = client.get(
        reverse("admin:notifications_outboxmessage_change", args=[message.pk])
    ).content.decode()
    assert "have not left this machine" in shown
    assert 'sandbox srcdoc="&lt;b&gt;' in shown


def test_a_mail_server_puts_the_outbox_out_of_use(settings):
    from apps.notifications.models import Gateway

    settings.EMBEDDED = True
    defaults.create_gateways()
    assert list(Gateway.objects.filter(way="email").values_list("kind", flat=True)) == ["outbox"]
    settings.EMAIL_BACKEND = defaults.SMTP
    for _ in range(2):
        defaults.create_gateways()
    assert list(Gateway.objects.filter(way="email", is_active=True).values_list("kind", flat=True)) == [
        "smtp"
    ]


def test_hold_deliveries_says_how_many(capsys):
    make_gateway(kind="smtp")
    make_delivery(due_at=timezone.now() - timedelta(minutes=5))
    call_command("hold_deliveries", since=(timezone.now() - timedelta(hours=1)).isoformat())
    assert capsys.readouterr().out == "Held for review: 1.\n"


@pytest.mark.parametrize("since", ["yesterday", "2026-03-10T08:00"])
def test_hold_deliveries_wants_a_moment_with_its_zone(since):
    with pytest.raises(CommandError):
        call_command("hold_deliveries", since=since)
