"""One conversation: what is said, what is known, what is done with it."""

from __future__ import annotations

import io
import re
import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from apps.console.selectors import talk as talk_selectors
from apps.messaging.models import Attachment, CannedReply, Disposition, Message, Note, Tag
from apps.messaging.services import conversations, notes
from apps.routing.choices import Chosen, ItemState
from apps.routing.models import Callback, Item, Offer
from apps.routing.services import acceptance, offers, router, work
from apps.users.choices import ContactKind, Role
from apps.users.models import ContactPoint, Customer
from tests.console.conftest import events_of, open_desk, words_of
from tests.console.test_views_desk import count_queries
from tests.factories import (
    hand_to,
    make_agent,
    make_calendar,
    make_customer,
    make_message,
    make_queue,
    make_user,
    put_in_line,
    ring,
)

pytestmark = pytest.mark.django_db


def bodies(part) -> list[str]:
    return [entry.row.body for entry in part.entries]


# The thread


def test_a_conversation_is_a_page_and_a_fragment(desk, talk) -> None:
    page, fragment = desk.page("conversation", talk.pk), desk.get("conversation", talk.pk)
    for mark in ('id="head"', 'id="thread"', 'id="composer"', 'id="details"'):
        assert mark in words_of(page)
        assert mark in words_of(fragment)
    assert "<!DOCTYPE" in words_of(page)
    assert "<!DOCTYPE" not in words_of(fragment)


def test_messages_and_notes_stand_in_the_order_of_time(desk, talk, ana) -> None:
    make_message(talk, "One moment", user=ana.user)
    notes.add(talk, body="Knows the boss", by=ana.user, now=timezone.now())
    make_message(talk, "Take your time")
    shown = desk.get("conversation", talk.pk).context["part"]
    assert bodies(shown) == [
        "Hello",
        "Ana is here to help.",
        "One moment",
        "Knows the boss",
        "Take your time",
    ]


def test_the_tail_fetches_only_what_is_new(desk, talk, ana) -> None:
    seen = desk.get("conversation", talk.pk).context["part"]
    make_message(talk, "New")
    note = notes.add(talk, body="Noted", by=ana.user, now=timezone.now())
    answer = desk.get("messages", talk.pk, after=seen.after_seq, note=seen.after_note)
    assert bodies(answer.context["part"]) == ["New", "Noted"]
    again = desk.get("messages", talk.pk, after=answer.context["part"].after_seq, note=note.pk)
    assert bodies(again.context["part"]) == []
    assert f'data-seq="{answer.context["part"].after_seq}"' in words_of(again)


def test_parts_together_show_each_line_once(desk, talk, ana, monkeypatch) -> None:
    monkeypatch.setattr(talk_selectors, "THREAD_PAGE", 4)
    for number in range(11):
        make_message(talk, f"Message {number}")
        notes.add(talk, body=f"Note {number}", by=ana.user, now=timezone.now())
    part = desk.get("conversation", talk.pk).context["part"]
    shown = bodies(part)
    while part.before_seq:
        part = desk.get("messages", talk.pk, before=part.before_seq).context["part"]
        shown = bodies(part) + shown
    expected = ["Hello", "Ana is here to help."]
    for number in range(11):
        expected += [f"Message {number}", f"Note {number}"]
    assert shown == expected


def test_saying_something_answers_with_what_is_new(desk, talk) -> None:
    answer = desk.post("messages", talk.pk, body="How can I help?", after=2, client_msg_id=uuid.uuid4())
    assert bodies(answer.context["part"]) == ["How can I help?"]
    assert 'class="msg msg--out' in words_of(answer)


def test_saying_it_twice_stores_it_once(desk, talk) -> None:
    same = uuid.uuid4()
    for _ in range(2):
        assert desk.post("messages", talk.pk, body="Once", client_msg_id=same).status_code == 200
    assert Message.objects.filter(conversation=talk, body="Once").count() == 1


@pytest.mark.parametrize("body", ["", "   ", "x" * 8001])
def test_nothing_and_too_much_are_refused(desk, talk, body) -> None:
    assert desk.post("messages", talk.pk, body=body).status_code == 400
    assert not Message.objects.filter(user=desk.user).exists()


def test_forms_work_without_htmx(desk, talk) -> None:
    for name, data in {"messages": {"body": "Hi"}, "notes": {"body": "Hm"}, "tags": {}}.items():
        assert desk.post_plainly(name, talk.pk, **data).url == f"/console/c/{talk.pk}/"
    assert desk.post_plainly("close", talk.pk).url == f"/console/c/{talk.pk}/"


