"""The agents' desk, as people use it."""

from __future__ import annotations

import re

from django.utils import timezone
from playwright.sync_api import APIResponse, Page, Route, expect

from apps.core import dispatch
from apps.messaging.models import CannedReply, Disposition, Tag
from apps.messaging.services import conversations
from apps.routing.choices import Chosen, ItemState, OfferState
from apps.routing.models import Agent, Offer
from apps.routing.services import agents, offers, work
from apps.users.choices import Role
from tests.browser.console import Console, Open, conversation_of, customer_writes, stored
from tests.browser.talking import Place, Visitor, open_place, until
from tests.browser.test_chat import NAUGHTY
from tests.conftest import LiveServer
from tests.factories import hand_to, make_agent, make_message, make_reason, make_user, put_in_line, ring


def test_signing_in_leads_to_the_desk(page: Page, server: LiveServer) -> None:
    user = make_user(name="Ana Silva", teams=[open_place().queue.team], email="ana@example.com")
    user.set_password("a long enough one")
    user.save()
    page.goto("/console/")
    page.get_by_label("E-mail").fill("ana@example.com")
    page.get_by_label("Password").fill("a long enough one")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/console/$"))
    expect(page.get_by_role("heading", name="You are not signed in for work")).to_be_visible()


def test_agent_accepts_by_click_and_talks_with_a_customer(ana: Console, place: Place, new_context) -> None:
    customer = Visitor(new_context().new_page()).open()
    conversation = customer.start("Where is my parcel?", name="Maria Keller")
    card = ana.offers.first
    expect(card).to_contain_text("Maria Keller")
    expect(card).to_contain_text("Where is my parcel?")
    expect(card).to_contain_text("Nobody else is signed in for it.")
    expect(ana.page).to_have_title(re.compile(r"^\(1\) "))
    ana.accept()
    expect(ana.offers).to_have_count(0)
    expect(ana.input).to_be_focused()
    expect(customer.heading).to_have_text("Ana")
    ana.say("Let me look.")
    customer.expect_said("Where is my parcel?", "Let me look.")
    customer.say("Thank you!")
    ana.expect_said("Where is my parcel?", "Let me look.", "Thank you!")
    assert stored(conversation) == ["Let me look."]
    until(ana.page, lambda: conversation_of(conversation.item).agent_read_seq == 4)


def test_both_sides_see_typing_and_reading(ana: Console, place: Place, new_context) -> None:
    customer = Visitor(new_context().new_page()).open()
    customer.start("Hello", name="Maria")
    ana.accept()
    customer.input.press_sequentially("I am")
    expect(ana.page.locator("#typing")).to_contain_text("Maria is typing")
    ana.input.press_sequentially("One")
    expect(customer.page.get_by_text("is typing")).to_be_visible()
    ana.say("One moment")
    expect(ana.page.locator(".msg--out.is-read")).to_have_count(1)


def test_presence_is_chosen_and_seen(place: Place, sign_in: Open) -> None:
    make_reason("Lunch")
    agents.choose(place.agent.user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=place.agent.user)
    ana = sign_in(place.agent.user).open()
    expect(ana.state).to_have_text("Signed out")
    ana.page.locator("#stage").get_by_role("button", name="Available").click()
    expect(ana.state).to_have_text("Available")
    expect(ana.page.get_by_role("heading", name="You are ready")).to_be_visible()
    ana.page.locator("#presence-menu summary").click()
    ana.page.get_by_role("button", name="Lunch").click()
    expect(ana.state).to_have_text("Lunch")
    expect(ana.page.get_by_role("heading", name="You are not ready: Lunch")).to_be_visible()
    assert Agent.objects.get(pk=place.agent.pk).chosen == Chosen.NOT_READY


