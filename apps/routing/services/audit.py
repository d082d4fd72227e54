"""What must hold at every moment, as questions to the live database. An empty answer is a clean bill.

The numbers are those of docs/promises: I04 one hand per conversation, I05 load within capacity, I06 no work beside a
free agent and nobody overtaken in his line, I07 no offer past its time, I08 nobody held by what is over, I09 no work
with somebody who is gone.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial

from django.core.cache import cache
from django.db.models import Count, Exists, F, Max, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Abs, Coalesce

from apps.core.models import Event
from apps.messaging.choices import Status
from apps.messaging.models import Conversation, stream

from .. import policy
from ..choices import HELD, Chosen, ItemState, OfferState
from ..events import (
    CallbackCancelled,
    CallbackDue,
    CallbackExpired,
    ItemBack,
    ItemEnqueued,
    ItemMoved,
    SnoozeEnded,
)
from ..models import Agent, Item, Offer, PresenceInterval
from . import agents, world

logger = logging.getLogger(__name__)

CODES = ("I04", "I05", "I06", "I07", "I08", "I09")
# Where the last look is kept for whoever is asked for metrics: looking anew at each scrape would cost too much.
LAST_LOOK = "routing.audit"

# What the sweeps of every second and of every few seconds may take; anything older is a fault.
PATIENCE = timedelta(seconds=5)
HEALED_WITHIN = timedelta(seconds=15)
OFFERS_LOOKED_AT = 5_000
# With these somebody begins to wait in a line, whatever his place in it.
_INTO_LINE = [
    fact.type
    for fact in (
        ItemEnqueued,
        ItemMoved,
        ItemBack,
        SnoozeEnded,
        CallbackDue,
        CallbackExpired,
        CallbackCancelled,
    )
]


@dataclasses.dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: its number, the row it is about, and a sentence."""

    code: str
    subject: str
    text: str


Check = Callable[[datetime], Iterator[Violation]]


def violations(*, now: datetime, checks: Iterable[Check] | None = None) -> list[Violation]:
    """Everything that is wrong now, in the order of the numbers."""
    return [violation for check in checks or CHECKS for violation in check(now)]


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """How many violations of each number there were at that moment."""

    at: datetime
    counts: Mapping[str, int]


def watch(*, now: datetime) -> Look:
    """Look, tell the log what is wrong, and keep the figures for `last_look`."""
    found = violations(now=now, checks=EVERY_MINUTE)
    for violation in found:
        logger.error("routing is not in order: %s %s %s", violation.code, violation.subject, violation.text)
    counts = Counter(violation.code for violation in found)
    look = Look(now, {code: counts[code] for code in CODES})
    cache.set(LAST_LOOK, (look.at, dict(look.counts)), timeout=None)
    return look


def last_look() -> Look | None:
    """None when nobody has looked yet, or the cache forgot."""
    kept = cache.get(LAST_LOOK)
    return Look(*kept) if kept else None


def one_hand_per_conversation(now: datetime) -> Iterator[Violation]:
    """I04: what routing and messaging say about who has a conversation is the same."""
    active = Item.objects.filter(state=ItemState.ACTIVE).select_related("conversation", "agent")
    wrong = Q(conversation__status=Status.ACTIVE) & ~Q(conversation__agent=F("agent__user"))
    for item in active.filter(wrong | Q(agent=None) | Q(conversation__status=Status.WAITING)):
        text = f"the item is with agent {item.agent_id}, the conversation is {item.conversation.status}"
        yield Violation(
            "I04", f"conversation {item.conversation_id}", f"{text} with user {item.conversation.agent_id}"
        )
    theirs = Conversation.objects.filter(status=Status.ACTIVE).exclude(item__state=ItemState.ACTIVE)
    for pk in theirs.values_list("id", flat=True):
        yield Violation("I04", f"conversation {pk}", "an agent has it, but no item says so")