def test_a_note_is_for_staff(desk, talk) -> None:
    answer = desk.post("notes", talk.pk, body="Speak slowly", after=talk.last_seq, note=0)
    assert bodies(answer.context["part"]) == ["Speak slowly"]
    assert not Message.objects.filter(body="Speak slowly").exists()
    assert desk.post("notes", talk.pk, body=" ").status_code == 400


def test_notes_can_be_left_on_what_is_closed_or_somebody_elses(desk, queue, talk) -> None:
    others = hand_to(put_in_line(queue), make_agent(queue.team))
    conversations.close(talk.pk, by=desk.user, now=timezone.now())
    for number in (talk.pk, others.conversation_id):
        assert "for colleagues" in words_of(desk.get("composer", number))
        assert desk.post("notes", number, body="For later").status_code == 200
    assert Note.objects.count() == 2


def test_the_composer_is_only_exchanged_when_it_changes(desk, talk) -> None:
    shown = desk.get("conversation", talk.pk).context["composer_state"]
    assert f'name="shown" value="{shown}"' in words_of(desk.get("composer", talk.pk))
    assert desk.get("composer", talk.pk, shown=shown).status_code == 204
    conversations.close(talk.pk, by=desk.user, now=timezone.now())
    assert "This conversation is closed." in words_of(desk.get("composer", talk.pk, shown=shown))


def test_closed_conversations_take_no_message(desk, talk) -> None:
    conversations.close(talk.pk, by=desk.user, now=timezone.now())
    assert desk.post("messages", talk.pk, body="Too late").headers["X-Error-Code"] == "conversation_closed"


# Files


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 4), "red").save(out, "PNG")
    return out.getvalue()


def test_a_file_is_stored_sent_shown_and_fetched(desk, talk) -> None:
    chip = desk.post("upload", talk.pk, file=SimpleUploadedFile("card.png", picture()))
    file = Attachment.objects.get()
    assert f'data-attachment="{file.pk}"' in words_of(chip)
    answer = desk.post("messages", talk.pk, body="", attachments=[str(file.pk)], after=2)
    assert f'<img src="/console/files/{file.pk}/"' in words_of(answer)
    got = desk.page("file", file.pk)
    assert (got.status_code, got.headers["Content-Type"]) == (200, "image/png")
    assert got.headers["Content-Disposition"] == 'attachment; filename="card.png"'
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in got.headers["Content-Security-Policy"]


@pytest.mark.parametrize("content", [b"", b"MZ\x90\x00" + b"\0" * 60])
def test_files_that_are_nothing_or_something_else_are_refused(desk, talk, content) -> None:
    answer = desk.post("upload", talk.pk, file=SimpleUploadedFile("card.png", content))
    assert answer.status_code == 400
    assert "desk:toast" in events_of(answer)
    assert desk.post("upload", talk.pk).status_code == 400
    assert not Attachment.objects.exists()


def test_a_file_of_another_conversation_is_not_sent(desk, talk, queue, ana) -> None:
    other = hand_to(put_in_line(queue), ana).conversation_id
    desk.post("upload", other, file=SimpleUploadedFile("card.png", picture()))
    answer = desk.post("messages", talk.pk, body="See", attachments=[str(Attachment.objects.get().pk)])
    assert answer.headers["X-Error-Code"] == "attachment_unknown"
    assert desk.post("messages", talk.pk, body="See", attachments=["no-uuid"]).status_code == 400


def test_a_foreign_file_is_not_handed_out(desk, talk) -> None:
    desk.post("upload", talk.pk, file=SimpleUploadedFile("card.png", picture()))
    assert open_desk(make_user()).page("file", Attachment.objects.get().pk).status_code == 404


# Canned replies


def test_canned_replies_come_filled_and_for_this_team(desk, talk) -> None:
    Customer.objects.filter(pk=talk.customer_id).update(name="Maria Keller")
    CannedReply.objects.create(
        shortcut="hello", title="Greeting", body="Hello {customer.first_name}, {agent.first_name} here."
    )
    CannedReply.objects.create(shortcut="own", title="Ours", body="Own", team=talk.team)
    CannedReply.objects.create(shortcut="theirs", title="Theirs", body="No", team=make_queue().team)
    answer = desk.get("canned", talk.pk)
    assert [text for _, text in answer.context["replies"]] == ["Hello Maria, Ana here.", "Own"]


def test_no_canned_replies_says_where_they_come_from(desk, talk) -> None:
    assert "Supervisors add them in the admin." in words_of(desk.get("canned", talk.pk))


