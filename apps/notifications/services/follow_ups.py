"""What an agent wants to come back to: a reminder for himself or the customer, about a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from apps.messaging.models import Conversation
from apps.users.models import Customer, User

from .. import errors
from ..choices import Way
from ..models import Reminder, Template
from . import reminders

# The ready-made text that says what the agent wrote.
TEMPLATE = "follow-up"


@dataclass(frozen=True, slots=True)
class Wish:
    """`at` is a wall time of `zone`; `fold` tells two equal ones apart. Without a template the text is all there is."""

    at: datetime
    zone: ZoneInfo
    text: str = ""
    fold: int | None = None
    template: Template | None = None
    ways: tuple[str, ...] = (Way.IN_APP,)


def for_agent(conversation: Conversation, wish: Wish, *, by: User, now: datetime) -> Reminder:
    """A notice in his console. Raises as `reminders.schedule`."""
    return _schedule(conversation, wish, to=by, ways=(Way.IN_APP,), by=by, now=now)


def for_customer(conversation: Conversation, wish: Wish, *, by: User, now: datetime) -> Reminder:
    """By e-mail or SMS, as things stand at its time. Without words of his own the template's text goes out."""
    return _schedule(conversation, wish, to=conversation.customer, ways=wish.ways, by=by, now=now)


def _schedule(
    conversation: Conversation,
    wish: Wish,
    *,
    to: Customer | User,
    ways: tuple[str, ...],
    by: User,
    now: datetime,
) -> Reminder:
    plan = reminders.Plan(
        template=wish.template or _usual(),
        to=to,
        ways=ways,
        date=wish.at.date(),
        time=wish.at.time().replace(second=0, microsecond=0),
        fold=wish.fold,
        zone=wish.zone.key,
        conversation=conversation,
        note=wish.text,
        team=conversation.team,
    )
    return reminders.schedule(plan, by=by, now=now)


def _usual() -> Template:
    found = Template.objects.filter(slug=TEMPLATE).select_related("purpose").first()
    if found is None:
        raise errors.ReminderInvalid(
            _("The template “%(name)s” is missing; ask a supervisor.") % {"name": TEMPLATE}
        )
    return found
