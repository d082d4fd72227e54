"""The agent's websocket, on a real server."""

from __future__ import annotations

import contextlib
import threading
import uuid
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from apps.console import consumers
from apps.console.services import desks
from apps.core import sockets
from apps.core.events import SYSTEM
from apps.messaging.models import Conversation, Message
from apps.messaging.services import conversations, notes
from apps.routing.choices import Chosen
from apps.routing.models import Agent
from apps.routing.services import agents
from apps.users.choices import Role
from apps.users.models import Ticket, User
from apps.users.services import people, roles, tickets
from tests.factories import (
    make_agent,
    make_conversation,
    make_inbox,
    make_message,
    make_team,
    make_user,
    make_visitor,
)
from tests.wire import beat, chat, eventually, wire

PATH = "/ws/desk/"


@pytest.fixture
def team(transactional_db):
    return make_team()


@pytest.fixture
def agent(team) -> User:
    return make_user(teams=[team], name="Ana Silva")


@pytest.fixture
def conversation(team, agent) -> Conversation:
    return make_conversation(make_inbox(team), agent=agent, body="one")


@contextlib.contextmanager
def desk(server, user: User):
    """An agent's socket, let in by a ticket."""
    with wire(server, PATH, origin=None) as socket:
        socket.send({"type": "auth", "ticket": tickets.issue(user, now=timezone.now())})
        socket.wait_for("ready")
        yield socket


@pytest.fixture
def socket(live_server_ws, agent):
    with desk(live_server_ws, agent) as socket:
        yield socket


def _watch(socket, conversation, after_seq: int = 0) -> dict:
    socket.send({"type": "watch", "conversation": conversation.pk, "after_seq": after_seq})
    return socket.wait_for("replay", conversation=conversation.pk)


def _say(socket, conversation, body: str = "hello", **more) -> str:
    return socket.say(body, conversation=conversation.pk, **more)


def _cookie(user: User) -> str:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.session.session_key


# The way it is meant


def test_ready_tells_state_and_work(live_server_ws, agent, conversation) -> None:
    make_conversation(make_inbox(conversation.team))
    with wire(live_server_ws, PATH, origin=None) as socket:
        socket.send({"type": "auth", "ticket": tickets.issue(agent, now=timezone.now())})
        assert socket.next() == {
            "type": "ready",
            "user": agent.pk,
            "state": "signed_out",
            "conversations": [{"id": conversation.pk, "last_seq": 2}],
        }


def test_a_session_and_our_own_origin_let_in(live_server_ws, agent, settings) -> None:
    cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={_cookie(agent)}"}
    with wire(live_server_ws, PATH, additional_headers=cookie) as socket:
        assert socket.next()["user"] == agent.pk


def test_agent_and_customer_talk(live_server_ws, conversation, socket) -> None:
    token = make_visitor(conversation)[1]
    assert [m["seq"] for m in _watch(socket, conversation)["messages"]] == [1, 2]
    with chat(live_server_ws, token, after_seq=2) as customer:
        customer.say("where is it?")
        assert socket.wait_for("message", sender="customer")["body"] == "where is it?"
        sent = _say(socket, conversation, "on its way")
        assert socket.wait_for("ack", client_msg_id=sent)["seq"] == 4
        heard = customer.wait_for("message", sender="agent")
        assert (heard["name"], heard["body"]) == ("Ana", "on its way")
        socket.send({"type": "read", "conversation": conversation.pk, "seq": 3})
        assert customer.wait_for("read") == {
            "type": "read",
            "conversation": conversation.pk,
            "side": "agent",
            "seq": 3,
        }
        customer.send({"type": "read", "seq": 4})
        assert socket.wait_for("read", side="customer")["seq"] == 4
        customer.send({"type": "typing"})
        assert socket.wait_for("typing")["sender"] == "customer"
        socket.send({"type": "typing", "conversation": conversation.pk})
        assert customer.wait_for("typing")["name"] == "Ana"


def test_notes_and_tags_reach_the_staff_only(live_server_ws, agent, conversation, socket) -> None:
    _watch(socket, conversation)
    with chat(live_server_ws, make_visitor(conversation)[1]) as customer:
        note = notes.add(conversation, body="careful", by=agent, now=timezone.now())
        assert socket.wait_for("note.added")["note"] == note.pk
        conversations.set_tags(conversation.pk, tags=[], by=agent)
        assert socket.wait_for("conversation.changed")["what"] == "tagged"
        customer.quiet()
        assert {"note.added", "conversation.changed"}.isdisjoint(f["type"] for f in customer.frames)


