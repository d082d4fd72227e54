"""What happens while work finds its agent. Those of one conversation are recorded in its stream."""

from __future__ import annotations

from dataclasses import dataclass

from apps.core.events import Fact

from .choices import AWAY, Chosen, State


@dataclass(frozen=True)
class ItemEnqueued(Fact, type="routing.item.enqueued"):
    conversation: int
    item: int
    queue: int


@dataclass(frozen=True)
class ItemMoved(Fact, type="routing.item.moved"):
    conversation: int
    item: int
    from_queue: int
    to_queue: int


@dataclass(frozen=True)
class ItemBack(Fact, type="routing.item.back"):
    """An agent no longer has it; it waits again at its old place."""

    conversation: int
    item: int
    agent: int
    reason: str


@dataclass(frozen=True)
class ItemSnoozed(Fact, type="routing.item.snoozed"):
    """Its agent wants to see it again later; until then it rests."""

    conversation: int
    item: int
    agent: int


@dataclass(frozen=True)
class SnoozeEnded(Fact, type="routing.item.woken"):
    """`agent` has it again; None: he could not take it, and it waits in line. `reason`: time, customer or asked."""

    conversation: int
    item: int
    agent: int | None
    reason: str


@dataclass(frozen=True)
class OfferMade(Fact, type="routing.offer.made"):
    conversation: int
    offer: int
    agent: int
    user: int


@dataclass(frozen=True)
class OfferAccepted(Fact, type="routing.offer.accepted"):
    conversation: int
    offer: int
    agent: int
    user: int


@dataclass(frozen=True)
class OfferDeclined(Fact, type="routing.offer.declined"):
    conversation: int
    offer: int
    agent: int
    user: int


@dataclass(frozen=True)
class OfferLapsed(Fact, type="routing.offer.lapsed"):
    conversation: int
    offer: int
    agent: int
    user: int


@dataclass(frozen=True)
class OfferCancelled(Fact, type="routing.offer.cancelled"):
    conversation: int
    offer: int
    agent: int
    user: int
    reason: str


@dataclass(frozen=True)
class WrapUpStarted(Fact, type="routing.wrap_up.started"):
    conversation: int
    item: int
    agent: int


@dataclass(frozen=True)
class WorkFinished(Fact, type="routing.work.finished"):
    conversation: int
    item: int
    agent: int | None


@dataclass(frozen=True)
class WorkReassigned(Fact, type="routing.work.reassigned"):
    conversation: int
    item: int
    agent: int


@dataclass(frozen=True)
class PresenceChanged(Fact, type="routing.presence.changed"):
    """The displayed state, or what the agent says about himself (`chosen`), is another now."""

    agent: int
    user: int
    state: str
    reason: str
    chosen: str
    before: str = ""  # the state until now

    @property
    def is_by_work(self) -> bool:
        """He was rung, or took it: that gives nobody more room, and the router knows."""
        return (
            self.before != self.state
            and self.before in (State.AVAILABLE, State.WRAP_UP, State.OFFERED, State.ON_CONTACT)
            and self.state in (State.OFFERED, State.ON_CONTACT)
        )

    @property
    def may_take_more(self) -> bool:
        return self.chosen == Chosen.AVAILABLE and not self.is_by_work

    @property
    def has_come(self) -> bool:
        return self.state not in AWAY and self.before in ("", *AWAY)

    @property
    def has_left(self) -> bool:
        return self.state in AWAY and self.before not in ("", *AWAY)


@dataclass(frozen=True)
class AgentSkillsChanged(Fact, type="routing.agent.skills_changed"):
    agent: int
    user: int


@dataclass(frozen=True)
class QueueLeftAlone(Fact, type="routing.queue.left_alone"):
    """The last one who might have taken something has gone, and so many wait."""

    queue: int
    waiting: int


@dataclass(frozen=True)
class PolicyChanged(Fact, type="routing.policy.changed"):
    queue: int
    version: int


@dataclass(frozen=True)
class CallbackRequested(Fact, type="routing.callback.requested"):
    """The customer does not wait at the screen: he is called, or written to, when it is his turn."""

    conversation: int
    callback: int
    way: str


@dataclass(frozen=True)
class CallbackReached(Fact, type="routing.callback.reached"):
    conversation: int
    callback: int


@dataclass(frozen=True)
class CallbackMissed(Fact, type="routing.callback.missed"):
    """A try reached nobody. `is_last`: there will be no other."""

    conversation: int
    callback: int
    tries: int
    is_last: bool


@dataclass(frozen=True)
class CallbackDue(Fact, type="routing.callback.due"):
    """Time for the next try: it waits again at its old place in line."""

    conversation: int
    callback: int


@dataclass(frozen=True)
class CallbackExpired(Fact, type="routing.callback.expired"):
    """Nobody got round to it in time. It goes on waiting as an ordinary message."""

    conversation: int
    callback: int


@dataclass(frozen=True)
class CallbackCancelled(Fact, type="routing.callback.cancelled"):
    conversation: int
    callback: int


@dataclass(frozen=True)
class CallbackEnded(Fact, type="routing.callback.ended"):
    """Its conversation was closed before anybody said whether the customer was reached."""

    conversation: int
    callback: int