def test_a_lapsed_offer_stops_ringing_and_says_what_follows(ana: Console, place: Place) -> None:
    item = customer_writes(place)
    expect(ana.offers).to_have_count(1)
    Offer.objects.filter(item=item).update(expires_at=timezone.now())
    offers.lapse_expired(now=timezone.now())
    expect(ana.offers).to_have_count(0)
    expect(ana.page.locator(".state__hint")).to_contain_text("You did not answer an offer")
    ana.page.get_by_role("button", name="I am back").first.click()
    expect(ana.state).to_have_text("Available")


def test_accepting_too_late_is_said(ana: Console, place: Place) -> None:
    item = customer_writes(place)
    expect(ana.offers).to_have_count(1)
    Offer.objects.filter(item=item).update(state=OfferState.CANCELLED)
    ana.page.get_by_role("button", name="Accept").click()
    expect(ana.toasts).to_contain_text("This offer was withdrawn.")
    expect(ana.offers).to_have_count(0)


def test_a_refusal_is_said_even_if_the_card_is_gone_meanwhile(ana: Console, place: Place) -> None:
    def late(route) -> None:
        Offer.objects.filter(item=item).update(state=OfferState.CANCELLED)
        ana.page.evaluate("document.body.dispatchEvent(new Event('frame:offer.ended'))")
        expect(ana.offers).to_have_count(0)
        route.continue_()

    ana.page.route("**/accept/", late)
    item = customer_writes(place)
    expect(ana.offers).to_have_count(1)
    ana.page.get_by_role("button", name="Accept").click()
    expect(ana.toasts).to_contain_text("This offer was withdrawn.")


def test_several_offers_stack_and_declining_leaves_the_others(ana: Console, place: Place) -> None:
    for name in ("Maria", "Jonas", "Lea"):
        customer_writes(place, name)
    expect(ana.offers).to_have_count(3)
    ana.page.get_by_role("button", name="Decline").first.click()
    expect(ana.offers).to_have_count(2)
    expect(ana.offers.first).to_contain_text("Jonas")


def test_several_conversations_keep_their_drafts_and_count_what_is_new(ana: Console, place: Place) -> None:
    maria, jonas = (hand_to(put_in_line(place.queue), place.agent).conversation for _ in range(2))
    names = [conversation.customer.name for conversation in (maria, jonas)]
    ana.page.reload()
    ana.expect_connected()
    ana.choose(names[0])
    ana.input.fill("For the first")
    ana.choose(names[1])
    expect(ana.input).to_have_value("")
    ana.input.fill("For the second")
    make_message(maria, "Are you there?")
    make_message(maria, "Hello?")
    row = ana.rows.filter(has_text=names[0])
    expect(row.locator(".count")).to_have_text("2")
    expect(row).to_contain_text("Hello?")
    expect(ana.page).to_have_title(re.compile(r"^\(2\) "))
    ana.choose(names[0])
    expect(ana.input).to_have_value("For the first")
    expect(row.locator(".count")).to_have_count(0)
    expect(ana.page).to_have_title(re.compile(rf"^{names[0]} "))
    ana.page.reload()
    expect(ana.input).to_have_value("For the first")
    ana.input.press("Enter")
    ana.choose(names[1])
    expect(ana.input).to_have_value("For the second")
    until(ana.page, lambda: stored(maria) == ["For the first"])


def test_a_note_is_for_colleagues(ana: Console, place: Place, new_context) -> None:
    customer = Visitor(new_context().new_page()).open()
    customer.start("Hello")
    ana.accept()
    ana.page.get_by_role("button", name="Note").click()
    ana.say("She sounds angry")
    expect(ana.notes).to_have_text("She sounds angry")
    ana.page.get_by_role("button", name="Reply", exact=True).click()
    ana.say("Good morning")
    customer.expect_said("Hello", "Good morning")
    expect(customer.page.get_by_text("She sounds angry")).to_have_count(0)


