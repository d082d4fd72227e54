"""Rows for tests, as plain keyword functions: what a test does not name gets a sensible value."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.messaging.choices import Sender
from apps.messaging.models import Conversation, Inbox, Message
from apps.messaging.services import conversations, messages, visitors
from apps.messaging.services.visitors import Visitor
from apps.notifications.choices import PurposeKind, Way
from apps.notifications.gateways import Outgoing
from apps.notifications.models import Delivery, Purpose, Template, TemplateVersion
from apps.routing.choices import Chosen
from apps.routing.models import (
    Agent,
    AgentSkill,
    Calendar,
    InboxRoute,
    Item,
    Need,
    NotReadyReason,
    Offer,
    PriorityLevel,
    Queue,
    Skill,
    Step,
)
from apps.routing.models.hours import WEEKDAYS
from apps.routing.services import acceptance, agents, offers, queueing
from apps.users.choices import Role
from apps.users.models import Customer, Team, User

_numbers = count(1)

# People


def make_team(name: str | None = None) -> Team:
    return Team.objects.create(name=name or f"Team {next(_numbers)}")


def make_user(role: Role | None = Role.AGENT, teams: Iterable[Team] = (), **fields: Any) -> User:
    """A user with this role; he has a password only if the test names one (hashing takes its time)."""
    number = next(_numbers)
    fields = {"email": f"person{number}@example.com", "name": f"Person {number}"} | fields
    is_staff = role in (Role.SUPERVISOR, Role.ADMIN)
    user = User.objects.create_user(**fields, is_staff=is_staff)
    user.teams.set(teams)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def make_customer(teams: Iterable[Team] = (), **fields: Any) -> Customer:
    customer = Customer.objects.create(**{"name": f"Customer {next(_numbers)}"} | fields)
    customer.teams.set(teams)
    return customer


# Routing


def make_queue(
    steps: Iterable[tuple[int, dict[str, int]] | tuple[int, dict[str, int], bool]] = (),
    *,
    team: Team | None = None,
    levels: dict[str, int] | None = None,
    **fields: Any,
) -> Queue:
    """A queue; steps are (after, {skill: level}) or (after, {skill: level}, if_nobody). No wrap-up unless named."""
    number = next(_numbers)
    fields = {"name": f"Queue {number}", "slug": f"queue-{number}", "wrap_up_seconds": 0} | fields
    queue = Queue.objects.create(team=team or make_team(), **fields)
    for after, needs, *rest in steps:
        step = Step.objects.create(queue=queue, after=after, if_nobody=bool(rest and rest[0]))
        for name, level in needs.items():
            Need.objects.create(step=step, skill=make_skill(name), level=level)
    for name, credit in (levels or {}).items():
        PriorityLevel.objects.create(queue=queue, name=name, credit=credit)
    return queue


def make_calendar(**fields: Any) -> Calendar:
    """Opening hours that are never open, unless the test names hours: `monday="08:00-12:00"` or `every="..."`."""
    every = fields.pop("every", "")
    return Calendar.objects.create(
        **{"name": f"Hours {next(_numbers)}"} | dict.fromkeys(WEEKDAYS, every) | fields
    )


def make_skill(name: str) -> Skill:
    return Skill.objects.get_or_create(name=name)[0]


def make_agent(
    team: Team | None = None,
    *,
    user: User | None = None,
    skills: dict[str, int] | None = None,
    chosen: Chosen = Chosen.AVAILABLE,
    idle: int = 0,
    **fields: Any,
) -> Agent:
    """An agent of this team who is signed in and free for `idle` seconds, unless the test says otherwise."""
    user = user or make_user(teams=[team] if team else [])
    now = timezone.now()
    present_until = None if chosen == Chosen.SIGNED_OUT else now + agents.LEASE
    fields = {"present_until": present_until, "free_since": now - timedelta(seconds=idle)} | fields
    agent, _ = Agent.objects.update_or_create(user=user, defaults={"chosen": chosen, **fields})
    for name, level in (skills or {}).items():
        AgentSkill.objects.create(agent=agent, skill=make_skill(name), level=level)
    with transaction.atomic():
        agents.restate(agents.lock(agent.pk), now=now, by=SYSTEM)
    return agent


def make_reason(name: str = "Lunch") -> NotReadyReason:
    return NotReadyReason.objects.get_or_create(name=name)[0]


def make_inbox(team: Team | None = None, *, queue: Queue | None = None, **fields: Any) -> Inbox:
    """An inbox, with the way into a queue if one is named."""
    number = next(_numbers)
    team = team or (queue.team if queue else make_team())
    inbox = Inbox.objects.create(
        **{"name": f"Inbox {number}", "slug": f"inbox-{number}", "team": team} | fields
    )
    if queue:
        InboxRoute.objects.create(inbox=inbox, queue=queue)
    return inbox


def put_in_line(queue: Queue, *, waited: int = 0, credit: int = 0, customer: Customer | None = None) -> Item:
    """A customer who waits in this queue for `waited` seconds."""
    route = queue.routes.select_related("inbox").first()
    inbox = route.inbox if route else make_inbox(queue=queue)
    conversation = make_conversation(inbox, waited=waited, customer=customer)
    item = queueing.enqueue(conversation.pk, now=timezone.now())
    if credit:
        item.credit, item.line_key = credit, item.line_key - credit
        item.save(update_fields=["credit", "line_key"])
    return item


def ring(item: Item, agent: Agent) -> Offer:
    """This agent is rung for this item, whatever the policy says."""
    with transaction.atomic():
        offer = offers.make(item, agent=agents.lock(agent.pk), now=timezone.now())
    assert offer is not None, "the agent takes nothing, or the item does not wait"
    return offer


def hand_to(item: Item, agent: Agent) -> Item:
    """This agent has accepted this item."""
    acceptance.accept(ring(item, agent).pk, by=agent.user, now=timezone.now())
    return Item.objects.get(pk=item.pk)


# Conversations


def make_conversation(
    inbox: Inbox | None = None,
    *,
    agent: User | None = None,
    customer: Customer | None = None,
    body: str = "Hello",
    waited: int = 0,
    **fields: Any,
) -> Conversation:
    """Its customer wrote `waited` seconds ago; with `agent` (who joins its team) it is in his hands."""
    inbox = inbox or make_inbox()
    now = timezone.now() - timedelta(seconds=waited)
    customer = customer or make_customer(teams=[inbox.team])
    conversation = conversations.start(inbox, customer=customer, body=body, now=now, **fields)
    if agent is not None:
        agent.teams.add(inbox.team)
        conversations.assign(conversation.pk, agent=agent, by=SYSTEM, now=now)
    conversation.refresh_from_db()
    return conversation


def make_message(conversation: Conversation, body: str = "Hello", **fields: Any) -> Message:
    """From the customer; with `user` from this agent."""
    user = fields.get("user")
    sender = Sender.AGENT if user else Sender.CUSTOMER
    actor_ref = user.actor_ref if user else conversation.customer.actor_ref
    draft = messages.Draft(
        conversation_id=conversation.pk, sender=sender, body=body, actor_ref=actor_ref, **fields
    )
    return Message.objects.get(pk=messages.send(draft).id)


def make_visitor(conversation: Conversation, **fields: Any) -> tuple[Visitor, str]:
    """A key to the conversation: who holds it, and the token."""
    now = fields.get("now") or timezone.now()
    token = visitors._new_token(conversation, now=now)
    visitor = visitors.authenticate(token, now=now)
    assert visitor is not None
    return visitor, token


# Notifications


def make_purpose(kind: PurposeKind = PurposeKind.TRANSACTIONAL, **fields: Any) -> Purpose:
    number = next(_numbers)
    return Purpose.objects.create(
        **{"slug": f"purpose-{number}", "name": f"Purpose {number}", "kind": kind} | fields
    )


def make_template(texts: dict[str, Any] | None = None, **fields: Any) -> Template:
    """A template with one version; `texts` is {way: {language: {"subject", "body", "html"}}}."""
    number = next(_numbers)
    fields = {"slug": f"template-{number}", "name": f"Template {number}", "version": 1} | fields
    template = Template.objects.create(**{"purpose": fields.pop("purpose", None) or make_purpose()} | fields)
    texts = texts or {way: {"en": {"subject": "Hello", "body": "Hello there"}} for way in Way.values}
    TemplateVersion.objects.create(template=template, number=template.version, texts=texts)
    return template


def make_delivery(
    template: Template | None = None, *, to: Customer | User, way: Way = Way.EMAIL, **fields: Any
) -> Delivery:
    """Due now, to this customer or user; with the newest text of the template, if one is named."""
    now = timezone.now()
    version = template and template.versions.first()
    made = {
        "cause": f"test:{next(_numbers)}",
        "recipient": to.actor_ref,
        "customer": to if isinstance(to, Customer) else None,
        "user": to if isinstance(to, User) else None,
        "address": "somebody@example.com",
        "template_version": version,
        "purpose": template and template.purpose,
        "slot_at": now,
        "due_at": now,
    }
    return Delivery.objects.create(way=way, **made | fields)


def make_notice(user: User, **fields: Any) -> Outgoing:
    """Something on its way into the notification centre of `user`."""
    now = timezone.now()
    delivery = Delivery.objects.create(
        cause=f"test:{next(_numbers)}",
        recipient=user.actor_ref,
        user=user,
        way=Way.IN_APP,
        slot_at=now,
        due_at=now,
    )
    fields = {"subject": "Call Ada back", "text": "She asked for it."} | fields
    return Outgoing(delivery.pk, delivery.key, user.actor_ref, **fields)