def one_acceptance_per_epoch(now: datetime, *, looking_back: timedelta | None = None) -> Iterator[Violation]:
    """I04: nobody accepted what somebody else had accepted, and nobody is rung twice for one item.

    Looks at all offers ever made, or at those since `looking_back`.
    """
    accepted = Offer.objects.filter(state=OfferState.ACCEPTED).order_by().values("item", "epoch")
    if looking_back:
        accepted = accepted.filter(offered_at__gte=now - looking_back)
    for row in accepted.annotate(n=Count("id")).filter(n__gt=1):
        yield Violation("I04", f"item {row['item']}", f"accepted {row['n']} times in epoch {row['epoch']}")
    live = Offer.objects.live().order_by().values("item").annotate(n=Count("id")).filter(n__gt=1)
    for row in live:
        yield Violation("I04", f"item {row['item']}", f"{row['n']} live offers at once")


def load_is_what_they_hold(now: datetime) -> Iterator[Violation]:
    """I05: load = units of live offers, active work and wrap-ups, and never beyond the capacity."""
    held = Item.objects.filter(agent=OuterRef("pk"), state__in=HELD).order_by().values("agent")
    rung = Offer.objects.live().filter(agent=OuterRef("pk")).order_by().values("agent")
    counted = Agent.objects.annotate(
        units=Coalesce(Subquery(held.annotate(n=Sum("units")).values("n")), 0)
        + Coalesce(Subquery(rung.annotate(n=Sum("units")).values("n")), 0)
    )
    for agent in counted.filter(~Q(load=F("units")) | Q(load__gt=F("capacity"))):
        text = f"load {agent.load}, but he holds {agent.units} units of {agent.capacity}"
        yield Violation("I05", f"agent {agent.pk}", text)


def no_work_beside_a_free_agent(now: datetime) -> Iterator[Violation]:
    """I06: nothing waits for long while somebody who may take it has room; the policy itself says who may."""
    seen = world.load(now=now)
    since = _free_since(now)
    for decision in policy.decide(seen.now, seen.queues, seen.items, seen.agents):
        row = seen.rows[decision.item]
        queue = policy.effective_queue(seen.queues[row.queue_id], seen.agents)
        opened = row.at + timedelta(seconds=queue.steps[decision.step].after)
        possible = max(opened, _waiting_since(row), since[decision.agent])
        if possible + PATIENCE < now:
            seconds = int((now - possible).total_seconds())
            text = f"waits for {seconds} s although agent {decision.agent} may take it"
            yield Violation("I06", f"item {row.pk}", text)


def nobody_is_overtaken(
    now: datetime, *, looking_back: timedelta = timedelta(minutes=10)
) -> Iterator[Violation]:
    """I06: of one queue the agents get who is first in line, by priority and age, of those they may take.

    Looks at who waits still and was passed since `looking_back` (or by the last few thousand offers): by what the
    router offered (a person may choose) to somebody who could have had him.
    """
    ahead = Item.objects.waiting().filter(
        queue=OuterRef("item__queue"),
        line_key__lt=OuterRef("item__line_key") - Abs(OuterRef("item__queue__w_last")),
        at__lt=OuterRef("offered_at") - PATIENCE,
    )
    recent = Offer.objects.filter(offered_at__gte=now - looking_back).order_by("-offered_at").values("pk")
    chosen = Offer.objects.filter(pk__in=recent[:OFFERS_LOOKED_AT], item__queue=F("decision__queue"))
    first = ahead.order_by("line_key", "id").values("pk")[:1]
    offers = list(
        chosen.annotate(passed=Subquery(first)).exclude(passed=None).select_related("item", "decision")
    )
    if not offers:
        return
    people = world.load_agents(now=now)
    queues = world.load_queues({offer.item.queue_id for offer in offers})
    passed = Item.objects.in_bulk({offer.passed for offer in offers})
    for offer in offers:
        item = passed[offer.passed]
        queue = policy.effective_queue(queues[item.queue_id], people)
        agent = next((one for one in people if one.id == offer.agent_id), None)
        age = int((offer.offered_at - item.at).total_seconds())
        might = agent and str(agent.id) not in item.not_to and policy.open_step(queue, agent, age) is not None
        if might and _version(offer) == queue.version and _was_waiting(item, offer.offered_at):
            text = f"was passed by item {offer.item_id}, which agent {offer.agent_id} was offered"
            yield Violation("I06", f"item {item.pk}", text)


def _version(offer: Offer) -> int | None:
    return offer.decision.policy if offer.decision else None


