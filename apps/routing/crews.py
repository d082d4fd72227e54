"""Who has room, so that nobody has to look through the agents. Pure.

Agents with the same skills are interchangeable but for how long they have been idle: they form a *profile*, and of a
profile only the first in line matters. An agent's implicit skill (being himself) is left out, or everybody would be a
profile of his own; queues that name agents look at those one by one.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator

from .policy import Agent, implicit_skills

# The units an item takes, and who comes first: 1 the longest idle, -1 the shortest.
Demand = tuple[int, int]
# (free_since, its sign turned where the shortest idle come first; agent id): sorts as the policy breaks ties.
Place = tuple[int, int]
Crew = list[Place]
Skills = frozenset[tuple[str, int]]

NOBODY = -1


class Profile:
    """A distinct set of skills. ``typical`` has them and is nobody; the ``members`` have them and are people."""

    __slots__ = ("members", "skills", "typical")

    def __init__(self, skills: Skills) -> None:
        self.skills = skills
        self.typical = Agent(NOBODY, dict(skills), free=0, free_since=0)
        self.members: dict[int, None] = {}  # a set that keeps its order


class Crews:
    """All agents by id, and for every demand the crew of each profile: who has room for it, best first.

    An agent is in the crew of his profile for just those demands whose units he has free, while he is available.
    A crew is never empty: where nobody has room, there is none. A profile without members is forgotten.
    """

    def __init__(self, *, appeared: Callable[[Profile], None], vanished: Callable[[Profile], None]) -> None:
        self.agents: dict[int, Agent] = {}
        self.profiles: dict[Skills, Profile] = {}
        self._appeared, self._vanished = appeared, vanished
        self._profile_of: dict[int, Profile] = {}
        self._with_room: dict[Demand, dict[Profile, Crew]] = {}

    def profile_of(self, agent_id: int) -> Profile:
        return self._profile_of[agent_id]

    def with_room(self, demand: Demand) -> dict[Profile, Crew]:
        """The same dictionary is kept up to date for as long as the demand is served."""
        return self._with_room[demand]

    def has_room(self, who: Profile | int) -> bool:
        """For anything at all."""
        if isinstance(who, Profile):
            return any(who in crews for crews in self._with_room.values())
        agent = self.agents.get(who)
        return agent is not None and any(has_room(agent, demand) for demand in self._with_room)

    def serve(self, demands: Iterable[Demand]) -> None:
        """Keep crews for these demands and no others."""
        wanted = set(demands)
        for obsolete in self._with_room.keys() - wanted:
            del self._with_room[obsolete]
        for demand in wanted - self._with_room.keys():
            crews = self._with_room[demand] = {}
            for agent in self.agents.values():
                if has_room(agent, demand):
                    crews.setdefault(self._profile_of[agent.id], []).append(place(agent, demand))
            for crew in crews.values():
                crew.sort()

    def put(self, agent: Agent) -> None:
        """Add the agent, or replace what was known of him."""
        before = self.agents.get(agent.id)
        if before:
            self._leave_crews(before)
        if before is None or before.skills != agent.skills:
            self._join_profile(agent)
        self.agents[agent.id] = agent
        self._join_crews(agent)

    def drop(self, agent_id: int) -> None:
        self._leave_crews(self.agents.pop(agent_id))
        self._leave_profile(agent_id)

    def _join_crews(self, agent: Agent) -> None:
        profile = self._profile_of[agent.id]
        for demand, crews in self._with_room.items():
            if has_room(agent, demand):
                insort(crews.setdefault(profile, []), place(agent, demand))

    def _leave_crews(self, agent: Agent) -> None:
        profile = self._profile_of[agent.id]
        for demand, crews in self._with_room.items():
            if has_room(agent, demand):
                crew = crews[profile]
                del crew[bisect_left(crew, place(agent, demand))]
                if not crew:
                    del crews[profile]

    def _join_profile(self, agent: Agent) -> None:
        skills = frozenset(_acquired(agent))
        profile = self.profiles.get(skills)
        if profile is None:
            profile = self.profiles[skills] = Profile(skills)
            self._appeared(profile)
        profile.members[agent.id] = None
        if agent.id in self._profile_of:
            self._leave_profile(agent.id)
        self._profile_of[agent.id] = profile

    def _leave_profile(self, agent_id: int) -> None:
        profile = self._profile_of.pop(agent_id)
        del profile.members[agent_id]
        if not profile.members:
            del self.profiles[profile.skills]
            self._vanished(profile)


def has_room(agent: Agent, demand: Demand) -> bool:
    return agent.free >= demand[0] and agent.is_available


def place(agent: Agent, demand: Demand) -> Place:
    return demand[1] * agent.free_since, agent.id


def _acquired(agent: Agent) -> Iterator[tuple[str, int]]:
    """His skills but for the implicit ones. Level 0 is no skill."""
    implicit = implicit_skills(agent.id)
    return ((skill, level) for skill, level in agent.skills.items() if level and skill not in implicit)