# The right-hand side


def test_the_card_tells_what_is_known_and_what_is_only_claimed(desk, talk) -> None:
    customer = talk.customer
    ContactPoint.objects.create(customer=customer, kind=ContactKind.EMAIL, value="maria@example.com")
    Customer.objects.filter(pk=customer.pk).update(
        time_zone="Asia/Tokyo", language="de", attributes={"plan": "gold"}
    )
    shown = words_of(desk.get("details", talk.pk))
    for words in (
        "maria@example.com",
        "not verified",
        "Visitor",
        "Asia/Tokyo",
        "German",
        "plan",
        "gold",
        "+9 h",
    ):
        assert words in shown
    ContactPoint.objects.update(is_verified=True)
    shown = words_of(desk.get("details", talk.pk))
    assert "Known customer" in shown
    assert "not verified" not in shown


def test_earlier_conversations_are_listed(desk, queue, ana, talk) -> None:
    again = hand_to(put_in_line(queue, customer=talk.customer), ana)
    done = Disposition.objects.create(name="Solved")
    conversations.close(talk.pk, by=ana.user, now=timezone.now(), disposition=done)
    conversations.rate(talk.pk, rating=4, comment="", by=talk.customer)
    details = desk.get("details", again.conversation_id)
    assert [row.pk for row in details.context["details"].earlier] == [talk.pk]
    assert "Solved · Ana" in words_of(details)


def test_earlier_decisions_are_shown_whole_too(desk, queue, ana) -> None:
    item = put_in_line(queue, waited=40)
    router.run(now=timezone.now())
    first = ana.offers.get()
    offers.decline(first.pk, by=ana.user, now=timezone.now())
    ben = make_agent(queue.team, user=make_user(name="Ben Okafor", teams=[queue.team]))
    router.run(now=timezone.now())
    acceptance.accept(ben.offers.get().pk, by=ben.user, now=timezone.now())
    shown = words_of(desk.get("details", item.conversation_id))
    assert shown.count("The score, in seconds of waiting") == 2
    assert "Declined · policy version 1" in shown
    assert "Accepted · policy version 1" in shown
    assert "declined " in shown, "Ana's reason in the decision for Ben"


def test_the_decision_is_shown_with_its_terms_and_the_others(desk, queue, ana) -> None:
    ben = make_agent(user=make_user(name="Ben Okafor", teams=[queue.team]), chosen=Chosen.NOT_READY)
    item = put_in_line(queue, waited=40)
    router.run(now=timezone.now())
    Offer.objects.get(item=item)
    details = desk.get("details", item.conversation_id).context["details"]
    (reasoning,) = details.reasonings
    assert reasoning.decision.agent == ana
    assert [name for name, _score, _reason in reasoning.others] == [ben.user.get_short_name()]
    shown = words_of(desk.get("details", item.conversation_id))
    assert "<td>waited</td>" in shown
    assert "<td>head start</td>" in shown
    assert str(reasoning.decision.score) in shown


def test_the_timeline_tells_the_story_in_words(desk, queue, ana, item, talk) -> None:
    notes.add(talk, body="Hm", by=ana.user, now=timezone.now())
    conversations.set_tags(talk.pk, tags=[Tag.objects.create(name="vip")], by=ana.user)
    to = make_queue(name="Sales", team=queue.team)
    work.transfer_to_queue(talk.pk, to=to, by=ana.user, now=timezone.now())
    told = [line.text for line in desk.get("details", talk.pk).context["details"].timeline][::-1]
    assert told[:4] == ["The customer wrote", "Waits in Support", "Offered to Ana", "Ana has it"]
    assert "Ana left a note" in told
    assert "Ana changed the tags" in told
    assert "Ana passed it on" in told
    assert "Moved from Support to Sales" in told


def test_queries_of_a_conversation_do_not_grow(desk, queue, ana, talk, django_assert_num_queries) -> None:
    def fill() -> None:
        make_message(talk, "Hello again")
        make_message(talk, "Yes?", user=ana.user)
        notes.add(talk, body="Hm", by=ana.user, now=timezone.now())
        put_in_line(queue, customer=talk.customer)
        upload = desk.post("upload", talk.pk, file=SimpleUploadedFile("a.png", picture()))
        assert upload.status_code == 200
        file = Attachment.objects.order_by("-created_at").first()
        desk.post("messages", talk.pk, body="See", attachments=[str(file.pk)])

    fill()
    few = count_queries(lambda: desk.page("conversation", talk.pk))
    for _ in range(6):
        fill()
    with django_assert_num_queries(few):
        desk.page("conversation", talk.pk)


