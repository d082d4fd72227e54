"""The router's memory at work: everybody and everything that waits, matched without looking at all of it.

It is fed by hints about what changed, compared with the database by sweeps, and never believed: an offer is made only
if the rows are still what it was decided by (epoch, policy version, room). What was refused is read anew.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from django.db import connection, connections, transaction
from django.db.models import Q

from .. import explain, openings, policy
from ..matcher import Matcher
from ..models import Agent, Queue
from . import clock, feed, lease, router, world
from .bell import Hints
from .lease import Lease
from .memory import Memory
from .router import Pick

# Offers that share a commit: more wait longer for the first, fewer cost more.
MOST_PER_COMMIT = 500
# So many commits are made before anything else that happened is looked at.
MOST_COMMITS = 5
# Whether everybody refused an item is asked again after this long: somebody may have left meanwhile.
REFUSED_AGAIN_SECONDS = 5
# So many rows are read between two signs of life.
ROWS_AT_ONCE = 5_000


def _nothing() -> None:
    return None


def _keep_apart_from_garbage() -> None:
    """What is remembered is none: looking for some among all that waits would cost as much as deciding.

    What an engine before this one remembered may well be some.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Written(NamedTuple):
    """What came of a commit: the items that were offered, and the agents as they are now."""

    made: set[int]
    rung: dict[int, Agent]


