"""The customer's chat page, as people use it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from apps.core import dispatch
from apps.core.events import SYSTEM
from apps.messaging.models import Conversation, Message
from apps.messaging.services import conversations
from apps.routing.choices import Otherwise
from apps.routing.models import CalendarDay, Callback, Queue
from tests.browser.talking import Desk, Place, Visitor, open_place, until
from tests.factories import hand_to, make_agent, make_calendar, make_user, put_in_line

NAUGHTY = [
    "<script>window.hacked = true</script>",
    "<img src=x onerror=window.hacked=true>",
    '"><svg/onload=window.hacked=true>',
    "javascript:window.hacked=true",
    "{{ 7*7 }} ${7*7} <%= 7*7 %> %s %(name)s {name}",
    "&lt;b&gt; &amp;amp; &#x27;",
    "'; DROP TABLE messages; --",
    "‮right to left‬ and ⁦isolated⁩",
    "Ṱ̺̺̕o͞ ̷i̲̬͇̪͙n̝̗͕v̟̜̘̦͟o̶̙̰̠kè͚̮̺̪̹̱̤",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "مرحبا بالعالم — שלום עולם",
    "田中さんにあげて下さい ผักชี",
    "x" * 3000,
    "\u200bzero\u200bwidth\ufeff",
    "  two  spaces\n\n\tand a tab",
    "https://example.com/<script>alert(1)</script>",
]


def read_aloud(page: Page) -> list[str]:
    return page.locator(".bubble [data-ref=body]").evaluate_all("all => all.map((one) => one.textContent)")


def test_customer_waits_in_line_and_is_answered(page: Page) -> None:
    place = open_place(capacity=4)  # one chat at a time
    busy_with = hand_to(put_in_line(place.queue), place.agent)
    ahead = put_in_line(place.queue, waited=60)
    customer = Visitor(page).open()
    expect(page.get_by_text("We are here")).to_be_visible()
    conversation = customer.start("Hello, where is my parcel?")
    expect(customer.wait).to_contain_text("You are number 2 in line.")
    expect(customer.wait).to_contain_text("You can keep writing")
    end(busy_with.conversation)
    Desk(place, ahead.conversation).accept()
    expect(customer.wait).to_contain_text("You are next in line.")
    end(ahead.conversation)
    desk = Desk(place, conversation).accept()
    expect(customer.heading).to_have_text("Ana")
    expect(customer.wait).to_be_hidden()
    desk.say("It left this morning.")
    customer.expect_said("Hello, where is my parcel?", "It left this morning.")
    customer.say("Thank you!")
    customer.expect_said("Hello, where is my parcel?", "It left this morning.", "Thank you!")
    until(page, lambda: desk.stored() == ["Hello, where is my parcel?", "Thank you!"])


def end(conversation: Conversation) -> None:
    conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
    dispatch.drain()


def test_messages_are_marked_sent_and_read(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start()).accept()
    last = page.locator(".message--own").last
    expect(last).to_contain_text("Sent")
    desk.say("One moment")
    desk.read()
    expect(last).to_contain_text("Read")
    until(page, lambda: Conversation.objects.get(pk=desk.conversation.pk).customer_read_seq == 3)


def test_reload_resumes(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("one")).accept()
    desk.say("two")
    customer.expect_said("one", "two")
    page.reload()
    customer.expect_said("one", "two")
    customer.say("three")
    customer.expect_said("one", "two", "three")
    expect(customer.heading).to_have_text("Ana")


def test_lost_agent_is_said_and_another_comes(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start()).accept()
    expect(customer.heading).to_have_text("Ana")
    make_agent(user=make_user(name="Ben Okafor", teams=[place.queue.team]))
    desk.lose()
    expect(customer.wait).to_contain_text("We are finding you another agent.")
    expect(customer.system_lines.last).to_contain_text("Your agent is gone")
    expect(customer.heading).to_have_text("Shop support")
    page.reload()
    expect(customer.wait).to_contain_text("We are finding you another agent.")
    customer.say("I am still here")
    desk.accept()
    expect(customer.wait).to_be_hidden()
    expect(customer.heading).to_have_text("Ben")


def test_nobody_there_takes_a_message(page: Page) -> None:
    place = open_place(is_staffed=False, away_text="We are asleep. Leave your message.")
    customer = Visitor(page).open()
    expect(page.get_by_text("We are asleep. Leave your message.")).to_be_visible()
    expect(page.get_by_text("Your message keeps its place in line.")).to_be_visible()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Phone").fill("+49 30 901820")
    page.get_by_label("Your message").fill("Call me about order 1815")
    page.get_by_role("button", name="Leave the message").click()
    expect(customer.wait).to_contain_text("Your message is saved.")
    conversation = Conversation.objects.get()
    assert conversation.is_left_message
    assert set(conversation.customer.contact_points.values_list("value", flat=True)) == {
        "ada@example.com",
        "+4930901820",
    }
    dispatch.drain()
    place.agent = make_agent(user=place.agent.user, capacity=100)
    Desk(place, conversation).accept().say("Good morning, Ada.")
    page.reload()
    customer.expect_said("Call me about order 1815", "Good morning, Ada.")


def test_form_says_what_is_missing_and_keeps_what_was_typed(page: Page) -> None:
    open_place()
    # From the first request on: what is set up in front of a key press may come too late for it.
    reached = True
    page.route("**/start/", lambda route: route.continue_() if reached else route.abort())
    Visitor(page).open()
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Start the conversation").click()
    name = page.get_by_label("Your name")
    expect(name).to_be_focused()
    expect(page.get_by_text("Please tell us your name.")).to_be_visible()
    name.fill("Ada")
    page.get_by_label("E-mail").fill("not an address")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is not an e-mail address.")).to_be_visible()
    assert not Conversation.objects.exists()
    page.get_by_label("E-mail").fill("")
    reached = False
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="could not be reached")).to_be_visible()
    reached = True
    page.get_by_role("button", name="Start the conversation").click()
    Visitor(page).expect_said("Hello")


def test_ended_conversation_is_rated_and_a_new_one_started(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("one")).accept()
    desk.say("two")
    desk.close()
    expect(page.get_by_text("How did we do?")).to_be_visible()
    expect(customer.input).to_be_hidden()
    page.get_by_role("radio", name="Good", exact=True).check()
    page.get_by_label("Comment").fill("Quick and kind.")
    page.get_by_role("button", name="Send the rating").click()
    expect(page.get_by_text("Thank you for your rating.")).to_be_visible()
    desk.conversation.refresh_from_db()
    assert (desk.conversation.rating, desk.conversation.rating_comment) == (4, "Quick and kind.")
    page.get_by_role("button", name="Start a new conversation").click()
    expect(page.get_by_label("Your name")).to_have_value("Ada")
    again = customer.start("three")
    assert again.pk != desk.conversation.pk
    assert again.customer_id == desk.conversation.customer_id


def test_customer_ends_it_by_keyboard_alone(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Ada")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(customer.input).to_be_focused()
    customer.expect_said("first line\nsecond line")
    dispatch.drain()
    Desk(place, Conversation.objects.get()).accept()
    page.keyboard.type("bye")
    page.keyboard.press("Enter")
    expect(customer.bubbles).to_have_count(2)
    page.get_by_role("button", name="More").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="End the conversation")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="End it").press("Enter")
    expect(page.get_by_text("How did we do?")).to_be_visible()
    assert Conversation.objects.get().status == "closed"


def test_naughty_strings_are_shown_as_text(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start(NAUGHTY[0], name=NAUGHTY[1])).accept()
    for text in NAUGHTY:
        desk.say(text)
    expect(customer.bubbles).to_have_count(len(NAUGHTY) + 1)
    customer.input.fill(NAUGHTY[2])
    customer.input.press("Enter")
    expect(page.locator(".message[data-state=sent]")).to_have_count(2)
    assert read_aloud(page) == [NAUGHTY[0], *NAUGHTY, NAUGHTY[2]]
    made = page.locator(".bubble *:not(span, a)")
    assert made.count() == 0
    links = page.locator(".bubble a").evaluate_all("all => all.map((link) => link.href)")
    assert links == ["https://example.com/"]
    assert page.evaluate("window.hacked") is None
    box = page.locator(".chat__scroller").evaluate("(box) => box.scrollWidth - box.clientWidth")
    assert box == 0


def test_links_are_safe(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("hi")).accept()
    desk.say(
        "See (https://example.com/a_(b)), https://bank.example@evil.example and http://x.example/\u202egpj.exe."
    )
    expect(customer.bubbles).to_have_count(2)
    links = page.locator(".bubble a")
    expect(links).to_have_count(1)
    assert links.get_attribute("href") == "https://example.com/a_(b)"
    assert set(links.get_attribute("rel").split()) >= {"noopener", "noreferrer"}


def test_picture_is_uploaded_shown_and_pasted(page: Page, tmp_path) -> None:
    from PIL import Image

    picture = tmp_path / "letter.png"
    Image.new("RGB", (640, 420), (90, 140, 220)).save(picture)
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("hi")).accept()
    page.locator("input[type=file]").set_input_files(picture)
    customer.say("Here it is")
    shown = page.locator(".picture img")
    expect(shown).to_be_visible()
    until(page, lambda: Message.objects.filter(body="Here it is", attachments__name="letter.png").exists())
    page.reload()
    expect(shown).to_be_visible()
    assert shown.evaluate("(image) => image.naturalWidth") == 640
    page.locator(".picture").click()
    expect(page.locator(".lightbox img")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".lightbox")).to_be_hidden()
    assert desk.stored() == ["hi", "Here it is"]


def test_refused_file_is_said(page: Page, tmp_path) -> None:
    place = open_place()
    customer = Visitor(page).open()
    Desk(place, customer.start("hi")).accept()
    program = tmp_path / "holiday.png"
    program.write_bytes(b"MZ\x90\x00" + bytes(200))
    page.locator("input[type=file]").set_input_files(program)
    expect(page.locator(".tray__item--failed")).to_contain_text("Only pictures")
    page.get_by_role("button", name="Remove holiday.png").click()
    expect(page.locator(".tray__item")).to_have_count(0)


def test_typing_is_shown_to_both(page: Page) -> None:
    from apps.core import realtime

    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("hi")).accept()
    expect(customer.heading).to_have_text("Ana")
    frame = {"type": "typing", "conversation": desk.conversation.pk, "sender": "agent", "name": "Ana"}
    realtime.publish(realtime.conversation_group(desk.conversation.pk), frame)
    expect(page.locator(".chat__typing")).to_be_visible()
    desk.say("Hello")
    expect(page.locator(".chat__typing")).to_be_hidden()


def test_new_message_counts_in_the_title_while_nobody_looks(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("hi")).accept()
    expect(customer.heading).to_have_text("Ana")
    hide(page, True)
    desk.say("one")
    desk.say("two")
    expect(page).to_have_title("(2) Shop support")
    hide(page, False)
    expect(page).to_have_title("Shop support")


def hide(page: Page, is_hidden: bool) -> None:
    page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        "hidden" if is_hidden else "visible",
    )


def test_dead_token_leads_back_to_the_start(page: Page) -> None:
    place = open_place()
    customer = Visitor(page).open()
    desk = Desk(place, customer.start("hi"))
    page.goto("about:blank")
    desk.conversation.sessions.all().delete()
    customer.open()
    expect(page.get_by_text("Your earlier conversation is over.")).to_be_visible()
    expect(page.get_by_label("Your name")).to_be_visible()


def test_forgotten_on_this_device(page: Page) -> None:
    open_place()
    customer = Visitor(page).open()
    customer.start("hi")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Forget it on this device").click()
    page.get_by_role("button", name="Forget it", exact=True).click()
    expect(page.get_by_label("Your name")).to_have_value("")
    kept = page.evaluate("Object.keys(localStorage).filter((key) => !key.endsWith(':muted'))")
    assert kept == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_sticks_out(new_context, width: int) -> None:
    context: BrowserContext = new_context(viewport={"width": width, "height": 640})
    page = context.new_page()
    place = open_place()
    customer = Visitor(page).open()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    desk = Desk(place, customer.start("W" * 400)).accept()
    desk.say("https://example.com/" + "a" * 300)
    expect(customer.bubbles).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert customer.input.is_visible()


# Closed, and called back


def close_queue(place: Place, days: int = 3, **fields) -> dt.date:
    """Open on a day to come only, so it is closed now whatever the hour."""
    opens = timezone.now().date() + dt.timedelta(days=days)
    calendar = make_calendar()
    CalendarDay.objects.create(
        calendar=calendar, date=opens, name="Open day", ranges="08:00-12:30, 13:30-18:00"
    )
    Queue.objects.filter(pk=place.queue.pk).update(calendar=calendar, **fields)
    return opens


def test_closed_chat_tells_when_it_opens_on_the_visitors_clock(new_context) -> None:
    opens = close_queue(open_place())
    page = new_context(timezone_id="Asia/Kolkata").new_page()
    page.goto("/chat/support/")
    expect(page.get_by_role("heading", name="We are closed right now")).to_be_visible()
    # Half past five ahead of UTC.
    expect(page.get_by_text(f"We open on {opens:%A} at 1:30 PM.")).to_be_visible()
    page.get_by_text("Opening times, on your clock").click()
    expect(page.locator("[data-ref=opening-days] dt")).to_have_text(f"{opens:%A}")
    expect(page.locator("[data-ref=opening-days] dd")).to_have_text("1:30 PM–6:00 PM, 7:00 PM–11:30 PM")
    expect(page.get_by_role("radio", name="Call me")).to_be_hidden()


def test_todays_weekday_is_told_when_today_is_over(new_context) -> None:
    opens = close_queue(open_place(), days=7)
    page = new_context(timezone_id="UTC").new_page()
    page.goto("/chat/support/")
    page.get_by_text("Opening times, on your clock").click()
    expect(page.locator("[data-ref=opening-days] dt")).to_have_text(f"{opens:%A}")
    expect(page.locator("[data-ref=opening-days] dd")).to_have_text("8:00 AM–12:30 PM, 1:30 PM–6:00 PM")


def test_who_comes_while_it_is_closed_may_ask_to_be_called(page: Page) -> None:
    close_queue(open_place(), when_closed=Otherwise.CALLBACK)
    page.goto("/chat/support/")
    page.get_by_role("radio", name="Call me").check()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Your message").fill("About my card")
    page.get_by_role("button", name="Leave the message").click()
    expect(page.get_by_text("Which number shall we call?")).to_be_visible()
    page.get_by_label("Phone").fill("112")
    page.get_by_role("button", name="Leave the message").click()
    expect(page.get_by_text("never dialled")).to_be_visible()
    page.get_by_label("Phone").fill("+44 20 7946 0018")
    page.get_by_role("button", name="Leave the message").click()
    expect(page.locator(".wait")).to_contain_text("We call you at +442079460018.")
    expect(page.locator(".wait")).to_contain_text("We open on")
    callback = Callback.objects.get()
    assert (callback.phone, callback.conversation.is_left_message) == ("+442079460018", True)


def test_who_waits_asks_to_be_called_and_thinks_better_of_it(page: Page) -> None:
    place = open_place(capacity=4)
    Queue.objects.filter(pk=place.queue.pk).update(longest_wait_seconds=0, when_full=Otherwise.CALLBACK)
    hand_to(put_in_line(place.queue), place.agent)
    customer = Visitor(page).open()
    conversation = customer.start()
    expect(customer.wait).to_contain_text("Expected wait:")
    page.get_by_role("button", name="call or write to me").click()
    page.get_by_role("textbox", name="Number to call").fill("+44 20 7946 0018")
    page.get_by_role("button", name="Ask for it").click()
    expect(customer.wait).to_contain_text("We call you at +442079460018.")
    assert Callback.objects.open().get().conversation == conversation
    page.get_by_role("button", name="No callback after all").click()
    expect(customer.wait).not_to_contain_text("We call you")
    assert not Callback.objects.open().exists()


# Full


def busy_place() -> Place:
    """Somebody is at the desk, and talks with somebody else."""
    place = open_place(capacity=4)
    hand_to(put_in_line(place.queue), place.agent)
    return place


def fill_queue(place: Place, **fields) -> None:
    """Whoever waits does so for too long."""
    Queue.objects.filter(pk=place.queue.pk).update(longest_wait_seconds=0, **fields)


def test_full_chat_asks_for_a_message_and_says_that_it_is_saved(page: Page) -> None:
    fill_queue(busy_place(), when_full=Otherwise.MESSAGE)
    customer = Visitor(page).open()
    expect(page.get_by_role("heading", name="Leave us a message")).to_be_visible()
    expect(page.get_by_text("Everybody is talking, and many wait already.")).to_be_visible()
    expect(page.locator("[data-ref=header-status]")).to_have_text("Many wait already")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Your message").fill("About my card")
    page.get_by_role("button", name="Leave the message").click()
    expect(customer.wait).to_contain_text("Your message is saved.")
    dispatch.drain()
    page.reload()
    expect(customer.wait).to_contain_text("Your message is saved.")
    expect(customer.wait).to_contain_text("You may close this page")


def test_who_waits_while_it_becomes_full_is_told_that_he_need_not_stay(page: Page) -> None:
    place = busy_place()
    customer = Visitor(page).open()
    customer.start()
    expect(customer.wait).to_contain_text("You can keep writing")
    fill_queue(place, when_full=Otherwise.MESSAGE)
    page.reload()
    expect(customer.wait).to_contain_text("You are next in line.")
    expect(customer.wait).to_contain_text("It takes longer than usual. You may close this page")
    expect(page.get_by_role("button", name="call or write to me")).to_be_hidden()


def test_who_comes_while_it_is_full_is_shown_the_way_to_a_callback(page: Page) -> None:
    fill_queue(busy_place(), when_full=Otherwise.CALLBACK)
    customer = Visitor(page).open()
    expect(page.get_by_text("you may ask to be called or written to instead of waiting here")).to_be_visible()
    customer.start()
    expect(customer.wait).to_contain_text("ask below to be called, or written to here")
    expect(page.get_by_role("button", name="call or write to me")).to_be_visible()
