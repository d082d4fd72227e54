"""An agent at the desk in a browser: what he does, and what he would read there."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.test import Client
from playwright.sync_api import BrowserContext, Locator, Page, WebSocketRoute, expect

from apps.core import dispatch
from apps.messaging.choices import Sender
from apps.messaging.models import Conversation, Message
from apps.routing.models import Item
from apps.users.models import User
from tests.browser.talking import Place
from tests.conftest import LiveServer
from tests.factories import make_customer, put_in_line, ring

# What is on its way stands in the outbox, not in the thread.
SAID = ".thread__list:not(#outbox) :is(.msg--in, .msg--out) .msg__bubble"


class Console:
    """The desk of one user."""

    def __init__(self, page: Page, user: User) -> None:
        self.page, self.user = page, user

    @classmethod
    def of(
        cls, user: User, *, new_context: Callable[..., BrowserContext], server: LiveServer, **options
    ) -> Console:
        """A browser in which this user is signed in; the desk is not open yet."""
        context = new_context(**options)
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": server.url}])
        return cls(context.new_page(), user)

    def open(self, path: str = "/console/") -> Console:
        self.page.goto(path)
        self.expect_connected()
        return self

    def expect_connected(self) -> None:
        expect(self.page.locator("html")).to_have_attribute("data-connected", "yes")

    def accept(self) -> Console:
        self.page.get_by_role("button", name="Accept").first.click()
        expect(self.thread).to_be_visible()
        return self

    def choose(self, name: str) -> None:
        self.rows.filter(has_text=name).click()
        expect(self.heading).to_have_text(name)

    def say(self, text: str) -> None:
        self.input.fill(text)
        self.input.press("Enter")

    @property
    def input(self) -> Locator:
        return self.page.locator(".composer__text")

    @property
    def thread(self) -> Locator:
        return self.page.locator("#thread")

    @property
    def bubbles(self) -> Locator:
        return self.page.locator(SAID)

    @property
    def notes(self) -> Locator:
        return self.page.locator(".msg--note .msg__bubble")

    @property
    def heading(self) -> Locator:
        return self.page.locator("#head h1")

    @property
    def rows(self) -> Locator:
        return self.page.locator("#list [data-row]")

    @property
    def offers(self) -> Locator:
        return self.page.locator(".offer")

    @property
    def state(self) -> Locator:
        return self.page.locator("#presence-word")

    @property
    def connection_bar(self) -> Locator:
        return self.page.locator("#connection")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def toasts(self) -> Locator:
        return self.page.locator(".toast")

    def expect_said(self, *bodies: str) -> None:
        """Exactly these bubbles, in this order, each once."""
        expect(self.bubbles).to_have_text([re.compile(f"^{re.escape(body)}$") for body in bodies])


def customer_writes(place: Place, name: str = "Maria Keller", *, waited: int = 0) -> Item:
    """Somebody waits, and the place's agent is rung for him."""
    item = put_in_line(place.queue, waited=waited, customer=make_customer(name=name))
    dispatch.drain()
    if not item.offers.live().exists():
        item.refresh_from_db()
        ring(item, place.agent)
    return item


def conversation_of(item: Item) -> Conversation:
    return Conversation.objects.get(pk=item.conversation_id)


def break_socket(page: Page) -> Callable[[], None]:
    """From now on the desk's socket can be broken: by the returned function it is cut once."""
    routes: list[WebSocketRoute] = []

    def connect(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    page.route_web_socket("**/ws/desk/", connect)
    return lambda: routes[-1].close(code=1012)


def stored(conversation: Conversation, sender: Sender = Sender.AGENT) -> list[str]:
    said = Message.objects.filter(conversation=conversation, sender=sender)
    return list(said.order_by("seq").values_list("body", flat=True))


Open = Callable[..., Console]