def test_canned_replies_open_with_a_slash_and_come_filled(ana: Console, place: Place) -> None:
    CannedReply.objects.create(shortcut="hello", title="Greeting", body="Hello {customer.first_name}!")
    CannedReply.objects.create(shortcut="bye", title="Goodbye", body="Bye!")
    customer_writes(place, "Maria Keller")
    ana.accept()
    ana.input.press_sequentially("/")
    options = ana.page.locator(".canned__item:visible")
    expect(options).to_have_count(2)
    ana.input.press_sequentially("he")
    expect(options).to_have_count(1)
    expect(options).to_contain_text("Hello Maria!")
    options.click()
    expect(ana.input).to_have_value("Hello Maria!")
    ana.input.press_sequentially(" See 1/2")
    expect(options).to_have_count(0)


def test_canned_replies_that_come_too_late_stay_away(ana: Console, place: Place) -> None:
    CannedReply.objects.create(shortcut="hello", title="Greeting", body="Hello!")
    held = []
    ana.page.route("**/canned/", lambda route: held.append(route))
    item = customer_writes(place)
    ana.accept()
    ana.input.press_sequentially("/h")
    until(ana.page, lambda: len(held) == 1)
    ana.input.fill("Good morning")
    held[0].continue_()
    ana.page.wait_for_timeout(400)
    expect(ana.page.locator(".canned__item:visible")).to_have_count(0)
    ana.input.press("Enter")
    ana.expect_said("Hello", "Good morning")
    assert stored(item.conversation) == ["Good morning"]


def test_files_are_attached_shown_and_sent(ana: Console, place: Place, new_context, tmp_path) -> None:
    customer = Visitor(new_context().new_page()).open()
    customer.start("Hello")
    ana.accept()
    picture = tmp_path / "card.png"
    ana.page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": 60, "height": 40})
    ana.page.locator("#compose input[type=file]").set_input_files(picture)
    expect(ana.page.locator("#files .chip")).to_contain_text("card.png")
    ana.say("See the picture")
    expect(ana.page.locator("#files .chip")).to_have_count(0)
    thumbnail = ana.page.locator(".file--image img")
    expect(thumbnail).to_have_js_property("naturalWidth", 60)
    expect(customer.page.get_by_role("img", name="card.png")).to_be_visible()
    wrong = tmp_path / "run.exe"
    wrong.write_bytes(b"MZ\x90\x00" + bytes(60))
    ana.page.locator("#compose input[type=file]").set_input_files(wrong)
    expect(ana.toasts).to_be_visible()
    expect(ana.page.locator("#files .chip")).to_have_count(0)


def test_passing_on_to_a_colleague(ana: Console, place: Place, sign_in: Open, new_context) -> None:
    colleague = make_agent(user=make_user(name="Ben Okafor", teams=[place.queue.team]))
    ben = sign_in(colleague.user).open()
    customer = Visitor(new_context().new_page()).open()
    conversation = customer.start("I need Ben")
    if Offer.objects.live().get(item__conversation=conversation).agent == colleague:
        ben.page.get_by_role("button", name="Decline").click()
        dispatch.drain()
    ana.accept()
    ana.page.get_by_role("button", name="Transfer").click()
    ana.dialog.get_by_role("radio", name=re.compile("Ben Okafor")).check()
    ana.dialog.get_by_role("button", name="Pass on").click()
    expect(ana.toasts).to_contain_text("Passed on to Ben.")
    expect(ana.rows).to_have_count(0)
    expect(ben.offers).to_contain_text("A colleague passes it on to you.")
    ben.accept()
    expect(customer.heading).to_have_text("Ben")
    ben.say("Here I am")
    customer.expect_said("I need Ben", "Here I am")


def test_passing_on_to_a_queue_and_the_words_of_the_timeline(ana: Console, place: Place) -> None:
    item = customer_writes(place)
    ana.accept()
    ana.page.get_by_role("button", name="Transfer").click()
    ana.dialog.get_by_role("radio", name=re.compile(place.queue.name)).check()
    ana.dialog.get_by_role("button", name="Pass on").click()
    expect(ana.toasts).to_contain_text(f"Passed on to {place.queue.name}.")
    ana.page.goto(f"/console/c/{item.conversation_id}/")
    expect(ana.page.locator("#head")).to_contain_text("Waits")
    expect(ana.page.locator(".timeline")).to_contain_text("Ana passed it on")
    expect(ana.page.locator("#composer")).to_contain_text("waits in line")


