"""What the screenshots show: a working day at the demo's call center, played through the services by a moved clock.

Nothing is planted: every figure on the overview comes from a customer who started a chat, an offer the router made,
an agent who answered, and a conversation that was closed.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import random
import uuid
from collections.abc import Callable
from typing import Any

import time_machine
from django.db import connection
from django.utils import timezone

from apps.core import dispatch
from apps.messaging.choices import CloseReason, Sender
from apps.messaging.models import Conversation, Disposition, Inbox, Tag
from apps.messaging.services import conversations, messages, notes, visitors
from apps.messaging.services.visitors import Claims
from apps.routing.choices import Chosen, ItemState, OfferState
from apps.routing.models import Agent, Item, NotReadyReason, Offer
from apps.routing.services import acceptance, agents, offers
from apps.routing.tasks import tick
from apps.users.models import User
from eml.demo import LOGINS

SEED = 20261
LAST_VISIT = dt.timedelta(minutes=12)
TICK = dt.timedelta(seconds=5)

CUSTOMERS = [
    *("Hannah Weiss", "Tomás Herrera", "Aisha Bello", "Liam Murphy", "Chloé Martin", "Kenji Mori"),
    *("Nadia Haddad", "Oskar Lind", "Priya Nair", "Marta Kowalska", "Jonas Berg", "Elif Demir"),
    *("Samuel Osei", "Ingrid Solberg", "Rafael Costa", "Mei Chen", "Daniel Novak", "Zoe Clarke"),
]

# (inbox, what the customer and the agent say in turns, tag)
TALKS: list[tuple[str, list[str], str]] = [
    (
        "support",
        [
            "My card was declined at the supermarket just now, although there is money on the account.",
            "I am sorry about that. I can see it: the card was blocked after three wrong PINs yesterday evening.",
            "Ah, that was my son with the vending machine. Can you unblock it?",
            "Done. It works again from now on; please use the chip once, then contactless is back as well.",
            "Brilliant, thank you!",
        ],
        "",
    ),
    (
        "support",
        [
            "Hello, I need a new card, mine is cracked.",
            "A new one is on its way and arrives within four working days. Your PIN stays the same.",
            "Perfect.",
        ],
        "",
    ),
    (
        "support",
        [
            "I was charged twice for the same hotel, 218.40 each.",
            "I see both bookings. One is still pending; I have asked the merchant's bank to release it.",
            "How long will that take? I need the money this week.",
            "Two to three days as a rule. If it is still there on Thursday, write here and we book it back ourselves.",
            "Fine, I will check on Thursday.",
        ],
        "complaint",
    ),
    (
        "sales",
        [
            "Can I open a savings account online, or do I have to come to a branch?",
            "Online, in about ten minutes. You only need your identity card and this phone.",
            "Good, I will do that tonight. What is the rate?",
            "2.6 % for the first year, then it follows the central bank.",
            "Thanks!",
        ],
        "",
    ),
    (
        "sales",
        [
            "What does a transfer to Japan cost?",
            "12 € flat, and it arrives within two working days.",
            "That is less than I feared. Thank you.",
        ],
        "feedback",
    ),
    (
        "sales",
        [
            "We are a small bakery and look for a business account with two cards.",
            "Gladly. Do you take card payments in the shop? Then the terminal is included.",
            "Yes, about 300 a day.",
            "I have sent you the offer by e-mail; it is good for 30 days. My colleague calls you tomorrow at ten.",
        ],
        "vip",
    ),
]


class Day:
    """An agenda: what happens is done at its time, and may add to the agenda."""

    def __init__(self, *, begins_at: dt.datetime) -> None:
        self._agenda: list[tuple[dt.datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._luck = random.Random(SEED)
        self._clock = time_machine.travel(begins_at, tick=False)
        self._ticks_at: dt.datetime | None = None
        self._seen: set[int] = set()
        self._ends_at = timezone.now()

    def play(self) -> None:
        """From the first customer to now."""
        with self._clock as clock:
            connection.ensure_connection()
            # Leases end by the database's clock, which must show the same time.
            connection.connection.create_function("STRFTIME", 2, _database_clock)
            while self._agenda and self._agenda[0][0] < self._ends_at:
                at, _, act = heapq.heappop(self._agenda)
                clock.move_to(at)
                agents.renew_leases(_at_work(), now=at)
                act()
                dispatch.drain()
                self._look_around(at)
        connection.close()

    def add(self, at: dt.datetime, act: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self._agenda, (at, next(self._numbers), lambda: act(*args)))

    def later(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        self.add(timezone.now() + dt.timedelta(seconds=seconds), act, *args)

    def between(self, least: float, most: float) -> float:
        return self._luck.uniform(least, most)

    def _look_around(self, now: dt.datetime) -> None:
        """Whoever is rung answers in a while; as long as something runs out, the sweeps are made."""
        for offer in Offer.objects.filter(state=OfferState.OFFERED).exclude(id__in=self._seen):
            self._seen.add(offer.pk)
            answer = self._decline if offer.pk % 11 == 5 else self._accept
            self.later(self.between(2, 14), answer, offer)
        is_busy = Item.objects.exclude(state__in=[ItemState.DONE, ItemState.ACTIVE]).exists()
        if is_busy and (self._ticks_at is None or self._ticks_at <= now):
            self._ticks_at = now + TICK
            self.add(self._ticks_at, tick)

    def _accept(self, offer: Offer) -> None:
        offer.refresh_from_db()
        if offer.state == OfferState.OFFERED:
            acceptance.accept(offer.pk, by=offer.agent.user, now=timezone.now())

    def _decline(self, offer: Offer) -> None:
        offer.refresh_from_db()
        if offer.state == OfferState.OFFERED:
            offers.decline(offer.pk, by=offer.agent.user, now=timezone.now())


class Visit:
    """One customer: asks, waits, talks, and goes."""

    def __init__(self, day: Day, number: int) -> None:
        self._day, self._number = day, number
        self._slug, self._lines, self._tag = TALKS[number % len(TALKS)]
        self._is_impatient = number % 9 == 7

    def begin(self) -> None:
        self.conversation = start_chat(self._slug, CUSTOMERS[self._number % len(CUSTOMERS)], self._lines[0])
        if self._is_impatient:
            self._day.later(1.5, self._leave)
        else:
            self._day.later(5, self._go_on, 1)

    def _leave(self) -> None:
        reason = CloseReason.ENDED_BY_CUSTOMER
        conversations.close(
            self.conversation.pk, by=self.conversation.customer, now=timezone.now(), reason=reason
        )

    def _go_on(self, line: int) -> None:
        self.conversation.refresh_from_db()
        if self.conversation.agent is None:
            self._day.later(5, self._go_on, line)
        elif line == len(self._lines):
            self._end()
        else:
            say(self.conversation, self._lines[line], by_agent=line % 2 == 1)
            self._day.later(self._day.between(12, 80), self._go_on, line + 1)

    def _end(self) -> None:
        agent, now = self.conversation.agent, timezone.now()
        assert agent is not None
        if self._tag:
            conversations.set_tags(self.conversation.pk, tags=[Tag.objects.get(name=self._tag)], by=agent)
        if self._tag == "complaint":
            notes.add(self.conversation, body="Merchant's bank informed, case 48-2291.", by=agent, now=now)
        solved = Disposition.objects.get(name="Needs follow-up" if self._tag == "complaint" else "Solved")
        conversations.close(self.conversation.pk, by=agent, now=now, disposition=solved)
        self._day.later(8, self._rate)

    def _rate(self) -> None:
        comment = "Quick and clear." if self._number % 3 else ""
        conversations.rate(
            self.conversation.pk, rating=4 + self._number % 2, comment=comment, by=self.conversation.customer
        )


def play_the_day(*, hours: int = 7, visits: int = 24) -> None:
    """A working day up to a few minutes ago, in seconds."""
    now = timezone.now()
    begins_at = now - dt.timedelta(hours=hours)
    day = Day(begins_at=begins_at)
    day.add(begins_at, _open_shop)
    for number in range(visits):
        share = (number + day.between(0.1, 0.9)) / visits
        at = begins_at + (now - LAST_VISIT - begins_at) * share
        day.add(at, Visit(day, number).begin)
    day.play()


def start_chat(slug: str, name: str, body: str, **claims: str) -> Conversation:
    conversation, _token = visitors.open_chat(
        Inbox.objects.get(slug=slug),
        claims=Claims(name=name, language="en", **claims),
        body=body,
        start_key=uuid.uuid4(),
        now=timezone.now(),
    )
    return conversation


def say(conversation: Conversation, body: str, *, by_agent: bool) -> None:
    user = conversation.agent if by_agent else None
    messages.send(
        messages.Draft(
            conversation_id=conversation.pk,
            sender=Sender.AGENT if by_agent else Sender.CUSTOMER,
            body=body,
            actor_ref=user.actor_ref if user else conversation.customer.actor_ref,
            user=user,
            client_msg_id=uuid.uuid4(),
        )
    )


def person(name: str) -> User:
    """By first name."""
    return User.objects.get(email=next(login["email"] for login in LOGINS if login["name"].startswith(name)))


def choose(name: str, chosen: Chosen, reason: str = "") -> None:
    user = person(name)
    not_ready = NotReadyReason.objects.get(name=reason) if reason else None
    agents.choose(user, chosen=chosen, reason=not_ready, now=timezone.now(), by=user)


def _open_shop() -> None:
    for name in ("Ana", "Ben", "Eva"):
        choose(name, Chosen.AVAILABLE)


def _at_work() -> list[int]:
    return list(Agent.objects.exclude(chosen=Chosen.SIGNED_OUT).values_list("user_id", flat=True))


def _database_clock(pattern: str, when: str) -> str:
    """SQLite's STRFTIME, by the moved clock; Django asks it for nothing but the present."""
    assert when == "NOW", when
    return f"{timezone.now().astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
