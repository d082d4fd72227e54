"""Worlds to route in: plain factories, random worlds, and a slow literal reading of the rules."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from apps.routing import explain
from apps.routing.policy import Agent, Decision, Item, Queue, Refusal, Step, Term

NOW = 10_000


def step(after, needs, if_nobody=False):
    return Step(after, tuple(needs.items()), if_nobody)


def queue(*steps, id=1, **settings):
    return Queue(id, steps, **settings)


def agent(id, free=12, idle=0, **settings):
    return Agent(id, settings.pop("skills", {"care": 1}), free, NOW - idle, **settings)


def item(id, waited=0, queue=1, *, not_to=None, how="declined", **settings):
    """`not_to` are agents and times."""
    parted = {agent: Refusal(at, how) for agent, at in (not_to or {}).items()}
    return Item(id, queue, NOW - waited, not_to=parted, **settings)


class World(NamedTuple):
    now: int
    queues: dict[int, Queue]
    items: list[Item]
    agents: list[Agent]


def reference_step(q, agents, a, age):
    """First step that accepts him and is open: by age, or as nobody signed in satisfies an earlier one."""

    def accepts(s, who):
        return all(who.skills.get(sk, 0) >= lv for sk, lv in s.needs)

    def is_open(k, s):
        nobody = not any(accepts(e, who) for e in q.steps[:k] for who in agents if who.signed_in)
        return s.after <= age or (s.if_nobody and nobody and age >= 0)

    return next((k for k, s in enumerate(q.steps) if is_open(k, s) and accepts(s, a)), None)


def reference_terms(q, i, a, k, now):
    age, idle = now - i.at, now - a.free_since
    fit = sum(a.skills.get(sk, 0) - lv for sk, lv in q.steps[k].needs)
    return (
        Term("waited", age, q.rate),
        Term("credit", i.credit, 1),
        Term("fit", fit, q.w_fit),
        Term("idle", idle, q.w_idle),
        Term("last agent", int(i.last_agent == a.id), q.w_last),
    )


def reference_decide(now, queues, items, agents):
    """Look at every pair, take the best, look at every pair again."""
    out, items, free = [], {i.id: i for i in items}, {a.id: a.free for a in agents}
    while True:
        best = max(
            (
                (sum(t.raw * t.weight for t in ts), -i.at, -i.id, -a.free_since, -a.id, i, a, k, ts)
                for i in items.values()
                for a in agents
                if free[a.id] >= queues[i.queue].units and a.id not in i.not_to
                if a.signed_in and not a.unavailable
                if (k := reference_step(queues[i.queue], agents, a, now - i.at)) is not None
                for ts in [reference_terms(queues[i.queue], i, a, k, now)]
            ),
            key=lambda x: x[:5],
            default=None,
        )
        if best is None:
            return out
        score, *_, i, a, k, ts = best
        out.append(Decision(i.id, a.id, score, k, ts))
        del items[i.id]
        free[a.id] -= queues[i.queue].units


# Small ranges on purpose: ties, shortages and refusals have to be common, not rare.
SKILLS = ("care", "de", "cards", "agent:1", "agent:2")
NEEDS = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3), max_size=2)
LEVELS = st.fixed_dictionaries({skill: st.sampled_from([3, 1, 2, 5, 0]) for skill in SKILLS[:3]})
PARTINGS = st.sampled_from(explain.PARTINGS)
REFUSALS = st.dictionaries(st.integers(1, 5), PARTINGS.map(lambda how: Refusal(NOW - 5, how)), max_size=2)
WEIGHTS = st.sampled_from([0, 0, 10, -5])
UNITS = st.integers(1, 4)
FREE = st.sampled_from([4, 8, 1, 2, 3, 0])


@st.composite
def queues_of(draw, id, *, if_nobody=True, units=UNITS):
    afters = sorted(draw(st.lists(st.sampled_from([0, 20, 60]), min_size=1, max_size=3)))
    return Queue(
        id,
        tuple(step(after, draw(NEEDS), if_nobody and draw(st.booleans())) for after in afters),
        rate=draw(st.integers(0, 3)),
        w_fit=draw(WEIGHTS),
        w_idle=draw(st.integers(0, 2)),
        w_last=draw(WEIGHTS),
        units=draw(units),
    )


def agents_of(id, *, free=FREE):
    return st.builds(
        Agent,
        st.just(id),
        LEVELS,
        free,
        st.integers(NOW - 20, NOW),
        unavailable=st.sampled_from(["", "", "", "", "paused: lunch"]),
        signed_in=st.sampled_from([True, True, True, True, False]),
    )


def items_of(id, *, queues, refusals=REFUSALS):
    return st.builds(
        Item,
        st.just(id),
        st.integers(1, queues),
        st.sampled_from([NOW - 60, NOW - 55]) | st.integers(NOW - 80, NOW + 5),
        credit=st.sampled_from([0, 0, 10, 90]),
        last_agent=st.none() | st.integers(1, 5),
        not_to=refusals,
    )


@st.composite
def worlds(draw, *, queues=3, if_nobody=True, refusals=REFUSALS, units=UNITS, free=FREE):
    """Up to three queues, five agents, six items."""
    last_queue, last_agent, last_item = draw(
        st.tuples(
            st.integers(1, queues),
            st.sampled_from([3, 4, 5, 2, 1, 0]),
            st.sampled_from([5, 6, 4, 3, 2, 1, 0]),
        )
    )
    return World(
        NOW,
        {n: draw(queues_of(n, if_nobody=if_nobody, units=units)) for n in range(1, last_queue + 1)},
        [draw(items_of(n, queues=last_queue, refusals=refusals)) for n in range(1, last_item + 1)],
        [draw(agents_of(n, free=free)) for n in range(1, last_agent + 1)],
    )