def _was_waiting(item: Item, moment: datetime) -> bool:
    """For long enough to be seen: in this line, and rung for nobody."""
    came = Event.objects.filter(stream=stream(item.conversation_id), type__in=_INTO_LINE)
    last = came.aggregate(last=Max("at"))["last"]
    return max(filter(None, (last, _waiting_since(item)))) + PATIENCE < moment


def _free_since(now: datetime) -> dict[int, datetime]:
    """Since when each connected agent could have been offered something (agent id → time)."""
    states = dict(PresenceInterval.objects.filter(ended_at=None).values_list("agent", "started_at"))
    free = Agent.objects.connected(now).values_list("id", "free_since")
    return {pk: max(moment, states.get(pk, moment)) for pk, moment in free}


def _waiting_since(item: Item) -> datetime:
    ended = item.offers.aggregate(last=Max("ended_at"))["last"]
    return max(item.at, ended) if ended else item.at


def no_offer_past_its_time(now: datetime) -> Iterator[Violation]:
    """I07: every lease ends."""
    for offer in Offer.objects.live().filter(expires_at__lt=now - PATIENCE):
        yield Violation(
            "I07", f"offer {offer.pk}", f"still ringing, its time was over at {offer.expires_at:%H:%M:%S}"
        )


def nobody_is_held_by_what_is_over(now: datetime) -> Iterator[Violation]:
    """I08: offers and items agree about who is rung for what, and nothing outlives its conversation."""
    live = Exists(Offer.objects.live().filter(item=OuterRef("pk"), epoch=OuterRef("epoch")))
    for item in Item.objects.filter(~live, state=ItemState.OFFERED):
        yield Violation("I08", f"item {item.pk}", "is said to ring, but there is no such offer")
    astray = Offer.objects.live().filter(~Q(item__state=ItemState.OFFERED) | ~Q(item__epoch=F("epoch")))
    for offer in astray:
        yield Violation("I08", f"offer {offer.pk}", "rings for an item that is in other hands")
    open_items = Item.objects.exclude(state__in=[ItemState.DONE, ItemState.WRAP_UP])
    for item in open_items.filter(
        conversation__status=Status.CLOSED, conversation__closed_at__lt=now - HEALED_WITHIN
    ):
        yield Violation("I08", f"item {item.pk}", f"is {item.state}, but its conversation is closed")
    late = Item.objects.filter(state=ItemState.WRAP_UP, wrap_until__lt=now - PATIENCE)
    for item in late:
        yield Violation("I08", f"item {item.pk}", "its wrap-up should have ended")


def nobody_gone_has_work(now: datetime) -> Iterator[Violation]:
    """I09: work is with somebody whose connection lives, or ended a moment ago."""
    gone = Q(agent__chosen=Chosen.SIGNED_OUT) | Q(agent__present_until__lt=now - agents.GRACE - HEALED_WITHIN)
    for item in Item.objects.filter(gone, state=ItemState.ACTIVE):
        yield Violation("I09", f"item {item.pk}", f"is with agent {item.agent_id}, who is not there")


def every_conversation_is_in_line(now: datetime) -> Iterator[Violation]:
    """I06: what waits in an inbox that leads to a queue has a place in its line."""
    unseen = Conversation.objects.filter(status=Status.WAITING, item=None, inbox__route__isnull=False)
    for pk in unseen.filter(opened_at__lt=now - HEALED_WITHIN).values_list("id", flat=True):
        yield Violation("I06", f"conversation {pk}", "waits, but in no line")
    over = Item.objects.filter(state=ItemState.DONE, conversation__status=Status.WAITING)
    for item in over:
        yield Violation("I06", f"conversation {item.conversation_id}", "waits, but its item is done")


CHECKS: tuple[Check, ...] = (
    one_hand_per_conversation,
    one_acceptance_per_epoch,
    load_is_what_they_hold,
    no_work_beside_a_free_agent,
    nobody_is_overtaken,
    every_conversation_is_in_line,
    no_offer_past_its_time,
    nobody_is_held_by_what_is_over,
    nobody_gone_has_work,
)
# What was looked at a minute ago need not be looked at for ever.
EVERY_MINUTE: tuple[Check, ...] = tuple(
    partial(check, looking_back=timedelta(days=1)) if check is one_acceptance_per_epoch else check
    for check in CHECKS
)