class Engine:
    """For one lease. An exception leaves it in doubt: make another one.

    `alive` is called now and then while much is read, so that the lease can be renewed.
    """

    def __init__(self, held: Lease, *, alive: Callable[[], None] = _nothing) -> None:
        self._lease, self._alive = held, alive
        self._matcher = Matcher()
        self._lines: dict[int, feed.Line] = {}
        self._in_force: tuple = ()
        self._memory = Memory()
        self._hours = openings.HoursNow()
        self._refused: dict[int, int] = {}  # refused items, and when to ask whether by everybody
        self._moment = 0.0  # unix time of the last look at the clock
        self._writer: ThreadPoolExecutor | None = None
        # What is being decided as of a second, goes on with the next commit of that second.
        self._decisions: tuple[int, Iterator[policy.Decision]] | None = None

    # Remembering

    def sweep(self) -> None:
        """Compare everything: policies by their versions, agents one by one, what waits by sums."""
        self._look_at_hours()
        in_force = feed.policies_in_force()
        if in_force != self._in_force:
            self._read_queues()
            self._in_force = in_force
        self._read_agents()
        if not self._matcher.items:
            self._read_all_items()
            return
        for number in self._memory.differing(feed.traces()):
            found = feed.bucket(number)
            here = {waiting.item.id for waiting in found}
            self._remember(found, gone=[pk for pk in self._memory.in_bucket(number) if pk not in here])
            self._alive()

    def _look_at_hours(self) -> None:
        """Who is closed has no steps: nobody is rung for what waits there. Until when that holds is in the timer."""
        now = openings.hours_now(now=clock.now())
        changed, self._hours = now.closed ^ self._hours.closed, now
        if known := changed & self._lines.keys():
            self._read_queues(known)

    def look_at(self, hints: Hints) -> None:
        """Read what may have changed."""
        if hints.queues:
            self._look_at_hours()
            self._read_queues(hints.queues)
        if hints.everybody:
            self._read_agents()
        elif hints.agents:
            self._read_agents(hints.agents)
        if hints.conversations:
            found, gone = feed.items(Q(conversation__in=hints.conversations))
            self._remember(found, gone)

    def seconds_to_next_event(self) -> float:
        """Until something may be decided although nobody rings."""
        moments = [*self._refused.values()]
        if self._hours.until is not None:
            moments.append(math.ceil(self._hours.until.timestamp()))
        if (event := self._matcher.next_event(self._now)) is not None:
            moments.append(event)
        return max(min(moments, default=math.inf) - self._moment, 0.0)

    @property
    def _now(self) -> int:
        return int(self._moment)

    def _read_all_items(self) -> None:
        rows = feed.all_waiting()
        while some := list(islice(rows, ROWS_AT_ONCE)):
            self._remember(some)
            self._alive()
        if len(self._matcher.items) > ROWS_AT_ONCE:
            _keep_apart_from_garbage()

    def _read_queues(self, only: Iterable[int] | None = None) -> None:
        for number, line in feed.lines(only, closed=self._hours.closed).items():
            if self._lines.get(number) != line:
                self._lines[number] = line
                self._matcher.put_queue(line.policy)

    def _read_agents(self, only: Collection[int] | None = None) -> None:
        gone = set(self._matcher.agents if only is None else only)
        for agent in feed.agents(now=clock.now(), only=only):
            self._matcher.put_agent(agent)
            gone.discard(agent.id)
        for agent_id in gone & self._matcher.agents.keys():
            self._matcher.drop_agent(agent_id)

    def _remember(self, found: Sequence[feed.Waiting], gone: Iterable[int] = ()) -> None:
        if unknown := {waiting.item.queue for waiting in found} - self._lines.keys():
            self._read_queues(unknown)
        for waiting in found:
            item = waiting.item
            self._memory.put(waiting)
            self._matcher.put_item(item)
            self._refused.pop(item.id, None)
            if item.not_to:
                self._refused[item.id] = max(item.not_to.values()).at + world.REFUSAL_REST_SECONDS
        for item_id in gone:
            self._forget(item_id)

    def _forget(self, item_id: int) -> None:
        self._memory.forget(item_id)
        self._refused.pop(item_id, None)
        if item_id in self._matcher.items:
            self._matcher.drop_item(item_id)

    # Deciding

    def work(self) -> tuple[int, int]:
        """Offer what can be offered now; how many were made, and how many were refused by what the rows are now.

        Stops after a few commits although there may be more to offer. Raises Lost.
        """
        self._moment = max(self._moment, clock.now().timestamp())
        if self._hours.until is not None and self._moment >= self._hours.until.timestamp():
            self._look_at_hours()
        self._forget_refusals()
        made = refused = 0
        picks = self._pick()
        for left in reversed(range(MOST_COMMITS)):
            if not picks:
                break
            is_full = len(picks) == MOST_PER_COMMIT
            written, ahead = self._write_and_pick(picks) if left and is_full else (self._write(picks), [])
            self._settle(picks, written)
            made += len(written.made)
            refused += len(picks) - len(written.made)
            picks = ahead
            self._alive()
        return made, refused

    def close(self) -> None:
        """Give back the connection of whoever writes while it thinks."""
        if self._writer:
            self._writer.submit(connections.close_all)
            self._writer.shutdown()
            self._writer = None

    def _write_and_pick(self, picks: Sequence[Pick]) -> tuple[Written, list[Pick]]:
        """What was written, and what is next: decided while the database was busy, as if all of it were offered."""
        if connection.vendor != "postgresql" or connection.in_atomic_block:
            return self._write(picks), self._pick()
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, "router-writes")
        writing = self._writer.submit(self._write, picks)
        ahead = self._pick()
        return writing.result(), ahead

    def _pick(self) -> list[Pick]:
        if self._decisions is None or self._decisions[0] != self._now:
            self._decisions = self._now, self._matcher.decide(self._now)
        picks = [self._explained(decision) for decision in islice(self._decisions[1], MOST_PER_COMMIT)]
        if len(picks) < MOST_PER_COMMIT:
            self._decisions = None
        return picks

    def _explained(self, decision: policy.Decision) -> Pick:
        waiting = self._memory.get(decision.item)
        assert waiting is not None, "what is matched is remembered"
        line = self._lines[waiting.item.queue]
        others = self._matcher.others(decision)
        why = explain.Explanation(decision, line.policy.version, self._now, others)
        return Pick(
            why, line.policy.id, waiting.epoch, waiting.conversation_id, line.policy.units, line.offer_seconds
        )

    def _write(self, picks: Sequence[Pick]) -> Written:
        """Nothing is decided by a policy that was replaced."""
        with transaction.atomic():
            now = lease.check(self._lease)
            in_force = dict(
                Queue.objects.filter(id__in={pick.queue_id for pick in picks}).values_list("id", "version")
            )
            current = [pick for pick in picks if pick.why.policy == in_force.get(pick.queue_id)]
            return Written(*router.commit(current, now=now))

    def _settle(self, picks: Sequence[Pick], written: Written) -> None:
        """Remember what came of it: the idle time of who was rung begins anew, the rest is read anew."""
        failed = [pick for pick in picks if pick.why.decision.item not in written.made]
        for agent_id in {pick.why.decision.agent for pick in picks if pick.why.decision.item in written.made}:
            row, known = written.rung[agent_id], self._matcher.agents.get(agent_id)
            if known:
                # What is picked already is not in his row yet.
                free = max(min(known.free, row.capacity - row.load), 0)
                since = int(row.free_since.timestamp())
                self._matcher.put_agent(replace(known, free=free, free_since=since))
        for item_id in written.made:
            self._forget(item_id)
        if failed:
            self._read_queues({pick.queue_id for pick in failed})
            self._read_agents({pick.why.decision.agent for pick in failed})
            found, gone = feed.items(Q(id__in=[pick.why.decision.item for pick in failed]))
            self._remember(found, gone)

    def _forget_refusals(self) -> None:
        """When everybody who could take an item refused it a while ago, it may be offered to them again."""
        due = [item_id for item_id, moment in self._refused.items() if moment <= self._now]
        for item_id in due:
            self._refused[item_id] = self._now + REFUSED_AGAIN_SECONDS
            waiting = self._memory.get(item_id)
            if waiting and self._is_refused_by_all(waiting.item):
                with transaction.atomic():
                    lease.check(self._lease)
                    router.forget_refusals(item_id, epoch=waiting.epoch)
                self._remember(*feed.items(Q(id=item_id)))

    def _is_refused_by_all(self, item: policy.Item) -> bool:
        return policy.everyone_declined(
            self._lines[item.queue].policy,
            item,
            self._matcher.agents.values(),
            self._now,
            rest=world.REFUSAL_REST_SECONDS,
        )
