"""The event log: what happened is recorded once, and upper floors follow it by one of two roads.

`@subscribe` is durable: a `Handling` is written with the event and worked off until it succeeds or is parked as
dead. `@listen` is live: called after the commit, best effort, for frames to open screens. Choose by asking: may this
be lost?
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, ClassVar, Protocol

from django.db import connection, transaction
from django.utils import timezone

from . import bell, bulk
from .models import Event, Handling

logger = logging.getLogger(__name__)


class Fact:
    """Base of all event classes: frozen dataclasses in the past tense that hold ids and small values only."""

    type: ClassVar[str]

    def __init_subclass__(cls, *, type: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.type = type


class Actor(Protocol):
    """Who did it: a user ("user:5"), a customer ("customer:7"), or the system itself ("system")."""

    @property
    def actor_ref(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class System:
    actor_ref: str = "system"


SYSTEM = System()

Handler = Callable[[Event], None]
JointHandler = Callable[[list[Event]], None]
Wants = Callable[[Any], bool]
# Of these event types, those that anybody follows at this moment.
Followed = Callable[[set[str]], Collection[str]]
_subscribers: dict[str, dict[str, Handler]] = defaultdict(dict)
_wants: dict[str, Wants] = {}
_followed: dict[str, Followed] = {}
_listeners: dict[str, list[Handler]] = defaultdict(list)
_joint_listeners: dict[str, list[JointHandler]] = defaultdict(list)


def subscribe(
    *facts: type[Fact], when: Wants | None = None, followed: Followed | None = None
) -> Callable[[Handler], Handler]:
    """Durable: the handler runs in its own transaction, at least once, in order per stream. It must bear repetition.

    With `when`, only facts for which it is true are followed; it is asked as they are recorded. `followed` is asked
    once for all that are recorded together, inside their transaction: which of their types somebody follows now.
    """

    def register(handler: Handler) -> Handler:
        name = subscriber_name(handler)
        for fact in facts:
            _subscribers[fact.type][name] = handler
        if when:
            _wants[name] = when
        if followed:
            _followed[name] = followed
        return handler

    return register


def listen(*facts: type[Fact]) -> Callable[[Handler], Handler]:
    """Live: the handler runs after the commit; its failure is logged and changes nothing."""

    def register(handler: Handler) -> Handler:
        for fact in facts:
            _listeners[fact.type].append(handler)
        return handler

    return register


def listen_together(*facts: type[Fact]) -> Callable[[JointHandler], JointHandler]:
    """Live, once for all of these facts that were recorded together: for those who would ask the same for each."""

    def register(handler: JointHandler) -> JointHandler:
        for fact in facts:
            _joint_listeners[fact.type].append(handler)
        return handler

    return register


def subscriber_name(handler: Handler) -> str:
    return f"{handler.__module__.removeprefix('apps.').removesuffix('.subscribers')}.{handler.__name__}"


def handler_of(event_type: str, subscriber: str) -> Handler:
    """The registered handler; KeyError when the code that wanted this event is gone."""
    return _subscribers[event_type][subscriber]


def record(fact: Fact, *, stream: str, actor: Actor, subject: Any = None) -> Event:
    """Write one fact inside the caller's transaction, under the row lock of its subject (so ids follow the order)."""
    return record_many([Entry(fact, stream, actor.actor_ref, subject)])[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One line for the log. `subject` is the row it is about: not stored, handed to listeners to save them a query."""

    fact: Fact
    stream: str
    actor_ref: str
    subject: Any = None


@dataclasses.dataclass(slots=True)
class _Recorded:
    """What is to be written, each event with its fact."""

    events: list[Event] = dataclasses.field(default_factory=list)
    facts: list[Fact] = dataclasses.field(default_factory=list)


_together: ContextVar[_Recorded | None] = ContextVar("recorded together", default=None)


@contextmanager
def written_together() -> Iterator[None]:
    """What is recorded inside is written at the end, in one statement and in that order: until then without an id.

    For steps of one transaction that succeed or fail together: what a savepoint takes back would be written all the
    same.
    """
    if _together.get() is not None:
        yield
        return
    recorded = _Recorded()
    token = _together.set(recorded)
    try:
        yield
    finally:
        _together.reset(token)
    _write(recorded)


def record_many(entries: Iterable[Entry]) -> list[Event]:
    """Write several facts in one statement."""
    if not connection.in_atomic_block:
        raise RuntimeError("Events are recorded inside the transaction of their cause.")
    now, entries = timezone.now(), list(entries)
    events = [_row(entry, now) for entry in entries]
    recorded = _together.get()
    if recorded is None:
        _write(_Recorded(events, [entry.fact for entry in entries]))
    else:
        recorded.events += events
        recorded.facts += [entry.fact for entry in entries]
    return events


def _write(recorded: _Recorded) -> None:
    events = recorded.events
    bulk.insert(Event, events)
    passed_over = _passed_over({event.type for event in events})
    handlings = [
        Handling(event=event, subscriber=name, stream=event.stream, due_at=event.at)
        for event, fact in zip(events, recorded.facts, strict=True)
        for name in _subscribers.get(event.type, ())
        if (name not in _wants or _wants[name](fact)) and (name, event.type) not in passed_over
    ]
    if handlings:
        bulk.insert(Handling, handlings)
        transaction.on_commit(bell.ring, robust=True)
    if any(event.type in _listeners or event.type in _joint_listeners for event in events):
        transaction.on_commit(functools.partial(_tell_listeners, events), robust=True)


def _passed_over(types: set[str]) -> set[tuple[str, str]]:
    """(subscriber, type) that nobody follows at the moment, of those whose subscriber can tell."""
    found: set[tuple[str, str]] = set()
    for name, ask in _followed.items():
        own = {kind for kind in types if name in _subscribers.get(kind, ())}
        if own:
            found |= {(name, kind) for kind in own.difference(ask(own))}
    return found


def _row(entry: Entry, now: datetime) -> Event:
    fact = entry.fact
    event = Event(
        type=fact.type, stream=entry.stream, payload=dict(vars(fact)), at=now, actor=entry.actor_ref
    )
    event.subject = entry.subject
    return event


def _tell_listeners(events: list[Event]) -> None:
    together: dict[JointHandler, list[Event]] = defaultdict(list)
    for event in events:
        for listener in _listeners.get(event.type, ()):
            _tell(listener, event, what=event.type)
        for joint in _joint_listeners.get(event.type, ()):
            together[joint].append(event)
    for joint, heard in together.items():
        _tell(joint, heard, what=heard[0].type)


def _tell(listener: Callable[[Any], None], heard: Any, *, what: str) -> None:
    try:
        listener(heard)
    except Exception:
        # The work is committed; a screen that missed a frame resyncs.
        logger.exception("listener %s failed for %s", listener.__name__, what)
