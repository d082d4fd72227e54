"""The two people of the chat stories: the customer by his browser, the agent by the services behind his desk."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable

from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from apps.core import dispatch
from apps.messaging.choices import Sender
from apps.messaging.models import Conversation, Inbox, Message
from apps.messaging.services import conversations
from apps.routing.choices import Chosen, OfferState
from apps.routing.models import Agent, Item, Queue
from apps.routing.services import acceptance, agents, leaving
from tests.factories import make_agent, make_inbox, make_message, make_queue, make_user, ring


@dataclasses.dataclass
class Place:
    queue: Queue
    inbox: Inbox
    agent: Agent


def open_place(*, is_staffed: bool = True, capacity: int = 100, **inbox_fields) -> Place:
    """A chat with a queue behind it, and Ana at the desk."""
    queue = make_queue(steps=[(0, {})])
    inbox = make_inbox(queue=queue, **{"slug": "support", "name": "Shop support"} | inbox_fields)
    user = make_user(name="Ana Silva", teams=[queue.team])
    chosen = Chosen.AVAILABLE if is_staffed else Chosen.SIGNED_OUT
    agent = make_agent(user=user, capacity=capacity, chosen=chosen)
    return Place(queue, inbox, agent)


class Visitor:
    """A customer at a page (or frame) of the chat; reads what a person would read."""

    def __init__(self, page: Page | Locator) -> None:
        self.page = page

    def open(self, slug: str = "support") -> Visitor:
        self.page.goto(f"/chat/{slug}/")
        return self

    def start(self, body: str = "Hello, where is my parcel?", *, name: str = "Ada") -> Conversation:
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Your message").fill(body)
        self.page.get_by_role("button", name="Start the conversation").click()
        expect(self.bubbles.first).to_be_visible()
        dispatch.drain()
        return Conversation.objects.latest("id")

    def say(self, text: str) -> None:
        self.input.fill(text)
        self.input.press("Enter")

    @property
    def input(self) -> Locator:
        return self.page.get_by_role("textbox", name="Write a message")

    @property
    def bubbles(self) -> Locator:
        return self.page.locator(".bubble:visible")

    @property
    def system_lines(self) -> Locator:
        return self.page.locator(".system:visible")

    @property
    def wait(self) -> Locator:
        return self.page.locator(".wait")

    @property
    def heading(self) -> Locator:
        return self.page.get_by_role("heading", level=1)

    @property
    def connection_bar(self) -> Locator:
        return self.page.locator(".chat__connection")

    def expect_said(self, *bodies: str) -> None:
        """Exactly these bubbles, in this order, each once."""
        expect(self.bubbles).to_have_text([re.compile(f"^{re.escape(body)}$") for body in bodies])


class Desk:
    """The agent's side of one conversation."""

    def __init__(self, place: Place, conversation: Conversation) -> None:
        self.place, self.conversation, self.user = place, conversation, place.agent.user

    def accept(self) -> Desk:
        """Answer what rings; if it does not ring yet, ring first."""
        item = Item.objects.get(conversation=self.conversation)
        live = item.offers.filter(state=OfferState.OFFERED).first()
        offer = live or ring(item, self.place.agent)
        acceptance.accept(offer.pk, by=offer.agent.user, now=timezone.now())
        self.user = offer.agent.user
        return self

    def say(self, body: str, **fields) -> None:
        make_message(self.conversation, body, user=self.user, **fields)

    def read(self) -> None:
        self.conversation.refresh_from_db()
        conversations.mark_read(self.conversation.pk, side=Sender.AGENT, seq=self.conversation.last_seq)

    def close(self) -> None:
        conversations.close(self.conversation.pk, by=self.user, now=timezone.now())
        dispatch.drain()

    def lose(self) -> None:
        """The laptop died: its lease and the grace are over, and the sweep hands the conversation back."""
        now = timezone.now()
        Agent.objects.filter(user=self.user).update(present_until=now - agents.GRACE)
        leaving.release_lost(now=now)
        dispatch.drain()

    def stored(self) -> list[str]:
        """What the customer said, as the database has it."""
        own = Message.objects.filter(conversation=self.conversation, sender=Sender.CUSTOMER)
        return list(own.order_by("seq").values_list("body", flat=True))


def until(page: Page, holds: Callable[[], bool], *, seconds: float = 15) -> None:
    """Let the browser go on until something holds that no locator can see."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        page.wait_for_timeout(50)
