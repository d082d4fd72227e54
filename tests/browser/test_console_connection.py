"""The agents' desk on bad networks: nothing is lost or doubled, and it heals by itself."""

from __future__ import annotations

import re

import pytest
from django.db import OperationalError
from django.utils import timezone
from playwright.sync_api import expect

from apps.console.services import desks
from apps.messaging import policy
from apps.messaging.errors import NotYourConversation
from apps.routing.models import Offer
from apps.users.models import User
from apps.users.services import people
from tests.browser.console import Console, Open, conversation_of, customer_writes, stored
from tests.browser.network import lossy, only
from tests.browser.talking import Place, until
from tests.factories import hand_to, make_message, put_in_line


def test_connection_loss_heals_without_gap_or_double(ana: Console, place: Place) -> None:
    item = customer_writes(place)
    ana.accept()
    ana.say("one")
    ana.expect_said("Hello", "one")
    ana.page.context.set_offline(True)
    expect(ana.connection_bar).to_contain_text("Connection lost")
    ana.say("three")
    ana.say("four")
    waits = "Goes as soon as the connection is back"
    expect(ana.page.locator("#outbox .msg")).to_have_text(
        [re.compile(f"{n}\\s*{waits}") for n in ("three", "four")]
    )
    make_message(conversation_of(item), "two")
    ana.page.context.set_offline(False)
    expect(ana.connection_bar).to_be_hidden()
    ana.expect_said("Hello", "one", "two", "three", "four")
    assert stored(item.conversation) == ["one", "three", "four"]


def test_offers_made_while_the_connection_was_lost_ring_afterwards(ana: Console, place: Place) -> None:
    ana.page.context.set_offline(True)
    expect(ana.connection_bar).to_be_visible()
    customer_writes(place)
    ana.page.context.set_offline(False)
    expect(ana.offers).to_have_count(1)


def test_an_offer_ends_by_itself_when_no_frame_says_so(place: Place, sign_in: Open) -> None:
    console = sign_in(place.agent.user)
    console.page.route_web_socket("**/ws/desk/", only("ready", "ping"))
    console.page.clock.install()
    item = customer_writes(place)
    console.open()
    expect(console.offers).to_have_count(1)
    Offer.objects.filter(item=item).update(expires_at=timezone.now())
    # Longer than it rings, and not so long that the silence of the socket is noticed.
    console.page.clock.fast_forward("00:21")
    expect(console.offers).to_have_count(0)


def test_a_conversation_the_server_could_not_watch_becomes_live_by_itself(
    place: Place, sign_in: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was away for that one moment."""
    may_watch, asked = desks.may_watch, []

    def fail_at_first(user: User, *, conversation_id: int) -> bool:
        asked.append(conversation_id)
        if len(asked) == 1:
            raise OperationalError
        return may_watch(user, conversation_id=conversation_id)

    monkeypatch.setattr(desks, "may_watch", fail_at_first)
    item = hand_to(put_in_line(place.queue), place.agent)
    console = sign_in(place.agent.user).open(f"/console/c/{item.conversation_id}/")
    until(console.page, lambda: len(asked) > 1, seconds=20)
    make_message(item.conversation, "still there?")
    console.expect_said("Hello", "still there?")


def test_without_a_socket_messages_go_by_form(place: Place, sign_in: Open) -> None:
    item = hand_to(put_in_line(place.queue), place.agent)
    console = sign_in(place.agent.user)
    console.page.route_web_socket("**/ws/desk/", lambda socket: socket.close(code=1012))
    console.page.goto(f"/console/c/{item.conversation_id}/")
    console.say("By form")
    console.expect_said("Hello", "By form")
    assert stored(item.conversation) == ["By form"]
    until(console.page, lambda: conversation_of(item).agent_read_seq > 0)


def test_a_message_whose_ack_is_lost_is_not_doubled(place: Place, sign_in: Open) -> None:
    item = hand_to(put_in_line(place.queue), place.agent)
    console = sign_in(place.agent.user)
    console.page.route_web_socket("**/ws/desk/", only("ready", "ping", "replay"))
    console.open(f"/console/c/{item.conversation_id}/")
    console.say("Once")
    console.expect_said("Hello", "Once")
    until(console.page, lambda: console.page.locator("#outbox .msg").count() == 0)
    assert stored(item.conversation) == ["Once"]


def test_a_lossy_socket_shows_everything_once_and_in_order(place: Place, sign_in: Open) -> None:
    """Every fifth frame from the server is lost, and the socket breaks now and then."""
    item = hand_to(put_in_line(place.queue), place.agent)
    console = sign_in(place.agent.user)
    console.page.route_web_socket("**/ws/desk/", lossy(seed=4))
    console.open(f"/console/c/{item.conversation_id}/")
    said = ["Hello"]
    for number in range(25):
        make_message(item.conversation, f"question {number}")
        said.append(f"question {number}")
        console.page.wait_for_timeout(20)
    until(console.page, lambda: console.bubbles.count() == len(said), seconds=40)
    console.expect_said(*said)


def test_what_cannot_be_sent_says_why_and_is_not_lost(
    ana: Console, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_away(body: str, *, has_attachments: bool) -> None:
        """At that very moment; the desk has not been told."""
        raise NotYourConversation

    item = customer_writes(place)
    ana.accept()
    monkeypatch.setattr(policy, "check_body", taken_away)
    ana.say("Too late")
    failed = ana.page.locator("#outbox .msg--failed")
    expect(failed).to_contain_text("Another agent has this conversation.")
    failed.get_by_role("button", name="Discard").click()
    expect(ana.input).to_have_value("Too late")
    assert stored(item.conversation) == []


def test_a_session_that_ends_leads_to_sign_in(ana: Console) -> None:
    people.sign_out_everywhere(ana.user, by=ana.user)
    expect(ana.page).to_have_url(re.compile("/account/login/"))