# Tags, transfer, close, wrap-up


def test_tags_are_chosen_from_those_that_exist(desk, talk) -> None:
    vip, spam = Tag.objects.create(name="vip"), Tag.objects.create(name="spam")
    answer = desk.post("tags", talk.pk, tags=[vip.pk])
    assert set(talk.tags.all()) == {vip}
    assert "vip" in words_of(answer)
    assert desk.get("tags", talk.pk).context["chosen"] == {vip.pk}
    desk.post("tags", talk.pk, tags=[spam.pk])
    assert set(talk.tags.all()) == {spam}
    assert desk.post("tags", talk.pk, tags=["999"]).status_code == 400
    assert set(talk.tags.all()) == {spam}


def test_the_transfer_dialog_tells_lines_and_states(desk, queue, talk) -> None:
    put_in_line(queue)
    far = make_queue(name="Far away")
    make_agent(far.team)
    free = make_agent(user=make_user(name="Ben Okafor", teams=[queue.team]))
    full = make_agent(user=make_user(name="Eva Berg", teams=[queue.team]), capacity=1)
    answer = desk.get("transfer", talk.pk)
    told = {row.name: (row.waiting, row.available) for row in answer.context["queues"]}
    assert told == {"Support": (1, 1), "Far away": (0, 1)}
    assert next(iter(told)) == "Support", "the own team comes first"
    assert answer.context["first"] == far, "it is not passed on to where it is"
    assert [(one.agent, one.may_be_rung) for one in answer.context["colleagues"]] == [
        (free, True),
        (full, False),
    ]
    assert "no room" in words_of(answer)


def test_passing_on_to_a_queue(desk, queue, talk, item) -> None:
    at = item.at
    sales = make_queue(name="Sales")
    answer = desk.post("transfer", talk.pk, queue=sales.pk)
    item.refresh_from_db()
    assert (item.state, item.queue, item.at) == (ItemState.WAITING, sales, at)
    assert events_of(answer)["desk:toast"]["text"] == "Passed on to Sales."
    assert answer.headers["HX-Push-Url"] == "/console/"


def test_passing_on_to_a_colleague_rings_him(desk, queue, talk, item) -> None:
    ben = make_agent(user=make_user(name="Ben Okafor", teams=[queue.team]))
    answer = desk.post("transfer", talk.pk, agent=ben.pk)
    assert Offer.objects.live().get(item=item).agent == ben
    assert "Ben" in events_of(answer)["desk:toast"]["text"]


def test_passing_on_to_somebody_without_room_changes_nothing(desk, queue, talk, item) -> None:
    full = make_agent(queue.team, capacity=1)
    answer = desk.post("transfer", talk.pk, agent=full.pk)
    item.refresh_from_db()
    assert (answer.status_code, item.state) == (409, ItemState.ACTIVE)


def test_passing_on_needs_one_goal(desk, queue, talk, item) -> None:
    ben = make_agent(queue.team)
    for goals in ({}, {"queue": 999}, {"agent": 999}, {"queue": queue.pk, "agent": ben.pk}):
        assert desk.post("transfer", talk.pk, **goals).status_code == 400
    assert desk.post_plainly("transfer", talk.pk, agent=ben.pk).url == "/console/"


def test_closing_asks_what_it_came_to(desk, talk) -> None:
    solved = Disposition.objects.create(name="Solved")
    Disposition.objects.create(name="Old", is_active=False)
    assert "Old" not in words_of(desk.get("close", talk.pk))
    refused = desk.post("close", talk.pk)
    assert (refused.status_code, events_of(refused)["desk:toast"]["text"]) == (400, "Say what it came to.")
    answer = desk.post("close", talk.pk, disposition=solved.pk)
    talk.refresh_from_db()
    assert (talk.is_open, talk.disposition) == (False, solved)
    assert "Closed: Solved" in words_of(answer)


def test_closing_needs_no_disposition_where_there_is_none(desk, talk) -> None:
    assert desk.post("close", talk.pk).status_code == 200
    assert desk.post("close", talk.pk).headers["X-Error-Code"] == "conversation_closed"


def test_wrap_up_has_a_bar_and_an_end(desk, talk, item) -> None:
    conversations.close(talk.pk, by=desk.user, now=timezone.now())
    work.conversation_closed(talk.pk, now=timezone.now())
    assert "Alt W" in words_of(desk.get("head", talk.pk))
    answer = desk.post("wrap-up", talk.pk)
    item.refresh_from_db()
    assert (item.state, answer.headers["HX-Push-Url"]) == (ItemState.DONE, "/console/")
    assert desk.post("wrap-up", talk.pk).headers["X-Error-Code"] == "not_in_wrap_up"
    assert "Alt W" not in words_of(desk.get("head", talk.pk))


