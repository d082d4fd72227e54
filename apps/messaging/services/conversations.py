"""The life of a conversation: started, assigned, released, closed, rated. Conditional updates settle every race."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import starmap
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Least
from django.utils.translation import gettext as _
from django.utils.translation import override

from apps.core import bulk, events
from apps.core.errors import EMLError
from apps.core.events import SYSTEM, Actor
from apps.core.realtime import Frame, conversation_group, publish, staff_group
from apps.users.models import Customer, User

from .. import errors
from ..choices import CloseReason, Sender, Status
from ..events import (
    ConversationAssigned,
    ConversationClosed,
    ConversationRated,
    ConversationReleased,
    ConversationStarted,
    ConversationTagged,
)
from ..models import Conversation, Disposition, Inbox, Tag, VisitorSession
from . import messages

# How long after the end a customer may still read and rate.
RATING_PERIOD = timedelta(hours=24)
CLOSED_AT_ONCE = 200


def start(
    inbox: Inbox,
    *,
    customer: Customer,
    body: str,
    now: datetime,
    client_msg_id=None,
    start_key=None,
    is_left_message: bool = False,
) -> Conversation:
    """Open a conversation with the customer's first message; from then on it waits."""
    with transaction.atomic():
        conversation = Conversation.objects.create(
            inbox=inbox,
            customer=customer,
            team_id=inbox.team_id,
            opened_at=now,
            start_key=start_key,
            is_left_message=is_left_message,
        )
        customer.teams.add(inbox.team_id)
        fact = ConversationStarted(conversation=conversation.pk, inbox=inbox.pk, customer=customer.pk)
        events.record(fact, stream=conversation.stream, actor=customer)
        messages.send(
            messages.Draft(
                conversation_id=conversation.pk,
                sender=Sender.CUSTOMER,
                body=body,
                actor_ref=customer.actor_ref,
                client_msg_id=client_msg_id,
            )
        )
        conversation.refresh_from_db()
        return conversation


class Assignment(NamedTuple):
    conversation_id: int
    agent: User
    by: Actor


def assign(conversation_id: int, *, agent: User, by: Actor, now: datetime) -> None:
    """Give a waiting conversation to an agent of its team; ConversationNotWaiting when it waits no more."""
    (refusal,) = assign_many([Assignment(conversation_id, agent, by)], now=now)
    if refusal:
        raise refusal


def assign_many(assignments: Sequence[Assignment], *, now: datetime) -> list[EMLError | None]:
    """`assign` for many, in a constant number of statements: what is wrong with each, if anything is.

    Locks the conversations in id order. One conversation is assigned once.
    """
    # No savepoint: refusals are returned, and after anything else nobody goes on with his transaction.
    with transaction.atomic(savepoint=False):
        waiting = _waiting(assignments)
        members = _members(assignments)
        refusals: list[EMLError | None] = []
        taken: list[tuple[Conversation, Assignment]] = []
        for assignment in assignments:
            conversation = waiting.pop(assignment.conversation_id, None)
            if conversation and (assignment.agent.pk, conversation.team_id) in members:
                conversation.status, conversation.agent = Status.ACTIVE, assignment.agent
                conversation.assigned_at = now
                taken.append((conversation, assignment))
                refusals.append(None)
            else:
                refusals.append(errors.ConversationNotWaiting())
        if taken:
            rows = [conversation for conversation, _ in taken]
            events.record_many(starmap(_assigned, taken))
            messages.add_lines(_welcomes(rows))
            bulk.update(rows, ["status", "agent", "assigned_at", "last_seq"])
        return refusals


def _waiting(assignments: Sequence[Assignment]) -> dict[int, Conversation]:
    ids = {assignment.conversation_id for assignment in assignments}
    waiting = Conversation.objects.filter(id__in=ids, status=Status.WAITING)
    needed = waiting.only("inbox_id", "team_id", "last_seq")
    return {row.pk: row for row in needed.order_by("id").select_for_update(no_key=True)}


def _members(assignments: Sequence[Assignment]) -> set[tuple[int, int]]:
    """(user, team) of those who are to have something."""
    users = {assignment.agent.pk for assignment in assignments}
    return set(User.teams.through.objects.filter(user__in=users).values_list("user_id", "team_id"))