def test_closing_with_a_disposition_wrap_up_and_done(ana: Console, place: Place) -> None:
    place.queue.wrap_up_seconds = 60
    place.queue.save()
    Disposition.objects.create(name="Solved")
    Tag.objects.create(name="vip")
    item = customer_writes(place)
    ana.accept()
    ana.page.get_by_role("button", name="Close", exact=True).click()
    ana.dialog.get_by_role("radio", name="Solved").check()
    ana.dialog.get_by_role("button", name="Close conversation").click()
    expect(ana.page.locator("#head")).to_contain_text("Closed: Solved")
    dispatch.drain()
    bar = ana.page.get_by_role("group", name="Wrap-up")
    expect(bar).to_contain_text(re.compile(r"0:5\d|1:00"))
    ana.page.locator("#do-tags").click()
    ana.dialog.get_by_text("vip").click()
    ana.dialog.get_by_role("button", name="Save").click()
    expect(ana.page.locator("#tags-section .chip")).to_have_text("vip")
    ana.say("Called back, all good")
    expect(ana.notes).to_have_text("Called back, all good")
    bar.get_by_role("button", name="Done").click()
    expect(ana.page.get_by_role("heading", name="You are ready")).to_be_visible()
    item.refresh_from_db()
    assert item.state == ItemState.DONE


def test_a_wrap_up_that_begins_before_the_answer_arrives_is_seen(ana: Console, place: Place) -> None:
    place.queue.wrap_up_seconds = 60
    place.queue.save()
    customer_writes(place)
    ana.accept()
    held: list[tuple[Route, APIResponse]] = []
    ana.page.route("**/close/", lambda route: hold(route, held))
    ana.page.get_by_role("button", name="Close", exact=True).click()
    ana.dialog.get_by_role("button", name="Close conversation").click()
    until(ana.page, lambda: bool(held))
    dispatch.drain()
    expect(ana.rows.locator("time[data-until]")).to_be_visible()
    route, answer = held[0]
    route.fulfill(response=answer)
    expect(ana.page.get_by_role("group", name="Wrap-up")).to_be_visible()


def hold(route: Route, held: list[tuple[Route, APIResponse]]) -> None:
    """A form's answer is kept back when the server has given it already."""
    if route.request.method == "POST":
        held.append((route, route.fetch()))
    else:
        route.continue_()


def test_a_wrap_up_whose_time_is_over_leaves_the_desk(ana: Console, place: Place) -> None:
    place.queue.wrap_up_seconds = 2
    place.queue.save()
    customer_writes(place)
    ana.accept()
    ana.page.get_by_role("button", name="Close", exact=True).click()
    ana.dialog.get_by_role("button", name="Close conversation").click()
    expect(ana.page.locator("#head")).to_contain_text("Closed")
    dispatch.drain()
    expect(ana.page.get_by_role("group", name="Wrap-up")).to_be_visible()
    ana.page.wait_for_timeout(2100)
    work.end_wrap_ups(now=timezone.now())
    expect(ana.page.get_by_role("group", name="Wrap-up")).to_be_hidden()
    expect(ana.rows).to_have_count(0)


def test_a_customer_who_ends_it_is_seen_at_once(ana: Console, place: Place) -> None:
    item = customer_writes(place)
    ana.accept()
    ana.input.fill("You should")
    conversations.close(
        item.conversation_id, by=item.conversation.customer, now=timezone.now(), reason="ended_by_customer"
    )
    expect(ana.page.locator("#composer")).to_contain_text("This conversation is closed.")
    expect(ana.page.locator(".timeline")).to_contain_text("The customer left before an answer")


