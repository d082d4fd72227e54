"""Z21, Z23: what REST answers is what the sockets say, for each side; whoever comes late sees what the others see."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.utils import timezone

from apps.messaging.models import Conversation
from apps.messaging.services import notes
from apps.users.services import tickets, tokens
from tests.factories import make_conversation, make_inbox, make_message, make_team, make_user, make_visitor
from tests.wire import chat, wire


@pytest.fixture
def conversation(transactional_db: None) -> Conversation:
    team = make_team()
    agent = make_user(teams=[team], name="Ana Silva", email="ana@secret.example")
    made = make_conversation(make_inbox(team), agent=agent, body="one")
    make_message(made, "two", user=agent)
    notes.add(made, body="between ourselves", by=agent, now=timezone.now())
    return made


def asked(server: Any, path: str, authorization: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{server.url}/api/v1/{path}", headers={"Authorization": authorization}, timeout=30)
    assert answer.status_code == 200, answer.text
    return sorted(answer.json()["results"], key=lambda message: message["seq"])


def said(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a frame tells besides being one of this conversation."""
    return [{name: frame[name] for name in frame.keys() - {"type", "conversation"}} for frame in frames]


def watched(socket: Any, conversation: Conversation) -> list[dict[str, Any]]:
    socket.send({"type": "watch", "conversation": conversation.pk})
    return socket.wait_for("replay")["messages"]


def test_z21_z23_a_customer_hears_and_reads_the_same_whenever_he_comes(live_server_ws, conversation) -> None:
    token = make_visitor(conversation)[1]
    with chat(live_server_ws, token) as early:
        before = early.wait_for("replay")["messages"]
        make_message(conversation, "three", user=conversation.agent)
        pushed = early.wait_for("message")
        with chat(live_server_ws, token) as late:
            replayed = late.wait_for("replay")["messages"]
    read = asked(live_server_ws, "chat/messages/", f"Visitor {token}")
    assert said(replayed) == said([*before, pushed]) == read
    assert "between ourselves" not in str([*replayed, pushed])
    assert "secret.example" not in str([*replayed, pushed])


def test_z21_z23_an_agent_hears_and_reads_the_same_whenever_he_comes(live_server_ws, conversation) -> None:
    agent, access = conversation.agent, tokens.issue(conversation.agent).access

    def desk() -> Any:
        return wire(live_server_ws, "/ws/desk/", origin=None)

    def auth() -> dict[str, str]:
        return {"type": "auth", "ticket": tickets.issue(agent, now=timezone.now())}

    with desk() as early:
        early.send(auth())
        early.wait_for("ready")
        before = watched(early, conversation)
        make_message(conversation, "three")
        pushed = early.wait_for("message")
        with desk() as late:
            late.send(auth())
            late.wait_for("ready")
            replayed = watched(late, conversation)
    read = asked(live_server_ws, f"conversations/{conversation.pk}/messages/", f"Bearer {access}")
    assert said(replayed) == said([*before, pushed]) == read
