"""Two teams that must know nothing of each other, and one of everything for each of them."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from axes.models import AccessAttempt
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from apps.core.models import ErrorGroup, Event, Handling
from apps.messaging.models import Arrival, CannedReply, Conversation, Disposition, Inbox, Tag
from apps.messaging.services import attachments, conversations, notes
from apps.notifications import links
from apps.notifications.choices import Way
from apps.notifications.models import (
    Appointment,
    Automation,
    Campaign,
    Delivery,
    Gateway,
    Notice,
    OutboxMessage,
    Preference,
    Purpose,
    Reminder,
    Segment,
    SendingQueue,
    Suppression,
    Template,
    TemplateVersion,
    WebhookSubscription,
)
from apps.routing.models import Agent, Calendar, Callback, Decision, Item, Offer, PolicyVersion
from apps.users.choices import Role
from apps.users.models import ContactPoint, Customer, User
from apps.users.services import tokens
from tests.factories import (
    hand_to,
    make_agent,
    make_customer,
    make_inbox,
    make_message,
    make_purpose,
    make_queue,
    make_reason,
    make_skill,
    make_team,
    make_template,
    make_user,
    make_visitor,
    put_in_line,
    ring,
)

# Words that stand in everything private of a team, so that a leak is seen whatever it comes in.
MARKS = {"x": "xylophone", "y": "yarrow"}
MISSING = 999_999_999
LONG = timedelta(hours=1)
PASSWORD = "correct horse battery"


class Actor(StrEnum):
    """Who asks; the columns of the table."""

    AN = "AN"  # anonymous
    VA = "VA"  # a visitor with the token of team X's conversation
    AX = "AX"  # an agent of team X, who has that conversation
    AY = "AY"  # an agent of team Y, who has one there
    SX = "SX"  # a supervisor of team X
    AD = "AD"  # an administrator, member of no team
    DX = "DX"  # an agent of team X who was deactivated; his session and token are from before


class Whose(StrEnum):
    OWN = "own"
    FOREIGN = "foreign"
    MISSING = "missing"


@dataclasses.dataclass
class Side:
    """What one team has. `keys` are the values of address parameters, by what they stand for."""

    agent: User
    visitor_token: str
    closed_token: str
    customer: Customer
    keys: dict[str, Any]


@dataclasses.dataclass
class World:
    x: Side
    y: Side
    users: dict[Actor, User]
    clients: dict[Actor, Client]

    def renew(self, actor: Actor) -> None:
        """A fresh access token: they live for five minutes only."""
        if user := self.users.get(actor):
            self.clients[actor].defaults["HTTP_AUTHORIZATION"] = f"Bearer {tokens.issue(user).access}"

    def keys(self, actor: Actor, whose: Whose) -> Mapping[str, Any]:
        if whose == Whose.MISSING:
            return MISSING_KEYS
        is_of_y = (actor == Actor.AY) != (whose == Whose.FOREIGN)
        return (self.y if is_of_y else self.x).keys


class _Missing(dict):
    """Keys of nothing, whatever they stand for."""

    def __missing__(self, name: str) -> int:
        return MISSING


MISSING_KEYS: Mapping[str, Any] = _Missing(attachment=uuid.UUID(int=1), inbox="no-such-inbox")


def build() -> World:
    users = {}
    x, ax, team_x = _side("x")
    y, ay, _team_y = _side("y")
    users[Actor.AX], users[Actor.AY] = ax, ay
    users[Actor.SX] = make_user(Role.SUPERVISOR, [team_x], name="Sofia Supervisor", password=PASSWORD)
    users[Actor.AD] = make_user(Role.ADMIN, name="Ada Admin", password=PASSWORD)
    users[Actor.DX] = make_user(Role.AGENT, [team_x], name="Dora Gone", password=PASSWORD)
    clients = {actor: _client(user) for actor, user in users.items()}
    User.objects.filter(pk=users[Actor.DX].pk).update(is_active=False)
    clients[Actor.AN] = Client(raise_request_exception=False)
    clients[Actor.VA] = Client(
        raise_request_exception=False, headers={"Authorization": f"Visitor {x.visitor_token}"}
    )
    return World(x, y, users, clients)


def _client(user: User) -> Client:
    """Signed in with a browser and with a token, so that one client goes through all doors."""
    access = tokens.issue(user).access
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {access}"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _side(letter: str) -> tuple[Side, User, Any]:
    now = timezone.now()
    mark = MARKS[letter]
    team = make_team(f"Team {mark}")
    queue = make_queue(team=team, wrap_up_seconds=30)
    inbox = make_inbox(queue=queue, slug=f"inbox-of-{letter}")
    agent = make_agent(
        team, user=make_user(teams=[team], name=f"Agent {mark}", password=PASSWORD), capacity=300
    )
    customer = make_customer([team], name=f"Customer {mark}")
    item = hand_to(put_in_line(queue, customer=customer), agent)
    _visitor, token = make_visitor(item.conversation)
    closed = hand_to(put_in_line(queue), agent).conversation
    _closed, closed_token = make_visitor(closed)
    conversations.close(closed.pk, by=agent.user, now=now)
    keys = {
        "conversation": item.conversation_id,
        "closed": closed.pk,
        "customer": customer.pk,
        "double": make_customer([team], name=f"Double {mark}").pk,
        "queue": queue.pk,
        "user": agent.user.pk,
        "agent": agent.pk,
        "team": team.pk,
        "inbox": inbox.slug,
        "inbox_row": inbox.pk,
        **_said(item.conversation, agent, mark),
        **_lined_up(item, agent, mark),
        **_wished(customer, mark),
        **_reminded(customer, team, mark),
        "follow_up": _follow_up(agent.user, item.conversation).pk,
        **_many(team, mark),
        "canned": CannedReply.objects.create(shortcut=f"hi-{letter}", title=mark, body=mark, team=team).pk,
        **_sent(customer, mark),
        "arrival": _arrival(inbox, mark).pk,
        **_shared(agent),
    }
    versioned = {
        "customer": customer,
        "user": agent.user,
        "inbox_row": inbox,
        "queue": queue,
        "canned": CannedReply.objects.get(pk=keys["canned"]),
        "segment": Segment.objects.get(pk=keys["segment"]),
    }
    history = {f"{key}_history": row.history.latest().pk for key, row in versioned.items()}
    return Side(agent.user, token, closed_token, customer, keys | history), agent.user, team


def _said(conversation: Conversation, agent: Agent, mark: str) -> dict[str, Any]:
    """Words, a note and a file of this conversation, and what the log tells of it."""
    now = timezone.now()
    make_message(conversation, f"words {mark}")
    notes.add(conversation, body=f"note {mark}", by=agent.user, now=now)
    file = SimpleUploadedFile(f"{mark}.txt", mark.encode())
    attachment = attachments.store(conversation, file, by=agent.user, now=now)
    make_message(conversation, "with a file", user=agent.user, attachment_ids=(attachment.pk,))
    event = Event.objects.filter(stream=conversation.stream).latest("id")
    notice = Notice.objects.create(user=agent.user, title=f"notice {mark}")
    return {
        "attachment": attachment.pk,
        "event": event.pk,
        "handling": _handling(event).pk,
        "notice": notice.pk,
    }


def _lined_up(item: Item, agent: Agent, mark: str) -> dict[str, Any]:
    """What waits, rings and was decided in this item's queue."""
    queue, now = item.queue, timezone.now()
    version = PolicyVersion.objects.create(
        queue=queue, number=1, at=now, policy={"settings": {"name": mark}, "steps": [], "levels": {}}
    )
    offer = ring(put_in_line(queue), agent)
    # Longer than the tests take: what rings goes on ringing, and nobody's connection is lost.
    Offer.objects.filter(pk=offer.pk).update(expires_at=now + LONG)
    Agent.objects.filter(pk=agent.pk).update(present_until=now + LONG)
    return {
        "version": version.pk,
        "offer": offer.pk,
        "item": put_in_line(queue).pk,
        "decision": _decision(item, agent).pk,
        "callback": _callback(queue).pk,
    }