# Looks and settings


def test_settings_are_remembered(ana: Console) -> None:
    sound = ana.page.get_by_role("button", name="Sound")
    expect(sound).to_have_attribute("aria-pressed", "true")
    sound.click()
    ana.page.locator("#me summary").click()
    ana.page.get_by_role("button", name="Dark").click()
    ana.page.reload()
    expect(sound).to_have_attribute("aria-pressed", "false")
    assert ana.page.locator("html").get_attribute("data-theme") == "dark"
    scheme = "getComputedStyle(document.documentElement).colorScheme"
    assert ana.page.evaluate(scheme) == "dark"


def test_an_offer_rings_unless_sound_is_off(place: Place, sign_in: Open) -> None:
    console = sign_in(place.agent.user)
    console.page.add_init_script(
        "window.tones = 0; const start = OscillatorNode.prototype.start;"
        "OscillatorNode.prototype.start = function (at) { window.tones += 1; return start.call(this, at); };"
    )
    console.open()
    first = customer_writes(place)
    expect(console.offers).to_have_count(1)
    until(console.page, lambda: console.page.evaluate("window.tones") > 0)
    console.page.get_by_role("button", name="Decline").click()
    expect(console.offers).to_have_count(0)
    console.page.get_by_role("button", name="Sound").click()
    before = console.page.evaluate("window.tones")
    first.refresh_from_db()
    customer_writes(place, "Jonas")
    expect(console.offers.first).to_be_visible()
    console.page.wait_for_timeout(300)
    assert console.page.evaluate("window.tones") == before


def test_an_offer_is_a_desktop_notification_when_nobody_looks(place: Place, sign_in: Open) -> None:
    console = sign_in(place.agent.user, permissions=["notifications"])
    console.page.add_init_script(
        "window.notes = []; window.Notification = class { constructor(title) { window.notes.push(title); }"
        " static permission = 'granted'; static requestPermission = async () => 'granted'; close() {} };"
        "document.hasFocus = () => false;"
    )
    console.open()
    console.page.get_by_role("button", name="Desktop notifications").click()
    customer_writes(place, "Maria Keller")
    until(console.page, lambda: console.page.evaluate("window.notes.length") > 0)
    assert console.page.evaluate("window.notes[0]") == "New conversation for you: Maria Keller"


def test_on_a_phone_list_conversation_and_details_are_pages(place: Place, sign_in: Open) -> None:
    hand_to(put_in_line(place.queue), place.agent)
    console = sign_in(place.agent.user, viewport={"width": 390, "height": 844}, has_touch=True).open()
    side, talk, details = (console.page.locator(one) for one in (".desk__side", ".talk", "#details"))
    expect(side).to_be_visible()
    console.rows.first.click()
    expect(talk).to_be_visible()
    expect(side).to_be_hidden()
    console.page.get_by_role("button", name="Customer and history").click()
    expect(details).to_be_in_viewport()
    console.page.get_by_role("button", name="Back to the conversation").click()
    expect(details).not_to_be_in_viewport()
    console.page.get_by_label("Back to the list").click()
    expect(side).to_be_visible()
    expect(console.rows.first).to_be_focused()
    for page in ("list", "conversation", "details"):
        console.page.evaluate("page => document.querySelector('#desk').dataset.page = page", page)
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert console.page.evaluate(overflow) == 0
    ring(put_in_line(place.queue), place.agent)
    until(console.page, lambda: fits(console.offers.first.bounding_box(), width=390, height=844))


def fits(box: dict[str, float], *, width: int, height: int) -> bool:
    return box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= height


