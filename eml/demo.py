"""The demo: teams, people, queues and a chat to try everything with. Only in the default profile (settings.DEMO)."""

from __future__ import annotations

from django.db import transaction

from apps.core.events import SYSTEM
from apps.messaging.models import CannedReply, Disposition, Inbox, Tag
from apps.routing.choices import Otherwise
from apps.routing.models import AgentSkill, Calendar, InboxRoute, NotReadyReason, Queue, Skill
from apps.routing.models.hours import WEEKDAYS
from apps.routing.policy_drafts import LevelDraft, PolicyDraft, StepDraft
from apps.routing.services import agents, policies
from apps.users.choices import Role
from apps.users.models import Team, User
from apps.users.services import people

INBOX_SLUG = "support"
LOGINS = [
    {"role": "Agent", "name": "Ana Silva", "email": "ana@demo.example", "password": "demo-agent-1"},
    {"role": "Agent", "name": "Ben Okafor", "email": "ben@demo.example", "password": "demo-agent-2"},
    {"role": "Agent", "name": "Eva Lindqvist", "email": "eva@demo.example", "password": "demo-agent-3"},
    {"role": "Supervisor", "name": "Sofia Marin", "email": "sofia@demo.example", "password": "demo-boss-1"},
    {"role": "Admin", "name": "Max Weber", "email": "max@demo.example", "password": "demo-admin-1"},
]
SKILLS = {
    "english": "Speaks English",
    "cards": "Credit and debit cards",
    "accounts": "Accounts and transfers",
}
AGENT_SKILLS = {
    "ana@demo.example": {"english": 5, "cards": 4, "accounts": 2},
    "ben@demo.example": {"english": 4, "cards": 1, "accounts": 5},
    "eva@demo.example": {"english": 3, "cards": 2, "accounts": 3},
}
CANNED = [
    (
        "hello",
        "Greeting",
        "Hello {customer.first_name|there}, this is {agent.first_name}. How can I help you?",
    ),
    ("moment", "One moment", "One moment please, I am looking that up for you."),
    ("anything", "Anything else?", "Is there anything else I can do for you?"),
    ("bye", "Goodbye", "Thank you for writing, {customer.first_name|and take care}. Have a good day!"),
]


def create_once() -> bool:
    """Create the demo unless anybody or anything is here already; returns whether it did."""
    if User.objects.exists() or Inbox.objects.exists():
        return False
    with transaction.atomic():
        support, sales = Team.objects.create(name="Support"), Team.objects.create(name="Sales")
        _people(support, sales)
        _texts()
        _queues(support, sales)
    return True


def _people(support: Team, sales: Team) -> None:
    for name, description in SKILLS.items():
        Skill.objects.create(name=name, description=description)
    for login in LOGINS:
        user = people.create(
            email=login["email"],
            name=login["name"],
            password=login["password"],
            role=Role[login["role"].upper()],
            teams=[support, sales],
            by=SYSTEM,
        )
        if levels := AGENT_SKILLS.get(login["email"]):
            agent = agents.of(user)
            for name, level in levels.items():
                AgentSkill.objects.create(agent=agent, skill=Skill.objects.get(name=name), level=level)


def _texts() -> None:
    for shortcut, title, body in CANNED:
        CannedReply.objects.create(shortcut=shortcut, title=title, body=body)
    for name in ("Solved", "Needs follow-up", "Wrong number", "Spam"):
        Disposition.objects.create(name=name)
    for name in ("complaint", "vip", "feedback"):
        Tag.objects.create(name=name)
    for name in ("Break", "Lunch", "Training", "Meeting"):
        NotReadyReason.objects.create(name=name)


def _queues(support: Team, sales: Team) -> None:
    support_queue = policies.create(draft=_support_policy(support), by=SYSTEM)
    sales_queue = policies.create(draft=_sales_policy(sales, overflow_to=support_queue), by=SYSTEM)
    loans_queue = policies.create(draft=_loans_policy(sales), by=SYSTEM)
    for slug, name, queue in (
        (INBOX_SLUG, "Support chat", support_queue),
        ("sales", "Sales chat", sales_queue),
        ("loans", "Loans chat", loans_queue),
    ):
        inbox = Inbox.objects.create(name=name, slug=slug, team=queue.team)
        InboxRoute.objects.create(inbox=inbox, queue=queue)


def _support_policy(team: Team) -> PolicyDraft:
    """Open at any hour, so that whoever tries the demo at night is not sent away; who waits long may be called."""
    always = Calendar.objects.create(name="Around the clock", **dict.fromkeys(WEEKDAYS, "00:00-24:00"))
    return PolicyDraft(
        steps=(
            StepDraft(0, (("english", 3), ("cards", 3))),
            StepDraft(20, (("english", 2),), if_nobody=True),
        ),
        levels=(LevelDraft("vip", 90),),
        settings={
            "name": "Support",
            "slug": "support",
            "team": team,
            "w_fit": 10,
            "w_last": 60,
            "calendar": always,
            "longest_wait_seconds": 60,
            "when_full": Otherwise.CALLBACK,
        },
    )


def _sales_policy(team: Team, *, overflow_to: Queue) -> PolicyDraft:
    """At most ten in line; the next ones go to Support."""
    return PolicyDraft(
        steps=(StepDraft(0, (("accounts", 3),)), StepDraft(30, (("english", 1),), if_nobody=True)),
        settings={
            "name": "Sales",
            "slug": "sales",
            "team": team,
            "most_waiting": 10,
            "when_full": Otherwise.OVERFLOW,
            "overflow_to": overflow_to,
        },
    )


def _loans_policy(team: Team) -> PolicyDraft:
    """Office hours with public holidays; outside them customers ask to be called."""
    weekdays = dict.fromkeys(WEEKDAYS[:4], "08:00-12:30, 13:30-18:00") | {"friday": "08:00-15:00"}
    office = Calendar.objects.create(
        name="Office hours", zone="Europe/London", country="GB", subdivision="ENG", **weekdays
    )
    return PolicyDraft(
        steps=(StepDraft(0, (("accounts", 2),)),),
        settings={
            "name": "Loans",
            "slug": "loans",
            "team": team,
            "calendar": office,
            "when_closed": Otherwise.CALLBACK,
        },
    )