def test_his_work_is_told_without_watching(agent, team, socket) -> None:
    conversation = make_conversation(make_inbox(team))
    conversations.assign(conversation.pk, agent=agent, by=SYSTEM, now=timezone.now())
    changed = socket.wait_for("conversation.changed")
    assert (changed["conversation"], changed["what"]) == (conversation.pk, "assigned")


def test_unwatch_ends_it(conversation, socket) -> None:
    _watch(socket, conversation)
    socket.send({"type": "unwatch", "conversation": conversation.pk})
    socket.send({"type": "resume", "conversation": conversation.pk, "after_seq": 0})
    assert socket.wait_for("error")["code"] == "not_found"
    make_message(conversation)
    assert "message" not in [frame["type"] for frame in socket.quiet()]


def test_who_watches_too_much_loses_the_oldest(team, socket, monkeypatch) -> None:
    monkeypatch.setattr(consumers, "MOST_WATCHED", 2)
    three = [make_conversation(make_inbox(team)) for _ in range(3)]
    for conversation in three:
        _watch(socket, conversation)
    _watch(socket, three[2])
    make_message(three[0])
    make_message(three[1])
    arrived = [frame["conversation"] for frame in socket.quiet() if frame["type"] == "message"]
    assert arrived == [three[1].pk]


def test_ping_tells_the_seqs_of_what_is_watched(conversation, socket, monkeypatch) -> None:
    monkeypatch.setattr(sockets, "PING_SECONDS", 0)
    _watch(socket, conversation)
    beat()
    assert socket.wait_for("ping")["last_seq"] == {str(conversation.pk): 2}


def test_what_is_watched_while_a_beat_looks_around_stays_watched(
    agent, conversation, socket, monkeypatch
) -> None:
    look_around, has_watched = desks.look_around, threading.Event()

    def slowly(**asked):
        # He opens a conversation while the database is asked about the others.
        monkeypatch.setattr(desks, "look_around", look_around)
        _watch(socket, conversation)
        has_watched.set()
        return look_around(**asked)

    monkeypatch.setattr(desks, "look_around", slowly)
    beat()
    assert has_watched.wait(8)
    make_message(conversation, "still there?")
    assert socket.wait_for("message")["body"] == "still there?"
    key = _say(socket, conversation, "of course")
    assert socket.wait_for("ack")["client_msg_id"] == key


# Presence


def test_the_lease_lives_while_the_client_answers(live_server_ws, agent, monkeypatch) -> None:
    make_agent(user=agent, chosen=Chosen.AVAILABLE)
    with desk(live_server_ws, agent) as socket:
        soon = timezone.now() + timedelta(seconds=1)
        Agent.objects.update(present_until=soon)
        beat()
        assert Agent.objects.get().present_until == soon  # renewed a moment ago: not yet again
        monkeypatch.setattr(consumers, "RENEW_SECONDS", 0)
        beat()
        assert Agent.objects.get().present_until > soon
        Agent.objects.update(present_until=soon)
        monkeypatch.setattr(consumers, "PONG_SECONDS", 0)
        beat()
        assert Agent.objects.get().present_until == soon  # he did not answer
        monkeypatch.undo()
        socket.send({"type": "pong"})


def test_opening_the_desk_renews_the_lease(live_server_ws, agent) -> None:
    make_agent(user=agent, chosen=Chosen.AVAILABLE, present_until=timezone.now() + timedelta(seconds=1))
    with desk(live_server_ws, agent):
        assert Agent.objects.get().present_until > timezone.now() + agents.LEASE / 2


# Bad input (B)


def test_b08_b59_fields_of_other_types(socket, monkeypatch) -> None:
    monkeypatch.setattr(sockets, "BAD_FRAME_SECONDS", 0)
    for frame in (
        {"type": "watch"},
        {"type": "watch", "conversation": "1"},
        {"type": "watch", "conversation": True},
        {"type": "watch", "conversation": -1},
        {"type": "watch", "conversation": 1.5},
        {"type": "watch", "conversation": 2**31},
        {"type": "watch", "conversation": [1]},
        {"type": "watch", "conversation": 1, "after_seq": None},
        {"type": "watch", "conversation": 1, "more": 1},
        {"type": "unwatch"},
        {"type": "message", "body": "x", "client_msg_id": str(uuid.UUID(int=1))},
        {"type": "typing"},
        {"type": "read", "conversation": 1},
        {"type": "resume", "conversation": 1},
    ):
        socket.send(frame)
        assert socket.wait_for("error")["code"] == "bad_frame", frame


