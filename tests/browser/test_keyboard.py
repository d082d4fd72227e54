"""The desk without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from apps.core import dispatch
from apps.messaging.choices import Status
from apps.messaging.models import CannedReply, Disposition, Tag
from apps.routing.choices import ItemState
from tests.browser.console import Console, conversation_of, customer_writes, stored
from tests.browser.talking import Place, open_place
from tests.factories import hand_to, make_reason, put_in_line


@pytest.fixture
def place(server) -> Place:
    place = open_place()
    place.queue.wrap_up_seconds = 60
    place.queue.save()
    return place


def test_a_whole_conversation_with_keys_alone(ana: Console, place: Place) -> None:
    CannedReply.objects.create(shortcut="bye", title="Goodbye", body="Have a good day!")
    for name in ("Solved", "Spam"):
        Disposition.objects.create(name=name)
    Tag.objects.create(name="vip")
    item = customer_writes(place, "Maria Keller")
    press = ana.page.keyboard.press
    expect(ana.offers).to_have_count(1)
    press("Alt+a")
    expect(ana.input).to_be_focused()
    ana.page.keyboard.type("First line")
    press("Shift+Enter")
    ana.page.keyboard.type("second line")
    press("Enter")
    ana.expect_said("Hello", "First line\nsecond line")
    press("Alt+n")
    ana.page.keyboard.type("A friendly one")
    press("Enter")
    expect(ana.notes).to_have_text("A friendly one")
    press("Alt+n")
    ana.page.keyboard.type("/by")
    expect(ana.page.locator(".canned__item:visible")).to_have_count(1)
    press("Enter")
    expect(ana.input).to_have_value("Have a good day!")
    press("Enter")
    ana.expect_said("Hello", "First line\nsecond line", "Have a good day!")
    press("Alt+g")
    expect(ana.dialog.get_by_role("checkbox", name="vip")).to_be_focused()
    press("Space")
    press("Enter")
    expect(ana.page.locator("#tags-section .chip")).to_have_text("vip")
    press("Alt+c")
    expect(ana.dialog.get_by_role("radio", name="Solved")).to_be_focused()
    press("Space")
    press("Enter")
    expect(ana.page.locator("#head")).to_contain_text("Closed: Solved")
    dispatch.drain()
    expect(ana.page.get_by_role("group", name="Wrap-up")).to_be_visible()
    press("Alt+w")
    expect(ana.page.get_by_role("heading", name="You are ready")).to_be_visible()
    item.refresh_from_db()
    assert item.state == ItemState.DONE
    assert conversation_of(item).status == Status.CLOSED
    assert stored(item.conversation) == ["First line\nsecond line", "Have a good day!"]


def test_moving_between_conversations(ana: Console, place: Place) -> None:
    names = [hand_to(put_in_line(place.queue), place.agent).conversation.customer.name for _ in range(3)]
    ana.page.reload()
    ana.expect_connected()
    for name in (*names, names[0]):
        ana.page.keyboard.press("Alt+ArrowDown")
        expect(ana.heading).to_have_text(name)
    ana.page.keyboard.press("Alt+ArrowUp")
    expect(ana.heading).to_have_text(names[2])
    ana.page.keyboard.press("Escape")
    expect(ana.thread).to_be_focused()
    ana.page.keyboard.press("j")
    expect(ana.heading).to_have_text(names[0])
    expect(ana.input).to_be_focused()
    ana.page.keyboard.type("jk?/r")
    expect(ana.input).to_have_value("jk?/r")
    ana.page.keyboard.press("Escape")
    ana.page.keyboard.press("k")
    expect(ana.heading).to_have_text(names[2])
    ana.page.keyboard.press("Escape")
    ana.page.keyboard.press("r")
    expect(ana.input).to_be_focused()


def test_presence_by_keys(ana: Console) -> None:
    make_reason("Lunch")
    ana.page.reload()
    ana.expect_connected()
    ana.page.keyboard.press("Alt+p")
    ana.page.keyboard.press("ArrowDown")
    expect(ana.page.get_by_role("button", name="Lunch")).to_be_focused()
    ana.page.keyboard.press("Enter")
    expect(ana.state).to_have_text("Lunch")
    ana.page.keyboard.press("Alt+p")
    ana.page.keyboard.press("Escape")
    expect(ana.page.locator("#presence-menu summary")).to_be_focused()


def test_declining_and_accepting_out_of_a_dialog(ana: Console, place: Place) -> None:
    customer_writes(place, "Maria")
    expect(ana.offers).to_have_count(1)
    ana.page.keyboard.press("Alt+d")
    expect(ana.offers).to_have_count(0)
    ana.page.keyboard.press("?")
    expect(ana.dialog).to_be_visible()
    customer_writes(place, "Jonas")
    expect(ana.offers).to_have_count(1)
    ana.page.keyboard.press("Alt+a")
    expect(ana.heading).to_have_text("Jonas")
    expect(ana.dialog).to_have_count(0)


def test_transfer_by_keys(ana: Console, place: Place) -> None:
    item = customer_writes(place)
    expect(ana.offers).to_have_count(1)
    ana.page.keyboard.press("Alt+a")
    expect(ana.heading).to_be_visible()
    ana.page.keyboard.press("Alt+t")
    expect(ana.dialog.get_by_role("radio").first).to_be_focused()
    ana.page.keyboard.press("Space")
    ana.page.keyboard.press("Enter")
    expect(ana.toasts).to_contain_text("Passed on to")
    item.refresh_from_db()
    assert item.state == ItemState.WAITING


def test_the_list_of_shortcuts_and_switching_single_keys_off(ana: Console) -> None:
    ana.page.keyboard.press("?")
    expect(ana.dialog.get_by_text("Accept what rings first")).to_be_visible()
    ana.dialog.get_by_role("checkbox").focus()
    ana.page.keyboard.press("Space")
    ana.page.keyboard.press("Escape")
    expect(ana.dialog).to_have_count(0)
    ana.page.keyboard.press("?")
    expect(ana.dialog).to_have_count(0)
    ana.page.reload()
    ana.expect_connected()
    ana.page.keyboard.press("?")
    expect(ana.dialog).to_have_count(0)


def test_every_stop_of_the_tab_key_is_visible_and_has_a_name(ana: Console, place: Place) -> None:
    customer_writes(place)
    ana.accept()
    stops: list[str] = []
    for _ in range(60):
        ana.page.keyboard.press("Tab")
        stop = ana.page.evaluate(
            """() => {
              const it = document.activeElement, box = it.getBoundingClientRect(), look = getComputedStyle(it);
              const near = it.closest(".composer__box, .choice");
              return { tag: it.tagName, seen: box.width > 0 && box.height > 0,
                ring: look.outlineStyle !== "none" || (near !== null && getComputedStyle(near).outlineStyle !== "none"),
                name: it.getAttribute("aria-label") || it.labels?.[0]?.textContent || it.textContent.trim() || it.alt };
            }"""
        )
        if stop["tag"] == "BODY":
            continue  # the way around leads through the browser's own bar
        if stop["name"] in stops:
            break
        assert stop["seen"], stop
        assert stop["ring"], stop
        assert stop["name"], stop
        stops.append(stop["name"])
    assert len(stops) > 12, stops