def _wished(customer: Customer, mark: str) -> dict[str, Any]:
    """An address of the customer, and what is wanted there."""
    contact = ContactPoint.objects.create(customer=customer, kind="email", value=f"{mark}@example.com")
    purpose = make_purpose()
    preference = Preference.objects.create(
        customer=customer, purpose=purpose, way=Way.EMAIL, is_wanted=True, source="staff"
    )
    return {
        "contact": contact.pk,
        "wishes": links.token(links.Wish(customer.pk, purpose.pk, Way.EMAIL)),
        "preference": preference.pk,
    }


def _arrival(inbox: Inbox, mark: str) -> Arrival:
    return Arrival.objects.create(
        inbox=inbox,
        kind="email",
        source_id=mark,
        sender=f"{mark}@example.net",
        text=mark,
        quarantined_because="automatic",
    )


def _handling(event: Event) -> Handling:
    return Handling.objects.create(
        event=event, stream=event.stream, subscriber="test", is_dead=True, due_at=event.at
    )


def _callback(queue: Any) -> Callback:
    item = put_in_line(queue)
    return Callback.objects.create(conversation=item.conversation, way="call", phone="+4930901820")


def _reminded(customer: Customer, team: Any, mark: str) -> dict[str, int]:
    soon = timezone.now() + timedelta(days=3)
    appointment = Appointment.objects.create(
        customer=customer, team=team, title=f"Visit {mark}", starts_at=soon
    )
    reminder = Reminder.objects.create(
        template=make_template(),
        customer=customer,
        team=team,
        ways=["email"],
        appointment=appointment,
        offset_minutes=-60,
        next_at=soon,
    )
    return {"appointment": appointment.pk, "reminder": reminder.pk}