def test_b61_z02_foreign_deleted_and_never_joined_look_the_same(team, socket) -> None:
    foreign, never_joined = make_conversation().pk, make_conversation(make_inbox(team)).pk
    more = {
        "message": {"client_msg_id": str(uuid.uuid4()), "body": "x"},
        "typing": {},
        "read": {"seq": 1},
        "resume": {"after_seq": 0},
        "watch": {},
    }
    for kind, fields in more.items():
        for number in [foreign, 999_999] + ([never_joined] if kind != "watch" else []):
            socket.send({"type": kind, "conversation": number, **fields})
            error = socket.wait_for("error")
            assert (error["code"], error["detail"]) == ("not_found", "There is no such conversation.")
    assert Message.objects.filter(sender="agent").count() == 0


def test_b61_writing_in_a_colleagues_or_closed_conversation(team, agent, socket) -> None:
    theirs = make_conversation(make_inbox(team), agent=make_user())
    _watch(socket, theirs)
    _say(socket, theirs)
    assert socket.wait_for("error")["code"] == "not_your_conversation"
    closed = make_conversation(make_inbox(team), agent=agent)
    conversations.close(closed.pk, by=agent, now=timezone.now())
    _watch(socket, closed)
    _say(socket, closed)
    assert socket.wait_for("error")["code"] == "conversation_closed"


def test_who_looks_on_neither_types_nor_reads(live_server_ws, team, socket) -> None:
    theirs = make_conversation(make_inbox(team), agent=make_user())
    _watch(socket, theirs)
    with chat(live_server_ws, make_visitor(theirs)[1]) as customer:
        socket.send({"type": "typing", "conversation": theirs.pk})
        socket.send({"type": "read", "conversation": theirs.pk, "seq": 2})
        socket.send({"type": "resume", "conversation": theirs.pk, "after_seq": 0})
        socket.wait_for("replay")
        assert {frame["type"] for frame in customer.quiet()} <= {"replay"}
    theirs.refresh_from_db()
    assert theirs.agent_read_seq == 0


# Who may (Z)


def test_z20_a_cookie_without_our_origin_is_worth_nothing(live_server_ws, agent, settings) -> None:
    cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={_cookie(agent)}"}
    with wire(live_server_ws, PATH, origin=None, additional_headers=cookie) as socket:
        socket.send({"type": "watch", "conversation": 1})
        assert socket.close_code() == 4401
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
        with (
            pytest.raises(InvalidStatus) as refused,
            wire(live_server_ws, PATH, origin=origin, additional_headers=cookie),
        ):
            pass
        assert refused.value.response.status_code == 403


def test_z24_nothing_before_auth(live_server_ws, conversation) -> None:
    for kind in [*consumers.DeskSocket.frames, "pong", "nope"]:
        with wire(live_server_ws, PATH, origin=None) as socket:
            socket.send({"type": kind, "conversation": conversation.pk})
            assert socket.close_code() == 4401, kind


@pytest.mark.parametrize(
    "kind", ["unknown", "used", "expired", "visitor", "no role", "switched off", "signed out"]
)
def test_z25_tickets_that_do_not_let_in(live_server_ws, team, agent, kind) -> None:
    ticket = tickets.issue(agent, now=timezone.now())
    if kind == "unknown":
        ticket = "x" * 43
    elif kind == "used":
        tickets.redeem(ticket, now=timezone.now())
    elif kind == "expired":
        Ticket.objects.update(expires_at=timezone.now())
    elif kind == "visitor":
        ticket = make_visitor(make_conversation())[1]
    elif kind == "no role":
        ticket = tickets.issue(make_user(None, teams=[team]), now=timezone.now())
    elif kind == "switched off":
        User.objects.filter(pk=agent.pk).update(is_active=False)
    else:
        people.sign_out_everywhere(agent, by=agent)
    with wire(live_server_ws, PATH, origin=None) as socket:
        socket.send({"type": "auth", "ticket": ticket})
        assert socket.close_code() == 4401


def test_a_role_that_needs_a_second_factor_needs_it_here_too(live_server_ws, team, settings) -> None:
    settings.REQUIRE_MFA = True
    ticket = tickets.issue(make_user(Role.SUPERVISOR, teams=[team]), now=timezone.now())
    with wire(live_server_ws, PATH, origin=None) as socket:
        socket.send({"type": "auth", "ticket": ticket})
        assert socket.close_code() == 4401