def test_wrap_up_without_htmx(desk, talk) -> None:
    conversations.close(talk.pk, by=desk.user, now=timezone.now())
    work.conversation_closed(talk.pk, now=timezone.now())
    assert desk.post_plainly("wrap-up", talk.pk).url == "/console/"


def test_a_supervisor_does_not_end_somebody_elses_wrap_up(queue, talk, ana) -> None:
    conversations.close(talk.pk, by=ana.user, now=timezone.now())
    work.conversation_closed(talk.pk, now=timezone.now())
    sofia = open_desk(make_user(Role.SUPERVISOR, teams=[queue.team]))
    assert sofia.post("wrap-up", talk.pk).headers["X-Error-Code"] == "not_in_wrap_up"
    assert "Alt W" not in words_of(sofia.get("head", talk.pk))


def test_a_conversation_outside_of_any_queue_has_a_page_too(desk, talk, item) -> None:
    Item.objects.filter(pk=item.pk).delete()
    assert desk.page("conversation", talk.pk).status_code == 200
    assert desk.get("transfer", talk.pk).status_code == 200


def test_customers_without_a_name_are_visitors_with_a_number(desk, queue) -> None:
    waiting = put_in_line(queue, customer=make_customer(name=""))
    assert f"Visitor {waiting.conversation.customer_id}" in words_of(
        desk.page("conversation", waiting.conversation_id)
    )


def test_days_are_the_readers(desk, talk, settings) -> None:
    at = timezone.now().replace(hour=23, minute=30, second=0, microsecond=0) - timedelta(days=2)
    Message.objects.filter(conversation=talk).update(at=at)
    desk.user.time_zone = "Asia/Tokyo"
    desk.user.save()
    shown = desk.get("conversation", talk.pk).context["part"].entries
    assert shown[0].day == (at + timedelta(days=1)).date()


# Callbacks


def ask_to_be_called(conversation) -> Callback:
    return Callback.objects.create(conversation=conversation, way="call", phone="+4930901820")


def test_who_wants_to_be_called_shows_the_number_and_two_outcomes(desk, talk) -> None:
    ask_to_be_called(talk)
    words = words_of(desk.get("head", talk.pk))
    assert 'href="tel:+4930901820"' in words
    assert "Try 1 of 3." in words
    assert "Not reached" in words


def test_offer_says_that_it_is_a_callback(desk, queue, ana) -> None:
    item = put_in_line(queue)
    ask_to_be_called(item.conversation)
    ring(item, ana)
    words = words_of(desk.get("offers"))
    assert 'Callback: <a class="num strong" href="tel:+4930901820">' in words


def test_reached_and_it_goes_on(desk, talk) -> None:
    callback = ask_to_be_called(talk)
    answer = desk.post("callback", talk.pk, outcome="reached")
    callback.refresh_from_db()
    assert callback.state == "reached"
    assert "Not reached" not in words_of(answer)


def test_not_reached_and_it_leaves_the_desk_until_the_next_try(desk, talk, item) -> None:
    ask_to_be_called(talk)
    answer = desk.post("callback", talk.pk, outcome="not_reached")
    item.refresh_from_db()
    assert item.state == ItemState.RESTING
    assert "It comes back at" in events_of(answer)["desk:toast"]["text"]
    assert answer.headers["HX-Push-Url"] == "/console/"


def test_how_a_call_went_is_one_of_two_things(desk, talk, item) -> None:
    ask_to_be_called(talk)
    assert desk.post("callback", talk.pk, outcome="maybe").status_code == 400
    assert desk.post_plainly("callback", talk.pk, outcome="reached").url == f"/console/c/{talk.pk}/"
    assert desk.post("callback", talk.pk, outcome="reached").status_code == 409


def test_the_transfer_dialog_tells_what_to_expect_and_what_is_closed(desk, queue, talk, ana) -> None:
    make_queue(name="Night", calendar=make_calendar())
    type(ana).objects.filter(pk=ana.pk).update(capacity=ana.load + 4)
    for _ in range(3):
        put_in_line(queue)
    words = words_of(desk.get("transfer", talk.pk))
    assert "closed now" in words
    assert re.search(r"3 waiting · about \d+ s –\d+ min|3 waiting · about \d+–\d+ min", words), words
