"""The left-hand side and what rings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.messaging.models import Conversation
from apps.messaging.services import conversations
from apps.routing.choices import Chosen, ItemState, OfferState
from apps.routing.models import Agent, Offer
from apps.routing.services import agents, offers, router, work
from apps.users.choices import Role
from tests.console.conftest import events_of, open_desk, words_of
from tests.factories import (
    hand_to,
    make_agent,
    make_calendar,
    make_customer,
    make_message,
    make_queue,
    make_reason,
    make_user,
    put_in_line,
    ring,
)

pytestmark = pytest.mark.django_db


def test_the_desk_is_a_page_and_its_fragments(desk) -> None:
    page = words_of(desk.page("desk"))
    assert page.startswith("<!DOCTYPE html>")
    marks = {"list": 'class="side__scroll"', "presence": 'id="presence-menu"', "nothing": 'class="empty"'}
    for name, mark in marks.items():
        fragment = words_of(desk.get(name))
        assert page.count(mark) == fragment.count(mark) == 1
        assert "<html" not in fragment
    assert 'id="stage"' in words_of(desk.get("desk"))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (Chosen.SIGNED_OUT, "You are not signed in for work"),
        (Chosen.NOT_READY, "You are not ready: Lunch"),
        (Chosen.AVAILABLE, "You are ready"),
    ],
)
def test_an_empty_desk_says_what_to_do(desk, ana, chosen, words) -> None:
    reason = make_reason("Lunch") if chosen == Chosen.NOT_READY else None
    agents.choose(ana.user, chosen=chosen, reason=reason, now=timezone.now(), by=ana.user)
    assert words in words_of(desk.get("desk"))


def test_somebody_who_never_worked_here_has_a_desk_too(queue) -> None:
    new = open_desk(make_user(teams=[queue.team]))
    assert "You are not signed in for work" in words_of(new.page("desk"))
    assert not Agent.objects.filter(user=new.user).exists(), "looking writes nothing"


def test_an_agent_who_did_not_answer_is_told_so_even_while_he_talks(desk, ana, item) -> None:
    Agent.objects.filter(pk=ana.pk).update(is_not_responding=True)
    shown = words_of(desk.get("presence"))
    assert "On contact" in shown
    assert "You did not answer an offer" in shown


def test_choosing_available(desk, ana) -> None:
    agents.choose(ana.user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=ana.user)
    answer = desk.post("presence", choice="available")
    ana.refresh_from_db()
    assert ana.chosen == Chosen.AVAILABLE
    assert "desk:changed" in events_of(answer)
    assert 'data-state="available"' in words_of(answer)


def test_choosing_a_reason_while_at_work_shows_what_comes_next(desk, ana, item) -> None:
    answer = words_of(desk.post("presence", choice=f"not_ready:{make_reason('Lunch').pk}"))
    ana.refresh_from_db()
    assert (ana.chosen, ana.reason.name) == (Chosen.NOT_READY, "Lunch")
    assert "On contact" in answer
    assert "then Lunch" in answer


@pytest.mark.parametrize(
    "choice", ["", "not_ready", "not_ready:0", "not_ready:x", "signed_out", "available:1"]
)
def test_other_choices_are_refused(desk, ana, choice) -> None:
    assert desk.post("presence", choice=choice).status_code == 400
    ana.refresh_from_db()
    assert ana.chosen == Chosen.AVAILABLE


def test_a_lost_connection_is_seen_before_the_sweep_notes_it(desk, ana) -> None:
    Agent.objects.filter(pk=ana.pk).update(present_until=timezone.now() - timedelta(seconds=1))
    assert 'data-state="disconnected"' in words_of(desk.get("presence"))


def test_presence_without_htmx_goes_back_to_the_desk(desk, ana) -> None:
    answer = desk.post_plainly("presence", choice=f"not_ready:{make_reason().pk}")
    ana.refresh_from_db()
    assert (answer.status_code, answer.url, ana.chosen) == (302, "/console/", Chosen.NOT_READY)


# My conversations


def test_the_list_counts_what_is_unread_and_who_waits(desk, talk, ana) -> None:
    make_message(talk, "First")
    make_message(talk, "Second")
    talk.refresh_from_db()
    row = desk.get("list").context["rows"][0]
    # "Hello" opened it; the system's line is not the customer's.
    assert (row.unread, row.last_words, row.last_speaker) == (3, "Second", "customer")
    assert row.waiting_since == talk.messages.get(seq=1).at
    make_message(talk, "One moment", user=ana.user)
    make_message(talk, "Third")
    row = desk.get("list").context["rows"][0]
    assert row.waiting_since == talk.messages.get(body="Third").at


def test_an_answered_conversation_waits_for_nobody(desk, talk, ana) -> None:
    make_message(talk, "Here you are", user=ana.user)
    answer = desk.get("list")
    row = answer.context["rows"][0]
    assert row.waiting_since is None
    assert "You: Here you are" in words_of(answer)


def test_reading_clears_the_count(desk, talk) -> None:
    assert desk.get("list").context["unread"] == 1
    assert desk.post("read", talk.pk, seq=99).status_code == 204
    talk.refresh_from_db()
    assert (talk.agent_read_seq, desk.get("list").context["unread"]) == (talk.last_seq, 0)


def test_wrap_ups_stand_in_the_list_with_their_countdown(desk, talk) -> None:
    conversations.close(talk.pk, by=desk.user, now=timezone.now())
    work.conversation_closed(talk.pk, now=timezone.now())
    answer = desk.get("list")
    assert [item.conversation_id for item in answer.context["wrap_ups"]] == [talk.pk]
    assert "data-until=" in words_of(answer)


def test_the_foot_tells_the_line_of_my_teams_only(desk, queue, foreign) -> None:
    put_in_line(queue, waited=90)
    put_in_line(queue, waited=30)
    line = desk.get("line").context["line"]
    assert line.waiting == 2
    assert 88 < (timezone.now() - line.longest_since).total_seconds() < 95


def test_others_conversations_are_not_in_my_list(desk, queue) -> None:
    hand_to(put_in_line(queue), make_agent(queue.team))
    assert desk.get("list").context["rows"] == []


def test_supervisors_see_who_else_is_there_and_what_they_do(queue, ana, talk) -> None:
    waiting = put_in_line(queue)
    sofia = open_desk(make_user(Role.SUPERVISOR, teams=[queue.team]))
    answer = sofia.get("team")
    assert {row.pk for row in answer.context["rows"]} == {talk.pk, waiting.conversation_id}
    assert [str(person.agent) for person in answer.context["people"]] == ["Ana Silva"]
    assert "On contact" in words_of(answer)


# Offers


def test_an_offer_tells_customer_queue_words_and_why(desk, queue, ana) -> None:
    put_in_line(queue, waited=60, customer=make_customer(name="Maria Keller"))
    assert router.run(now=timezone.now()) == 1
    answer = words_of(desk.get("offers"))
    for words in ("Maria Keller", "Support", "Hello", "Nobody else is signed in for it."):
        assert words in answer
    assert 'aria-keyshortcuts="Alt+A"' in answer


def test_a_direct_transfer_says_so_instead_of_a_score(desk, queue, ana) -> None:
    ring(put_in_line(queue), ana)
    assert "A colleague passes it on to you." in words_of(desk.get("offers"))


def test_offers_over_or_of_others_do_not_ring(desk, queue, ana) -> None:
    ring(put_in_line(queue), make_agent(queue.team))
    late = ring(put_in_line(queue), ana)
    Offer.objects.filter(pk=late.pk).update(expires_at=timezone.now())
    assert desk.get("offers").context["offers"] == []


def test_the_oldest_offer_has_the_keys(desk, queue, ana) -> None:
    first, second = (ring(put_in_line(queue, waited=waited), ana) for waited in (60, 30))
    answer = desk.get("offers")
    assert [offer.pk for offer in answer.context["offers"]] == [first.pk, second.pk]
    assert words_of(answer).count("Alt A") == 1


def test_accepting_shows_the_conversation(desk, queue, ana) -> None:
    offer = ring(put_in_line(queue), ana)
    answer = desk.post("accept", offer.pk)
    number = offer.item.conversation_id
    assert answer.headers["HX-Push-Url"] == f"/console/c/{number}/"
    assert f'data-conversation="{number}"' in words_of(answer)
    assert Conversation.objects.get(pk=number).agent == ana.user


def test_accepting_too_late_tells_why(desk, queue, ana) -> None:
    offer = ring(put_in_line(queue), ana)
    offers.decline(offer.pk, by=ana.user, now=timezone.now())
    answer = desk.post("accept", offer.pk)
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (409, "already_taken")


def test_somebody_elses_offer_is_not_there(desk, queue) -> None:
    offer = ring(put_in_line(queue), make_agent(queue.team))
    assert desk.post("accept", offer.pk).status_code == 404
    assert desk.post("decline", offer.pk).status_code == 404
    offer.refresh_from_db()
    assert offer.state == OfferState.OFFERED


def test_declining_leaves_it_in_line(desk, queue, ana) -> None:
    offer = ring(put_in_line(queue), ana)
    answer = desk.post("decline", offer.pk)
    offer.refresh_from_db()
    assert (offer.state, offer.item.state) == (OfferState.DECLINED, ItemState.WAITING)
    assert answer.context["offers"] == []


def test_answering_offers_without_htmx(desk, queue, ana) -> None:
    one, two = (ring(put_in_line(queue), ana) for _ in range(2))
    assert desk.post_plainly("accept", one.pk).url == f"/console/c/{one.item.conversation_id}/"
    assert desk.post_plainly("decline", two.pk).url == "/console/"


# Leaving


def test_signing_out_says_what_becomes_of_open_conversations(desk, talk) -> None:
    assert "You still have 1 conversation." in words_of(desk.get("sign-out"))


def test_signing_out_gives_work_back_and_ends_the_session(desk, ana, item) -> None:
    answer = desk.post_plainly("sign-out")
    item.refresh_from_db()
    ana.refresh_from_db()
    assert (answer.status_code, answer.url) == (302, "/account/login/")
    assert (item.state, ana.chosen) == (ItemState.WAITING, Chosen.SIGNED_OUT)
    assert desk.page("desk").status_code == 302


# Cost


@pytest.mark.parametrize("name", ["list", "desk", "offers"])
def test_queries_do_not_grow_with_the_work(name, desk, queue, ana, django_assert_num_queries) -> None:
    hand_to(put_in_line(queue), ana)
    ring(put_in_line(queue), ana)
    few = count_queries(lambda: desk.page(name))
    for _ in range(9):
        make_message(hand_to(put_in_line(queue), ana).conversation, "More")
        ring(put_in_line(queue), ana)
    with django_assert_num_queries(few):
        desk.page(name)


def test_queries_of_the_team_list_do_not_grow(queue, ana, django_assert_num_queries) -> None:
    sofia = open_desk(make_user(Role.SUPERVISOR, teams=[queue.team]))
    hand_to(put_in_line(queue), ana)
    few = count_queries(lambda: sofia.get("team"))
    for _ in range(5):
        hand_to(put_in_line(queue), make_agent(queue.team))
        put_in_line(queue)
    with django_assert_num_queries(few):
        sofia.get("team")


def count_queries(look) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    look()  # what is cached once is not counted
    with CaptureQueriesContext(connection) as queries:
        look()
    return len(queries)


# My queues


def test_queues_are_listed_with_what_waits_and_who_is_there(desk, queue, ana):
    first = put_in_line(queue, waited=125)
    make_queue(name="Closed one", team=queue.team, calendar=make_calendar(every=""))
    make_queue(name="Not mine")
    make_queue([(0, {"cards": 5})], name="Nobody can", team=queue.team)
    answer = desk.get("queues")
    words = words_of(answer)
    assert [row.name for row in answer.context["queues"]] == ["Closed one", "Nobody can", "Support"]
    assert f'data-since="{first.at.isoformat()}"' in words
    assert "closed now" in words
    assert words.count("1 available") == 1
    assert "until somebody is there" in words
    assert "Not mine" not in words
    assert 'id="queue-rows"' in words


def test_queues_look_again_without_their_frame(desk, queue):
    url = reverse("console:queues")
    answer = desk.client.get(url, headers={"HX-Request": "true", "HX-Target": "queue-rows"})
    assert 'id="queue-rows"' not in words_of(answer)
    assert "Support" in words_of(answer)


def test_queues_cost_the_same_however_many(desk, queue, django_assert_max_num_queries):
    for _ in range(8):
        put_in_line(make_queue(team=queue.team), waited=60)
    with django_assert_max_num_queries(10):
        desk.get("queues")


def test_who_has_no_queue_is_told_so(db):
    assert "None of your teams has a queue" in words_of(open_desk(make_user()).get("queues"))
