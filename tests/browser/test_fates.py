"""An agent answers a mail, and sees what becomes of it while he looks."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone
from playwright.sync_api import BrowserContext, expect

from apps.core import dispatch
from apps.messaging.choices import InboxKind
from apps.messaging.models import Inbox
from apps.notifications.choices import ErrorKind, Way
from apps.notifications.gateways import Outcome
from apps.notifications.models import Delivery, Gateway, SendingQueue
from apps.notifications.services import claiming, recording
from tests.browser.console import Console
from tests.browser.talking import open_place
from tests.conftest import LiveServer
from tests.factories import hand_to, put_in_line


def ends(outcome: Outcome) -> None:
    """Claimed and recorded, as a sender does it."""
    now = timezone.now()
    batch = claiming.claim(Way.EMAIL, most=1, now=now)
    assert batch is not None
    recording.write(
        [recording.of_outcome(batch.rows[0], outcome, gateway=batch.gateway, now=now)], now=timezone.now()
    )


def test_agent_sees_what_becomes_of_his_answer(
    new_context: Callable[..., BrowserContext], server: LiveServer
) -> None:
    place = open_place()
    Gateway.objects.all().delete()
    Gateway.objects.create(name="Mail", way=Way.EMAIL, kind="outbox")
    SendingQueue.objects.get_or_create(way=Way.EMAIL, priority=0)
    conversation = hand_to(put_in_line(place.queue), place.agent).conversation
    Inbox.objects.filter(pk=conversation.inbox_id).update(kind=InboxKind.EMAIL, address="support@example.com")
    ana = Console.of(place.agent.user, new_context=new_context, server=server)
    ana.open(f"/console/c/{conversation.pk}/")
    expect(ana.page.locator("#head .kind")).to_have_text("E-mail")
    ana.say("Try again")
    fate = ana.page.locator(".msg__fate")
    expect(fate).to_contain_text("Queued")
    dispatch.drain()
    Delivery.objects.update(address="ann@example.net")
    ends(Outcome(Delivery.objects.get().pk, ErrorKind.BAD_ADDRESS, "RCPT: 550 5.1.1"))
    expect(fate).to_contain_text("Not delivered")
    expect(fate).to_contain_text("Ask the customer for another address, or call.")
    expect(fate).to_have_count(1)
