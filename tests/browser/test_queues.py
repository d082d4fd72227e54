"""The desk's list of queues, and the card of an offer in the room it has."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Console, customer_writes
from tests.browser.talking import Place, until
from tests.conftest import LiveServer
from tests.factories import make_calendar, make_queue, put_in_line

PHONE = {"width": 360, "height": 740}


@pytest.fixture(params=[None, PHONE], ids=["laptop", "phone"])
def ana(request: pytest.FixtureRequest, place: Place, server: LiveServer, new_context) -> Console:
    options = {"viewport": request.param} if request.param else {}
    return Console.of(place.agent.user, new_context=new_context, server=server, **options).open()


def overflow(page: Page, selector: str) -> int:
    return page.locator(selector).first.evaluate("one => one.scrollWidth - one.clientWidth")


def test_my_queues_are_one_click_away_and_live(ana: Console, place: Place) -> None:
    other = make_queue(name="Evening", team=place.queue.team, calendar=make_calendar(every=""))
    put_in_line(other, waited=125)
    ana.page.locator("#open-queues").focus()
    ana.page.keyboard.press("Enter")
    dialog = ana.page.get_by_role("dialog", name="My queues")
    rows = dialog.locator(".queue-line")
    expect(rows).to_have_count(2)
    closed = rows.filter(has_text="Evening")
    expect(closed).to_contain_text("closed now")
    expect(closed.locator("time")).to_have_text(re.compile(r"^2:\d\d$"))
    put_in_line(other, waited=60)
    expect(closed.locator(".queue-line__figures")).to_contain_text("2", timeout=8000)
    assert overflow(ana.page, "#queue-rows") == 0
    ana.page.keyboard.press("Escape")
    expect(ana.page.locator("#queue-rows")).to_have_count(0)


def test_the_buttons_of_an_offer_stay_inside_of_its_card(ana: Console, place: Place) -> None:
    customer_writes(place)
    expect(ana.offers).to_have_count(1)
    card = ana.offers.first

    def is_inside() -> bool:
        outer = card.bounding_box()
        inner = [button.bounding_box() for button in card.get_by_role("button").all()]
        return all(outer["x"] < b["x"] and b["x"] + b["width"] < outer["x"] + outer["width"] for b in inner)

    until(ana.page, is_inside)