def _assigned(conversation: Conversation, assignment: Assignment) -> events.Entry:
    fact = ConversationAssigned(conversation=conversation.pk, agent=assignment.agent.pk)
    return events.Entry(fact, conversation.stream, assignment.by.actor_ref)


def _welcomes(taken: Sequence[Conversation]) -> list[tuple[Conversation, str]]:
    languages = dict(
        Inbox.objects.filter(id__in={one.inbox_id for one in taken}).values_list("id", "language")
    )
    texts = {language: _in_language(language, _welcome) for language in set(languages.values())}
    return [
        (one, texts[languages[one.inbox_id]] % {"name": one.agent.get_short_name()})
        for one in taken
        if one.agent
    ]


def _welcome() -> str:
    return _("%(name)s is here to help.")


def release(
    conversation_id: int, *, reason: str, by: Actor, now: datetime, team_id: int | None = None
) -> None:
    """Take an active conversation from its agent; it waits again (in another team, if given)."""
    with transaction.atomic():
        conversation = _locked(conversation_id)
        if conversation.status != Status.ACTIVE:
            raise errors.ConversationIsClosed if not conversation.is_open else errors.ConversationNotWaiting
        agent_id = conversation.agent_id
        assert agent_id is not None  # the constraint conversation_active_has_agent
        conversation.status, conversation.agent, conversation.assigned_at = Status.WAITING, None, None
        conversation.team_id = team_id or conversation.team_id
        conversation.save(update_fields=["status", "agent", "assigned_at", "team"])
        _add_customer_to_team(conversation)
        fact = ConversationReleased(conversation=conversation_id, agent=agent_id, reason=reason)
        events.record(fact, stream=conversation.stream, actor=by)
        if reason not in _SILENT:
            tell(conversation_id, lambda: _RELEASE_TEXTS.get(reason, _RELEASE_TEXTS["transfer"])())


def move_to_team(conversation_id: int, *, team_id: int) -> None:
    """Change the team of a conversation that waits (its queue belongs to another team)."""
    with transaction.atomic():
        conversation = _locked(conversation_id)
        if conversation.status != Status.WAITING:
            raise errors.ConversationNotWaiting
        conversation.team_id = team_id
        conversation.save(update_fields=["team"])
        _add_customer_to_team(conversation)


def close(
    conversation_id: int,
    *,
    by: Actor,
    now: datetime,
    reason: CloseReason = CloseReason.RESOLVED,
    disposition: Disposition | None = None,
) -> Conversation:
    """End a conversation. ConversationIsClosed when it is closed already; its visitors may read and rate for a day."""
    with transaction.atomic():
        conversation = _locked(conversation_id)
        if not conversation.is_open:
            raise errors.ConversationIsClosed
        if reason == CloseReason.ENDED_BY_CUSTOMER and conversation.first_answer_at is None:
            reason = CloseReason.ABANDONED
        conversation.status, conversation.closed_at = Status.CLOSED, now
        conversation.close_reason, conversation.disposition = reason, disposition
        conversation.save(update_fields=["status", "closed_at", "close_reason", "disposition"])
        # Only ever shorter: a session that is over stays over.
        last = now + RATING_PERIOD
        VisitorSession.objects.filter(conversation=conversation, expires_at__gt=last).update(expires_at=last)
        fact = ConversationClosed(
            conversation=conversation_id,
            agent=conversation.agent_id,
            reason=reason,
            disposition=disposition.pk if disposition else None,
        )
        events.record(fact, stream=conversation.stream, actor=by)
        tell(conversation_id, lambda: _("This conversation has ended."))
        return conversation


def rate(conversation_id: int, *, rating: int, comment: str, by: Actor) -> None:
    """The customer's 1–5 after the end, once."""
    with transaction.atomic():
        conversation = _locked(conversation_id)
        if conversation.is_open:
            raise errors.NotClosedYet
        if conversation.rating is not None:
            raise errors.AlreadyRated
        conversation.rating, conversation.rating_comment = rating, comment
        conversation.save(update_fields=["rating", "rating_comment"])
        events.record(
            ConversationRated(conversation=conversation_id, rating=rating),
            stream=conversation.stream,
            actor=by,
        )


def leave_as_message(conversation_id: int) -> None:
    """The customer does not wait at the screen any more, so his wait is none of the service level's."""
    Conversation.objects.filter(id=conversation_id).update(is_left_message=True)


