"""The policy at work without looking at everything: the decisions of `policy.decide`, found where something changed.

Between two calls of `decide` nobody with room is beside an item he may take. So only what changed since can make a
pair: an agent who has more room, an item that arrived, a step that opened. Each change touches a few *fronts*, the
places where a lane of items meets a crew of agents; the best pair of a front stands at the heads of both.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count, islice

from .crews import Crew, Crews, Profile, has_room, place
from .explain import SHOWN, Reason, nearest
from .lanes import EVERYBODY, Backlog, Grade, Lane, Openings
from .policy import Agent, Decision, Item, Queue, consider

LONG_AGO = -(1 << 62)
# Where so many profiles changed at once, the lanes they may take from are looked at, and not each profile's lanes.
MANY = 4

# All agents of a profile together, or one on his own: where a queue names him, or an item knows him.
Who = Profile | int
Changed = Lane | Who
# How good the pair is (a `policy.Rank`), a number to settle it, the front where it stands, and what it was made of: as
# long as all three are current, it may be taken.
Pair = tuple[int, int, int, int, int, int, Lane, Who, Item, Agent, Queue]
# How the first in line of a profile compares with others for the same item, whichever that is (the lower the better):
# seconds, since when he is free, who he is, a number to settle it; then from which age on, and what it was made of.
Standing = tuple[int, int, int, int, int, Profile, Agent]


class Source:
    """Something that changed, and the best pairs of its fronts. Sources compare by the best of these."""

    __slots__ = ("changed", "pairs")

    def __init__(self, changed: Changed, pairs: Iterable[Pair]) -> None:
        self.changed = changed
        self.pairs = list(pairs)
        heapify(self.pairs)

    def __lt__(self, other: Source) -> bool:
        return self.pairs[0] < other.pairs[0]

    def replace_best(self, pair: Pair | None) -> None:
        if pair:
            heapreplace(self.pairs, pair)
        else:
            heappop(self.pairs)


class LaneSource(Source):
    """A lane that changed, or that many who changed may take from.

    Its fronts share the head of the lane, so who of them is best does not change as the items go.
    """

    __slots__ = ("lane", "queue", "standings")

    def __init__(self, lane: Lane, standings: Iterable[Standing]) -> None:
        super().__init__(lane, ())
        self.lane, self.queue = lane, lane.backlog.queue
        self.standings = list(standings)
        heapify(self.standings)


class Matcher:
    """Holds queues, waiting items and agents, and decides exactly as `policy.decide` would with all of them.

    What is put is kept as it is until it is put anew; `decide` takes the items away and the units off. Anything may be
    put and dropped while a `decide` is running, too: its next decision takes that into account.
    """

    def __init__(self, queues: Iterable[Queue] = ()) -> None:
        self._crews = Crews(appeared=self._learn, vanished=self._forget)
        self._backlogs: dict[int, Backlog] = {}
        # What waits, and everybody with the units that `decide` left him. To be read only.
        self.items: dict[int, Item] = {}
        self.agents: dict[int, Agent] = self._crews.agents
        self._openings = Openings()
        self._now = LONG_AGO
        self._serial = count()
        # Agents and lanes with which there may be a pair, and those of them the running `decide` has not seen yet.
        self._unsettled: dict[Changed, None] = {}
        self._unseen: dict[Changed, None] = {}
        self._latest: tuple[Decision, Item, Agent, Queue] | None = None
        for queue in queues:
            self.put_queue(queue)

    def put_queue(self, queue: Queue) -> None:
        """Add or replace. The only change whose cost grows with what waits, in this queue."""
        backlog = self._backlogs.get(queue.id)
        waiting = [item for lane in backlog.lanes_of(EVERYBODY) for item in lane] if backlog else []
        for item in waiting:
            self.drop_item(item.id)
        self._backlogs[queue.id] = Backlog(queue, self._crews)
        self._crews.serve({backlog.demand for backlog in self._backlogs.values()})
        for backlog in self._backlogs.values():
            backlog.crews = self._crews.with_room(backlog.demand)
        for item in waiting:
            self.put_item(item)

    def put_agent(self, agent: Agent) -> None:
        before = self.agents.get(agent.id)
        if agent == before:
            return
        self._crews.put(agent)
        self._presence_changed(before, agent)
        if before is None or _may_take_more(before, agent):
            self._mark(agent.id)

    def drop_agent(self, agent_id: int) -> None:
        before = self.agents[agent_id]
        self._crews.drop(agent_id)
        self._presence_changed(before, None)

    def put_item(self, item: Item) -> None:
        before = self.items.get(item.id)
        if item == before:
            return
        if before:
            self.drop_item(item.id)
        backlog = self._backlogs[item.queue]
        self.items[item.id] = item
        for lane in backlog.add(item):
            self._openings.arrived(lane, item, now=self._now)
            self._mark(lane)

    def drop_item(self, item_id: int) -> None:
        item = self.items.pop(item_id)
        for lane in self._backlogs[item.queue].remove(item):
            self._openings.set(lane, None)
            self._unsettled.pop(lane, None)
            self._unseen.pop(lane, None)

    def next_event(self, now: int) -> int | None:
        """When `decide` may find something, if nothing else happens: now, when the next step opens, or never."""
        if self._unsettled:
            return now
        opening = self._openings.first(after=self._now)
        return None if opening is None else max(opening, now)

    def decide(self, now: int) -> Iterator[Decision]:
        """Best pair first, until no waiting item has an eligible agent with room. Who stops early may ask again."""
        self._pass_time(now)
        self._unseen = dict(self._unsettled)
        sources: list[Source] = []
        while True:
            for source in self._unseen_sources():
                if source.pairs:
                    heappush(sources, source)
            if not sources:
                break
            *_, lane, who, item, agent, queue = sources[0].pairs[0]
            if self._is_current(item, agent, queue):
                yield self._take(item, agent, queue)
            source = heappop(sources)
            if isinstance(source, LaneSource):
                self._advance(source)
            else:
                source.replace_best(self._best_again(lane, who))
            if source.pairs and not self._is_exhausted(source.changed):
                heappush(sources, source)
        self._unsettled.clear()

    def others(self, decision: Decision, most: int = SHOWN) -> tuple[Reason, ...]:
        """Why not somebody else: the runners-up, then some of those who could not. Ask before the next decision."""
        if self._latest is None or self._latest[0] is not decision:
            raise ValueError(
                "Only the latest decision can be explained: the world has changed since the others."
            )
        _, item, chosen, queue = self._latest
        backlog = self._backlogs[item.queue]
        known = {*backlog.named, *islice(item.not_to, most), item.last_agent}
        special = {agent_id for agent_id in known if agent_id in self.agents}
        apart = {*special, *item.not_to, chosen.id}
        asked = {*special, *backlog.runners_up(most, age=self._now - item.at, apart=apart)}
        if len(asked) < most:
            examples = backlog.examples(self._crews.profiles.values(), apart={*asked, chosen.id})
            asked.update(islice(examples, 2 * most))
        people = ((agent, agent.free) for one in asked if (agent := self.agents[one]) and one != chosen.id)
        return nearest(self._now, queue, item, people, chosen, decision, most)

    # What changed

    def _learn(self, profile: Profile) -> None:
        for backlog in self._backlogs.values():
            backlog.learn(profile)

    def _forget(self, profile: Profile) -> None:
        for backlog in self._backlogs.values():
            backlog.open_to.pop(profile, None)

    def _mark(self, changed: Changed) -> None:
        self._unsettled[changed] = None
        self._unseen[changed] = None

    def _presence_changed(self, before: Agent | None, after: Agent | None) -> None:
        """Steps that open only while nobody else is signed in may open or close."""
        if before and after and (before.signed_in, before.skills) == (after.signed_in, after.skills):
            return
        for backlog in self._backlogs.values():
            if backlog.recount(before, after) and backlog.reopen(self._crews.profiles.values()):
                for lane in backlog.lanes_of(*backlog.lanes):
                    self._openings.set(lane, lane.next_opening(self._now))
                    self._mark(lane)

    def _pass_time(self, now: int) -> None:
        if now < self._now:
            raise ValueError("Time may only pass.")
        self._now = now
        for lane in self._openings.pass_until(now):
            self._mark(lane)

    # Where there may be a pair

    def _unseen_sources(self) -> Iterator[Source]:
        """What changed, with the best pairs of its fronts: of all fronts of a lane, and of the others of an agent."""
        changed, self._unseen = self._unseen, {}
        profiles: dict[Profile, None] = {}  # however many of their agents changed
        for one in changed:
            if isinstance(one, Lane):
                yield self._source_of_lane(one, one.backlog.profiles_with_room())
            elif one in self.agents:
                profiles[self._crews.profile_of(one)] = None
                yield Source(one, self._pairs_of_agent(one, changed))
        if len(profiles) < MANY:
            for profile in profiles:
                yield Source(profile, self._pairs_of_profile(profile, changed))
            return
        for backlog in self._backlogs.values():
            able = profiles.keys() & backlog.profiles_with_room()
            for lane in backlog.lanes[EVERYBODY].values() if able else ():
                if lane not in changed:
                    yield self._source_of_lane(lane, able)

    def _source_of_lane(self, lane: Lane, profiles: Iterable[Profile]) -> Source:
        """With these profiles, which have room, and whom its queue names."""
        if lane.whose is not EVERYBODY or lane.backlog.is_special:
            return Source(lane, self._pairs_of_lane(lane, profiles))
        backlog, age = lane.backlog, self._now - lane.oldest.at if lane.oldest else 0
        # A step that is not open for the oldest is open for none.
        able = (profile for profile in profiles if backlog.open_to[profile].after <= age)
        source = LaneSource(lane, (self._standing(backlog, profile) for profile in able))
        self._advance(source)
        return source

    def _pairs_of_lane(self, lane: Lane, profiles: Iterable[Profile]) -> Iterator[Pair]:
        backlog = lane.backlog
        if lane.whose is EVERYBODY:
            for profile in profiles:
                if pair := self._best(lane, profile, backlog.open_to[profile], backlog.crews[profile]):
                    yield pair
        for agent_id in backlog.named if lane.whose is EVERYBODY else (lane.whose,):
            if pair := self._best_again(lane, agent_id):
                yield pair

    def _pairs_of_profile(self, profile: Profile, changed: Container[Changed]) -> Iterator[Pair]:
        for backlog in self._backlogs.values():
            grade, crew = backlog.open_to.get(profile), backlog.crews.get(profile)
            if grade and crew:
                for lane in backlog.lanes[EVERYBODY].values():
                    if lane not in changed and (pair := self._best(lane, profile, grade, crew)):
                        yield pair

    def _pairs_of_agent(self, agent_id: int, changed: Container[Changed]) -> Iterator[Pair]:
        """With him alone: what knows him, and where he is named."""
        for backlog in self._backlogs.values():
            is_named = agent_id in backlog.named
            if is_named or agent_id in backlog.lanes:
                whose = (agent_id, EVERYBODY) if is_named else (agent_id,)
                for lane in backlog.lanes_of(*whose):
                    if lane not in changed and (pair := self._best_again(lane, agent_id)):
                        yield pair

    # Which pair is best

    def _standing(self, backlog: Backlog, profile: Profile) -> Standing:
        agent, grade = self.agents[backlog.crews[profile][0][1]], backlog.open_to[profile]
        seconds = backlog.queue.w_idle * agent.free_since - grade.fit
        return seconds, agent.free_since, agent.id, next(self._serial), grade.after, profile, agent

    def _advance(self, source: LaneSource) -> None:
        """Its best pair now, where there is any."""
        lane, standings = source.lane, source.standings
        backlog, oldest = lane.backlog, lane.oldest
        source.pairs.clear()
        if oldest is None or backlog.queue is not source.queue:
            return  # where a queue is another now, its lanes changed
        if oldest.not_to:
            # Here the heads may not be what is best.
            pairs = (self._best_again(lane, profile) for *_, profile, _ in standings)
            source.pairs += sorted(pair for pair in pairs if pair)[:1]
            return
        while standings:
            *_, after, profile, agent = standings[0]
            if self.agents.get(agent.id) is not agent:
                if profile in backlog.crews:
                    heapreplace(standings, self._standing(backlog, profile))
                else:
                    heappop(standings)
            elif self._now - oldest.at < after:
                heappop(standings)
            else:
                source.pairs.append(self._pair(lane, profile, backlog.open_to[profile], oldest, agent.id))
                return

    def _best_again(self, lane: Lane, who: Who) -> Pair | None:
        """The best pair of a front of which nothing is known but where it is."""
        if lane.oldest is None:
            return None
        backlog = lane.backlog
        if isinstance(who, Profile):
            crew = backlog.crews.get(who)
            return self._best(lane, who, backlog.open_to[who], crew) if crew else None
        agent = self.agents.get(who)
        if agent is None or not has_room(agent, backlog.demand):
            return None
        profile = self._crews.profile_of(who)
        grade = backlog.grade(agent) if who in backlog.named else backlog.open_to.get(profile)
        return self._best(lane, who, grade, [place(agent, backlog.demand)]) if grade else None

    def _best(self, lane: Lane, who: Who, grade: Grade, crew: Crew) -> Pair | None:
        """The best pair of a front, the first that `policy.decide` would choose if there were nothing else."""
        oldest = lane.oldest
        if oldest is None or self._now - oldest.at < grade.after:
            return None
        if oldest.not_to or lane.backlog.is_special:
            leaders = self._leaders(lane, oldest, who, grade, crew)
            return min((self._pair(lane, who, grade, item, one) for item, one in leaders), default=None)
        return self._pair(lane, who, grade, oldest, crew[0][1])

    def _leaders(
        self, lane: Lane, oldest: Item, who: Who, grade: Grade, crew: Crew
    ) -> Iterator[tuple[Item, int]]:
        """Pairs of which one is the best of a front, where its two heads need not be.

        For most agents that is the oldest item, so the first of those; each of the few others has an oldest item
        of his own. Agents the queue names are left out of their profiles: they have fronts of their own.
        """
        apart = lane.apart(oldest)
        named = lane.backlog.named if isinstance(who, Profile) else frozenset()
        first = next((one for _, one in crew if one not in apart and one not in named), None)
        if first is not None:
            yield oldest, first
        for one in apart:
            if one not in named and self._is_in(who, one, lane.backlog):
                item = lane.oldest_for(one, arrived_by=self._now - grade.after)
                if item:
                    yield item, one

    def _is_in(self, who: Who, agent_id: int, backlog: Backlog) -> bool:
        """Whether the agent is one of these and has room."""
        agent = self.agents.get(agent_id)
        if agent is None or not has_room(agent, backlog.demand):
            return False
        return who in (agent_id, self._crews.profile_of(agent_id))

    def _pair(self, lane: Lane, who: Who, grade: Grade, item: Item, agent_id: int) -> Pair:
        queue, agent, now = lane.backlog.queue, self.agents[agent_id], self._now
        waited, idle = now - item.at, now - agent.free_since
        score = queue.rate * waited + lane.worth + grade.fit + queue.w_idle * idle
        serial = next(self._serial)
        return -score, item.at, item.id, agent.free_since, agent_id, serial, lane, who, item, agent, queue

    # Taking, and telling why

    def _is_exhausted(self, changed: Changed) -> bool:
        """Whether nothing waits there, or nobody there has room."""
        if isinstance(changed, Lane):
            return changed.oldest is None
        return not self._crews.has_room(changed)

    def _is_current(self, item: Item, agent: Agent, queue: Queue) -> bool:
        return (
            self.items.get(item.id) is item
            and self.agents.get(agent.id) is agent
            and self._backlogs[item.queue].queue is queue
        )

    def _take(self, item: Item, agent: Agent, queue: Queue) -> Decision:
        decision = consider(queue, item, agent, self._now)
        assert decision is not None, "only eligible pairs are ranked"
        self.drop_item(item.id)
        self._crews.put(replace(agent, free=agent.free - queue.units))
        self._latest = decision, item, agent, queue
        return decision


def _may_take_more(before: Agent, after: Agent) -> bool:
    """Whether a pair may have become possible. That he is idle for longer or shorter only changes which is better."""
    return after.is_available and (
        not before.is_available or after.free > before.free or after.skills != before.skills
    )
