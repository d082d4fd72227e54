"""Ana at her desk, with one conversation in her hands."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from apps.messaging.models import Conversation
from apps.routing.models import Agent, Item, Queue
from apps.users.models import User
from tests.factories import hand_to, make_agent, make_queue, make_user, put_in_line


@dataclasses.dataclass
class Desk:
    """What somebody does in a browser: pages, and what HTMX asks for."""

    client: Client
    user: User

    def get(self, name: str, *args: Any, **query: Any) -> HttpResponse:
        return self.client.get(reverse(f"console:{name}", args=args), query, headers={"HX-Request": "true"})

    def page(self, name: str, *args: Any) -> HttpResponse:
        return self.client.get(reverse(f"console:{name}", args=args))

    def post(self, name: str, *args: Any, **data: Any) -> HttpResponse:
        return self.client.post(reverse(f"console:{name}", args=args), data, headers={"HX-Request": "true"})

    def post_plainly(self, name: str, *args: Any, **data: Any) -> HttpResponse:
        return self.client.post(reverse(f"console:{name}", args=args), data)


def open_desk(user: User) -> Desk:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Desk(client, user)


def events_of(response: HttpResponse) -> dict[str, Any]:
    """What the answer makes happen in the browser, at once or when it stands in its place."""
    headers = (response.headers.get(name, "{}") for name in ("HX-Trigger", "HX-Trigger-After-Settle"))
    return {name: detail for header in headers for name, detail in json.loads(header).items()}


def words_of(response: HttpResponse) -> str:
    return " ".join(response.content.decode().split())


@pytest.fixture
def queue(db) -> Queue:
    return make_queue(name="Support", wrap_up_seconds=30)


@pytest.fixture
def ana(queue: Queue) -> Agent:
    return make_agent(user=make_user(name="Ana Silva", teams=[queue.team]), capacity=100)


@pytest.fixture
def desk(ana: Agent) -> Desk:
    return open_desk(ana.user)


@pytest.fixture
def item(queue: Queue, ana: Agent) -> Item:
    return hand_to(put_in_line(queue), ana)


@pytest.fixture
def talk(item: Item) -> Conversation:
    return Conversation.objects.get(pk=item.conversation_id)


@pytest.fixture
def foreign() -> Item:
    """A conversation of another team, with an agent of that team."""
    elsewhere = make_queue(name="Elsewhere")
    return hand_to(put_in_line(elsewhere), make_agent(elsewhere.team))