def set_tags(conversation_id: int, *, tags: list[Tag], by: Actor) -> None:
    with transaction.atomic():
        conversation = _locked(conversation_id)
        conversation.tags.set(tags)
        fact = ConversationTagged(conversation=conversation_id, tags=sorted(tag.pk for tag in tags))
        events.record(fact, stream=conversation.stream, actor=by)


def mark_read(conversation_id: int, *, side: Sender, seq: int) -> int:
    """Move one side's read mark forward to `seq` at most, and tell the other side; returns where it stands."""
    field = "customer_read_seq" if side == Sender.CUSTOMER else "agent_read_seq"
    conversations = Conversation.objects.filter(id=conversation_id)
    behind = conversations.filter(**{f"{field}__lt": Least(seq, F("last_seq"))})
    moved = behind.update(**{field: Least(seq, F("last_seq"))})
    mark = conversations.values_list(field, flat=True).get()
    if moved:
        transaction.on_commit(lambda: _publish_mark(conversation_id, side=side, seq=mark), robust=True)
    return mark


def _publish_mark(conversation_id: int, *, side: Sender, seq: int) -> None:
    # Not an event: a mark that is missed comes with the next one.
    frame = {"type": Frame.READ, "conversation": conversation_id, "side": str(side), "seq": seq}
    group = staff_group if side == Sender.CUSTOMER else conversation_group
    publish(group(conversation_id), frame)


def close_idle(*, now: datetime) -> int:
    """Close conversations in which, after an answer, nobody wrote for as long as their inbox says. Safe to repeat."""
    closed = 0
    for inbox_id, minutes in Inbox.objects.filter(idle_close_minutes__gt=0).values_list(
        "id", "idle_close_minutes"
    ):
        before = now - timedelta(minutes=minutes)
        idle = _idle(before=before).filter(inbox_id=inbox_id).order_by("last_message_at")
        for conversation_id in list(idle.values_list("id", flat=True)[:CLOSED_AT_ONCE]):
            closed += _close_if_idle(conversation_id, before=before, now=now)
    return closed


def _idle(*, before: datetime) -> QuerySet[Conversation]:
    # Whoever waits is never closed for silence: it is our turn.
    return Conversation.objects.filter(
        status=Status.ACTIVE, first_answer_at__isnull=False, last_message_at__lt=before
    )


def _close_if_idle(conversation_id: int, *, before: datetime, now: datetime) -> bool:
    with transaction.atomic():
        # Under the lock, because a message may have arrived since the list was made.
        _locked(conversation_id)
        if not _idle(before=before).filter(id=conversation_id).exists():
            return False
        close(conversation_id, by=SYSTEM, now=now, reason=CloseReason.INACTIVE)
        return True


def move_to_customer(*, from_customer_id: int, to_customer_id: int) -> None:
    """After a merge of two customer records."""
    Conversation.objects.filter(customer_id=from_customer_id).update(customer_id=to_customer_id)


def tell(conversation_id: int, text: Callable[[], str]) -> None:
    """A line of the system, in the language of the inbox, seen by both sides. `text` is called in that language."""
    language = Inbox.objects.values_list("language", flat=True).get(conversations=conversation_id)
    messages.send(
        messages.Draft(
            conversation_id=conversation_id,
            sender=Sender.SYSTEM,
            body=_in_language(language, text),
            actor_ref=SYSTEM.actor_ref,
        )
    )


def _in_language(language: str, text: Callable[[], str]) -> str:
    with override(language):
        return str(text())


# The agent has said himself what comes next.
_SILENT = {"snooze"}
_RELEASE_TEXTS = {
    "transfer": lambda: _("You are being passed on to a colleague."),
    "callback": lambda: _("We did not reach you and will try again. You keep your place in line."),
    "lost": lambda: _("Your agent is gone, we are finding you another. You keep your place in line."),
}


def _locked(conversation_id: int) -> Conversation:
    found = Conversation.objects.select_for_update(no_key=True).filter(id=conversation_id).first()
    if found is None:
        raise errors.ConversationNotFound
    return found


def _add_customer_to_team(conversation: Conversation) -> None:
    conversation.customer.teams.add(conversation.team_id)
