"""The customer's chat on bad networks and in several windows: nothing is lost, doubled or mixed up."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from apps.messaging.models import Conversation
from tests.browser.network import lossy
from tests.browser.talking import Desk, Visitor, open_place, until


def test_connection_loss_heals_without_gap_or_double(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("one")).accept()
    expect(customer.heading).to_have_text("Ana")
    page.context.set_offline(True)
    expect(customer.connection_bar).to_be_visible()
    customer.say("three")
    customer.say("four")
    expect(page.locator(".message[data-state=sending]")).to_have_count(2)
    desk.say("two")
    page.context.set_offline(False)
    expect(customer.connection_bar).to_be_hidden()
    customer.expect_said("one", "two", "three", "four")
    until(page, lambda: desk.stored() == ["one", "three", "four"])
    customer.expect_said("one", "two", "three", "four")


def test_unsent_messages_survive_a_reload(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("one")).accept()
    page.route("**/api/v1/chat/messages/", lambda route: route.abort())
    page.context.set_offline(True)
    expect(customer.connection_bar).to_be_visible()
    customer.say("two")
    page.context.set_offline(False)
    page.unroute_all()
    page.reload()
    customer.expect_said("one", "two")
    until(page, lambda: desk.stored() == ["one", "two"])


def test_lossy_socket_shows_everything_once_and_in_order(page: Page) -> None:
    """Every fifth frame from the server is lost, and the socket breaks now and then."""
    place = open_place()
    page.route_web_socket("**/ws/chat/", lossy(seed=4))
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("start")).accept()
    said = ["start"]
    for number in range(30):
        desk.say(f"answer {number}")
        page.wait_for_timeout(20)
        said.append(f"answer {number}")
    until(page, lambda: customer.bubbles.count() == len(said), seconds=40)
    customer.expect_said(*said)


def test_without_socket_it_polls_and_posts(page: Page) -> None:
    place = open_place()
    page.route_web_socket("**/ws/chat/", lambda socket: socket.close(code=1012))
    page.clock.install()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("one")).accept()
    customer.say("two")
    until(page, lambda: desk.stored() == ["one", "two"])
    desk.say("three")
    page.clock.run_for(16_000)
    customer.expect_said("one", "two", "three")
    expect(customer.heading).to_have_text("Ana")


def test_two_tabs_show_the_same(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    second = Visitor(page.context.new_page()).open()
    desk = Desk(place, customer.start("one")).accept()
    second.expect_said("one")
    customer.say("two")
    second.say("three")
    desk.say("four")
    for tab in (customer, second):
        expect(tab.bubbles).to_have_count(4)
    assert sorted(desk.stored()) == ["one", "three", "two"]


def test_two_people_stay_apart(new_context) -> None:
    place = open_place()
    people = [Visitor(new_context().new_page()).open() for _ in range(2)]
    desks = [Desk(place, person.start(f"I am {n}")).accept() for n, person in enumerate(people)]
    for n, desk in enumerate(desks):
        desk.say(f"Hello {n}")
    for n, person in enumerate(people):
        person.expect_said(f"I am {n}", f"Hello {n}")


def test_start_whose_answer_was_lost_is_not_doubled(page: Page) -> None:
    open_place()

    def swallow(route) -> None:
        route.fetch()
        route.abort()

    page.route("**/start/", swallow)
    customer = Visitor(page).open()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Your message").fill("one")
    page.get_by_role("button", name="Start the conversation").click()
    expect(page.get_by_role("alert").filter(has_text="could not be reached")).to_be_visible()
    page.unroute_all()
    page.get_by_label("Your message").fill("two")
    page.get_by_role("button", name="Start the conversation").click()
    customer.expect_said("one", "two")
    assert Conversation.objects.count() == 1
