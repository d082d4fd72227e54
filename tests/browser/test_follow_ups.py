"""An agent comes back to a conversation, and a supervisor has customers reminded."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from apps.notifications.models import Delivery, Reminder, Template
from apps.routing.services import snoozes
from apps.users.choices import Role
from apps.users.models import ContactPoint
from tests.browser.console import Console, customer_writes
from tests.browser.talking import Place
from tests.factories import make_customer, make_message, make_user


@pytest.fixture
def ana(place: Place, new_context, server) -> Console:
    return Console.of(place.agent.user, new_context=new_context, server=server)


def test_an_agent_sets_a_follow_up_and_comes_back_by_keyboard(ana: Console, place: Place) -> None:
    item = customer_writes(place)
    ana.open().accept()
    ana.page.keyboard.press("Alt+l")
    expect(ana.dialog).to_contain_text("Come back to Maria Keller")
    ana.dialog.get_by_text("Tomorrow morning").click()
    ana.dialog.get_by_label("What about").fill("Ask for the signed papers")
    ana.dialog.get_by_text("Off my list until then").click()
    ana.dialog.get_by_role("button", name="Save").click()
    expect(ana.dialog).to_be_hidden()
    expect(ana.toasts).to_contain_text("It comes back on")
    expect(ana.page.locator("#list")).to_contain_text("Later")
    reminder = Reminder.objects.get()
    assert (reminder.user, reminder.note) == (place.agent.user, "Ask for the signed papers")
    assert reminder.next_at is not None
    assert reminder.next_at > timezone.now() + timedelta(hours=1)

    ana.page.keyboard.press("Alt+f")
    expect(ana.dialog).to_contain_text("Ask for the signed papers")
    ana.dialog.get_by_role("button", name=re.compile("Cancel the follow-up")).click()
    expect(ana.dialog).to_contain_text("Nothing to come back to")
    ana.page.keyboard.press("Escape")

    make_message(item.conversation, "I have found it!")
    assert snoozes.wake_due(now=timezone.now()) == 1
    expect(ana.rows.filter(has_text="I have found it!")).to_be_visible()
    ana.choose("Maria Keller")
    expect(ana.page.locator("#do-wake")).to_have_count(0)


def test_what_cannot_be_is_said_in_the_dialog(ana: Console, place: Place) -> None:
    customer_writes(place)
    ana.open().accept()
    ana.page.keyboard.press("Alt+l")
    ana.dialog.get_by_label("What about").fill("Call back")
    ana.dialog.get_by_text("Another time").click()
    ana.dialog.get_by_role("textbox", name="Day").fill("2099-01-01")
    ana.dialog.get_by_role("button", name="Save").click()
    expect(ana.dialog.get_by_role("alert")).to_contain_text("within the next ten years")
    expect(ana.dialog.get_by_label("What about")).to_have_value("Call back")
    assert not Reminder.objects.exists()


def test_a_supervisor_writes_a_template_and_schedules_a_reminder(place: Place, new_context, server) -> None:
    team = place.queue.team
    boss = make_user(Role.SUPERVISOR, [team], name="Sofia")
    customer = make_customer([team], name="Ada Lovelace", time_zone="Europe/London")
    ContactPoint.objects.create(customer=customer, kind="email", value="ada@example.org", is_verified=True)
    page = Console.of(boss, new_context=new_context, server=server).page
    _write_template(page)
    _schedule(page, customer_name="Ada Lovelace")
    reminder = Reminder.objects.get()
    page.goto(f"/admin/notifications/reminder/{reminder.pk}/change/")
    expect(page.get_by_role("heading", name="Coming")).to_be_visible()
    expect(page.locator("main, #main, body").first).to_contain_text("by the clock of Europe/London")
    expect(page.get_by_text("Goes out", exact=True)).to_have_count(2)
    assert Delivery.objects.get().customer == customer


def _write_template(page: Page) -> None:
    page.goto("/admin/notifications/template/add/")
    page.locator("#id_name").fill("Papers")
    page.locator("#id_purpose").select_option(label="Service messages")
    card = page.locator(".text-card").first
    card.locator("[name$=-way]").select_option("email")
    card.locator("[name$=-subject]").fill("Your papers")
    card.locator("[name$=-body]").fill("Hello {customer.first_name|there}, {reminder.note|please send them}.")
    expect(card.locator(".text-card__preview")).to_contain_text("Hello Ada, ")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert Template.objects.get(slug="papers").version == 1


def _schedule(page: Page, *, customer_name: str) -> None:
    page.goto("/admin/notifications/reminder/add/")
    page.locator("#id_customer + .select2").click()
    page.locator(".select2-search__field").fill(customer_name)
    page.locator(".select2-results__option", has_text=customer_name).click()
    page.locator("#id_template").select_option(label="Papers")
    page.get_by_label("E-mail", exact=True).check()
    page.locator("#id_date").fill((timezone.now() + timedelta(days=2)).date().isoformat())
    page.locator("#id_time").fill("09:00")
    page.locator("#id_rrule").fill("FREQ=DAILY;COUNT=2")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