def test_earlier_messages_come_without_a_jump(place: Place, sign_in: Open) -> None:
    item = hand_to(put_in_line(place.queue), place.agent)
    for number in range(130):
        make_message(item.conversation, f"line {number}")
    console = sign_in(place.agent.user).open(f"/console/c/{item.conversation_id}/")
    expect(console.bubbles.last).to_be_in_viewport()
    first = console.page.locator(".msg__bubble").filter(has_text="line 40").first
    console.page.get_by_role("button", name="Show earlier messages").scroll_into_view_if_needed()
    before = first.bounding_box()
    console.page.get_by_role("button", name="Show earlier messages").click()
    expect(console.bubbles).to_have_count(131)
    assert abs(first.bounding_box()["y"] - before["y"]) < 60
    assert console.page.get_by_role("button", name="Show earlier messages").count() == 0


def test_new_messages_do_not_pull_somebody_who_reads_above(place: Place, sign_in: Open) -> None:
    item = hand_to(put_in_line(place.queue), place.agent)
    for number in range(40):
        make_message(item.conversation, f"line {number}")
    console = sign_in(place.agent.user).open(f"/console/c/{item.conversation_id}/")
    expect(console.bubbles.last).to_be_in_viewport()
    console.thread.evaluate("thread => thread.scrollTop = 0")
    make_message(item.conversation, "something new")
    more = console.page.get_by_role("button", name="New messages")
    expect(more).to_be_visible()
    expect(console.bubbles.first).to_be_in_viewport()
    more.click()
    expect(console.bubbles.last).to_have_text("something new")
    expect(console.bubbles.last).to_be_in_viewport()


def test_supervisors_watch_their_team(place: Place, sign_in: Open) -> None:
    sofia = sign_in(make_user(Role.SUPERVISOR, name="Sofia Marin", teams=[place.queue.team])).open()
    item = hand_to(put_in_line(place.queue), place.agent)
    sofia.page.get_by_role("button", name="Team", exact=True).click()
    team = sofia.page.locator("#team")
    expect(team).to_contain_text("On contact")
    team.locator("[data-row]").click()
    expect(sofia.page.locator("#head")).to_contain_text("With Ana")
    make_message(item.conversation, "Live for the supervisor too")
    expect(sofia.bubbles.last).to_have_text("Live for the supervisor too")
    expect(sofia.page.locator("#composer")).to_contain_text("Ana has this conversation.")


def test_naughty_strings_are_shown_as_text(ana: Console, place: Place) -> None:
    item = customer_writes(place, NAUGHTY[1])
    ana.accept()
    for words in NAUGHTY:
        make_message(item.conversation, words)
    expect(ana.bubbles).to_have_count(len(NAUGHTY) + 1)
    shown = ana.bubbles.evaluate_all("all => all.slice(1).map((one) => one.textContent)")
    assert shown == NAUGHTY
    assert ana.page.evaluate("window.hacked") is None
    for words in NAUGHTY[:3]:
        ana.say(words)
    expect(ana.bubbles).to_have_count(len(NAUGHTY) + 4)
    assert ana.page.evaluate("window.hacked") is None


def test_signing_out_gives_work_back(ana: Console, place: Place) -> None:
    item = customer_writes(place)
    ana.accept()
    ana.page.locator("#me summary").click()
    ana.page.locator("#me").get_by_role("button", name="Sign out").click()
    expect(ana.dialog).to_contain_text("You still have 1 conversation.")
    ana.dialog.get_by_role("button", name="Sign out").click()
    expect(ana.page).to_have_url(re.compile("/account/login/"))
    item.refresh_from_db()
    assert item.state in (ItemState.WAITING, ItemState.OFFERED)
    assert Agent.objects.get(pk=place.agent.pk).chosen == Chosen.SIGNED_OUT


def test_a_ring_of_somebody_who_went_not_ready_stops(ana: Console, place: Place) -> None:
    ring(put_in_line(place.queue), place.agent)
    expect(ana.offers).to_have_count(1)
    reason = make_reason("Lunch")
    agents.choose(ana.user, chosen=Chosen.NOT_READY, reason=reason, now=timezone.now(), by=ana.user)
    expect(ana.offers).to_have_count(0)
    expect(ana.state).to_have_text("Lunch")