def _follow_up(user: User, conversation: Any) -> Reminder:
    soon = timezone.now() + timedelta(days=2)
    return Reminder.objects.create(
        template=make_template(),
        user=user,
        ways=["in_app"],
        conversation=conversation,
        date=soon.date(),
        time=soon.time(),
        next_at=soon,
    )


def _many(team: Any, mark: str) -> dict[str, int]:
    segment = Segment.objects.create(name=f"Segment {mark}", team=team)
    campaign = Campaign.objects.create(
        name=f"Campaign {mark}", team=team, segment=segment, template=make_template(), ways=["email"]
    )
    return {"segment": segment.pk, "campaign": campaign.pk}


def _decision(item: Item, agent: Any) -> Decision:
    return Decision.objects.create(
        item=item,
        queue=item.queue,
        agent=agent,
        policy=1,
        at=timezone.now(),
        score=1,
        step=0,
        terms=[],
        others=[],
    )


def _sent(customer: Customer, mark: str) -> dict[str, int]:
    now = timezone.now()
    delivery = Delivery.objects.create(
        cause=f"test:{mark}",
        recipient=customer.actor_ref,
        customer=customer,
        way=Way.EMAIL,
        address=f"{mark}@example.com",
        slot_at=now + LONG,
        due_at=now + LONG,
    )
    message = OutboxMessage.objects.create(delivery=delivery, way=Way.EMAIL, to=delivery.address, text=mark)
    return {"delivery": delivery.pk, "outbox": message.pk}


def _shared(agent: Any) -> dict[str, int]:
    """What belongs to no team."""
    every, _ = IntervalSchedule.objects.get_or_create(every=5, period="seconds")
    task, _ = PeriodicTask.objects.get_or_create(name="test.task", defaults={"task": "x", "interval": every})
    attempt, _ = AccessAttempt.objects.get_or_create(
        username="somebody", ip_address="192.0.2.7", user_agent="", defaults={"failures_since_start": 9}
    )
    now = timezone.now()
    error, _ = ErrorGroup.objects.get_or_create(
        fingerprint="x", defaults={"title": "ValueError", "first_seen_at": now, "last_seen_at": now}
    )
    purpose, _ = Purpose.objects.get_or_create(slug="service", defaults={"name": "Service"})
    template, is_new = Template.objects.get_or_create(
        slug="any", defaults={"name": "Any text", "purpose": purpose, "version": 1}
    )
    if is_new:
        TemplateVersion.objects.create(template=template, number=1, texts={"sms": {"en": {"body": "x"}}})
    said, _ = Purpose.objects.get_or_create(slug="any", defaults={"name": "Any purpose"})
    stopped, _ = Suppression.objects.get_or_create(way="email", address="gone@example.com")
    automation, _ = Automation.objects.get_or_create(
        name="Any",
        defaults={
            "event_type": "messaging.conversation.closed",
            "template": template,
            "audience": "customer",
        },
    )
    calendar, _ = Calendar.objects.get_or_create(name="Office", defaults={"monday": "08:00-18:00"})
    gateway, _ = Gateway.objects.get_or_create(name="Door", defaults={"way": Way.SMS, "kind": "twilio"})
    webhook, _ = WebhookSubscription.objects.get_or_create(
        name="Door", defaults={"url": "https://example.com/", "event_types": ["ping"]}
    )
    return {
        "error": error.pk,
        "template": template.pk,
        "template_version": template.versions.latest("number").pk,
        "purpose": said.pk,
        "purpose_history": said.history.latest().pk,
        "suppression": stopped.pk,
        "sending": SendingQueue.objects.get(way=Way.EMAIL, priority=1).pk,
        "automation": automation.pk,
        "automation_history": automation.history.latest().pk,
        "calendar": calendar.pk,
        "calendar_history": calendar.history.latest().pk,
        "gateway_row": gateway.pk,
        "gateway_row_history": gateway.history.latest().pk,
        "webhook": webhook.pk,
        "reason": make_reason().pk,
        "skill": make_skill("cards").pk,
        "disposition": Disposition.objects.get_or_create(name="Solved")[0].pk,
        "tag": Tag.objects.get_or_create(name="vip")[0].pk,
        "task": task.pk,
        "attempt": attempt.pk,
    }
