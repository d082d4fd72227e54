"""A supervisor writes to everybody of a segment, and watches it go out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import close_old_connections, connection
from django.test import Client
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from apps.notifications.models import Campaign, OutboxMessage, SendingQueue
from apps.notifications.services import defaults, feeding, sending
from apps.users.choices import Role
from tests.conftest import LiveServer
from tests.factories import make_team, make_template, make_user
from tests.notifications.campaigning import people
from tests.notifications.gate import make_gateway

PATIENCE_MS = 20_000


@pytest.fixture
def work(server: LiveServer) -> Iterator[None]:
    """What worker and notifier do, in a thread."""
    defaults.create_queues()
    make_gateway(kind="outbox")
    stopping = threading.Event()

    def work() -> None:
        while not stopping.wait(0.2):
            feeding.work_off(clock=timezone.now)
            sending.work_off("email", clock=timezone.now)
            close_old_connections()
        connection.close()

    thread = threading.Thread(target=work, name="work")
    thread.start()
    yield
    stopping.set()
    thread.join(20)


@pytest.fixture
def team(server: LiveServer):
    return make_team("Support")


@pytest.fixture
def sofia(new_context: Callable[..., BrowserContext], server: LiveServer, team) -> Page:
    user = make_user(Role.SUPERVISOR, [team], name="Sofia")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    context = new_context()
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": server.url}])
    return context.new_page()


def test_a_supervisor_writes_to_a_segment_and_sees_it_go_out(sofia: Page, team, work: None) -> None:
    there = people(12, team, language="de")
    people(3, team, language="fr")
    template = make_template(
        {"email": {"en": {"subject": "Spring", "body": "Hello {customer.first_name}"}}}, name="Spring letter"
    )

    sofia.goto("/admin/notifications/segment/add/")
    sofia.get_by_label("Name").fill("German speakers")
    sofia.get_by_label("Team").select_option(label="Support")
    sofia.get_by_label("Languages").fill("de")
    expect(sofia.locator("#segment-count")).to_contain_text("12 customers")
    sofia.get_by_role("button", name="Save", exact=True).click()

    sofia.goto("/admin/notifications/campaign/add/")
    sofia.locator("#id_name").fill("Spring 2026")
    sofia.locator("#id_template").select_option(label="Spring letter")
    sofia.get_by_label("E-mail").check()
    sofia.locator("#id_team").select_option(label="Support")
    sofia.locator("#id_segment").select_option(label="German speakers")
    sofia.locator("#id_per_minute").fill("300")
    sofia.get_by_role("button", name="Save", exact=True).click()
    expect(sofia.locator(".campaign__big")).to_have_text("12 customers")
    sofia.get_by_role("link", name="Start …").click()
    expect(sofia.get_by_role("heading", name="Start “Spring 2026”?")).to_be_visible()
    assert not OutboxMessage.objects.exists()
    sofia.get_by_role("button", name="Start it").click()

    # The page follows by itself.
    progress = sofia.locator("#campaign-progress")
    sofia.get_by_role("button", name="Pause").click()
    expect(progress.get_by_role("heading", name="Paused")).to_be_visible()
    sofia.get_by_role("button", name="Resume").click()
    expect(progress).to_contain_text("12 of 12 sent", timeout=PATIENCE_MS)
    expect(progress.get_by_role("heading", name="Done")).to_be_visible(timeout=PATIENCE_MS)
    expect(progress.get_by_role("link", name="Stop …")).to_have_count(0)

    sofia.goto("/admin/notifications/outboxmessage/")
    expect(sofia.locator("#result_list tbody tr")).to_have_count(12)
    assert {row.to for row in OutboxMessage.objects.all()} == {f"c{one.pk}@example.org" for one in there}
    assert OutboxMessage.objects.values("to").distinct().count() == OutboxMessage.objects.count() == 12
    assert Campaign.objects.get().template == template


def test_stopping_is_asked_for_and_leaves_the_rest_out(sofia: Page, team, work: None) -> None:
    people(3, team)
    SendingQueue.objects.update(is_paused=True)
    template = make_template()
    campaign = Campaign.objects.create(
        name="Mistake", template=template, team=team, ways=["email"], state="running", starts_at=timezone.now()
    )  # fmt: skip
    campaign.is_listed = True
    campaign.save()
    for number, customer in enumerate(team.customers.all()):
        campaign.recipients.create(customer=customer, way="email", values={"n": str(number)})
    sofia.goto(f"/admin/notifications/campaign/{campaign.pk}/change/")
    sofia.get_by_role("link", name="Stop …").click()
    expect(sofia.locator(".campaign__big")).to_have_text("3 messages would never go out")
    sofia.get_by_role("button", name="Stop it for good").click()
    expect(sofia.locator("#campaign-progress").get_by_role("heading", name="Stopped")).to_be_visible()
    assert Campaign.objects.get().state == "stopped"
    assert not OutboxMessage.objects.exists()