def test_z06_who_leaves_the_team_loses_the_socket_at_once(agent, conversation, socket) -> None:
    _watch(socket, conversation)
    people.set_teams(agent, teams=[make_team()], by=SYSTEM)
    assert socket.wait_for("reauth", seconds=1)
    assert socket.close_code(seconds=1) == 4012


def test_z06_without_the_live_layer_the_next_frame_and_the_next_beat_notice(
    agent, conversation, socket
) -> None:
    _watch(socket, conversation)
    agent.teams.clear()  # by hand: nobody is told
    for frame in (
        {"type": "message", "client_msg_id": str(uuid.uuid4()), "body": "x"},
        {"type": "resume", "after_seq": 0},
    ):
        socket.send(frame | {"conversation": conversation.pk})
        assert socket.wait_for("error")["code"] == "not_found"
    beat()
    make_message(conversation)
    assert "message" not in [frame["type"] for frame in socket.quiet()]


def test_z22_the_beat_takes_away_what_is_no_longer_his_to_see(agent, conversation, socket) -> None:
    _watch(socket, conversation)
    other = make_team()
    Conversation.objects.filter(pk=conversation.pk).update(team=other)
    beat()
    make_message(conversation)
    assert socket.quiet() == []


@pytest.mark.parametrize("how", ["deactivated", "signed out", "demoted"])
def test_z27_z29_the_socket_ends_with_the_sign_in(agent, socket, how) -> None:
    if how == "deactivated":
        people.deactivate(agent, by=SYSTEM)
    elif how == "signed out":
        people.sign_out_everywhere(agent, by=agent)
    else:
        roles.revoke(agent, Role.AGENT, by=SYSTEM)
    assert socket.wait_for("reauth", seconds=2)
    assert socket.close_code(seconds=2) == 4012


@pytest.mark.parametrize("how", ["deactivated", "signed out", "demoted"])
def test_z27_z29_also_without_the_live_layer(agent, socket, how) -> None:
    if how == "deactivated":
        User.objects.filter(pk=agent.pk).update(is_active=False)
    elif how == "signed out":
        User.objects.filter(pk=agent.pk).update(sign_in_epoch=9)
    else:
        agent.groups.clear()
    beat()
    assert socket.close_code() == 4401


def test_z29_logging_out_ends_the_sockets_of_that_browser(live_server_ws, agent, settings) -> None:
    key = _cookie(agent)
    cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}"}
    with (
        wire(live_server_ws, PATH, additional_headers=cookie) as socket,
        desk(live_server_ws, agent) as other,
    ):
        socket.wait_for("ready")
        Session.objects.filter(session_key=key).delete()
        beat()
        assert socket.close_code() == 4401
        other.send({"type": "unwatch", "conversation": 1})
        assert other.quiet() == []


def test_z28_a_session_that_runs_out_ends_its_socket(live_server_ws, agent, settings) -> None:
    """A ticket is used up when it lets in, so only a session can run out while a socket is open."""
    key = _cookie(agent)
    cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}"}
    with wire(live_server_ws, PATH, additional_headers=cookie) as socket:
        socket.wait_for("ready")
        Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))
        beat()
        assert socket.close_code() == 4401


def test_z18_other_agents_frames_do_not_reach_him(team, conversation, socket) -> None:
    from apps.core import realtime

    other = make_user(teams=[team])
    realtime.publish(realtime.user_group(other.pk), {"type": "offer.made", "offer": 1})
    foreign = make_conversation()
    make_message(foreign)
    assert socket.quiet() == []


def test_one_beat_asks_as_often_for_ten_desks_as_for_one(team, django_assert_num_queries) -> None:
    from apps.console.services import desks

    users = [make_user(teams=[team]) for _ in range(10)]
    numbers = {make_conversation(make_inbox(team)).pk for _ in range(3)}
    for count in (1, 10):
        with django_assert_num_queries(6):
            desks.look_around(
                user_ids={user.pk for user in users[:count]},
                session_keys={"x"},
                conversation_ids=numbers,
                now=timezone.now(),
            )


def test_closed_desks_leave_nothing_behind(live_server_ws, agent, conversation) -> None:
    from apps.core.hub import hub

    with desk(live_server_ws, agent) as socket:
        _watch(socket, conversation)
        assert len(hub._groups) == 3
    assert eventually(lambda: not hub.sockets)
    assert not hub._groups
    assert not hub._owners
