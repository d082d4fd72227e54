"""Routing, measured beside the database's own limit: decisions that are committed with their reasons, and accepted.

`python -m tests.bench.bench_routing`: PostgreSQL with fsync and synchronous commits, the router as a process of its own
(`manage.py router`). Offers are accepted on four connections, each in a process of its own that is rung for fifty
agents and accepts what has come meanwhile in one commit, as a web process does with what is clicked during the commit
before.
docs/performance.md keeps the table.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from . import bench_matcher, crowd, desks, ground

AGENTS, WAITING, CONNECTIONS = 200, 150_000, 4
# Agents whose desks are open where that matters.
DESKS = 20
spawn = multiprocessing.get_context("spawn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="figures whose name begins so")
    parser.add_argument("--waiting", type=int, default=WAITING)
    parser.add_argument("--quick", action="store_true", help="20,000 waiting")
    options = parser.parse_args()
    with ground.durable_servers():
        ground.prepare_django()
        for figure in FIGURES:
            if figure.__name__.startswith(options.only):
                for name, value, must, aim in figure(20_000 if options.quick else options.waiting):
                    print(f"{name:66} {value:>9}   must {must:>6}   aim {aim:>6}", flush=True)


Row = tuple[str, str, str, str]


@contextlib.contextmanager
def _limit() -> Iterator[Callable[[], float]]:
    """Measured before and after."""
    before = ground.commits_per_second(2.0)
    yield lambda: (before + ground.commits_per_second(2.0)) / 2


@contextlib.contextmanager
def _router() -> Iterator[subprocess.Popen]:
    from apps.routing.services import lease

    process = subprocess.Popen([sys.executable, "manage.py", "router"], cwd=ground.ROOT)
    try:
        while not lease.is_held():
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def pairs(waiting: int) -> Iterator[Row]:
    """Offer and accept, both durable."""
    from apps.routing.models import Decision, Offer

    team = crowd.make_place()
    people = crowd.make_agents(AGENTS, team=team)
    crowd.put_in_line(waiting, team=team)
    with _limit() as limit, _router():
        while Offer.objects.count() < AGENTS:
            time.sleep(0.1)
        shares = [people[n::CONNECTIONS] for n in range(CONNECTIONS)]
        with spawn.Pool(CONNECTIONS) as pool:
            results = pool.map(_accept, [(share, 10.0) for share in shares])
        accepted, seconds = sum(one[0] for one in results), max(one[1] for one in results)
        times = [took for one in results for took in one[2]]
        yield _said("limit: commits/s, bare psycopg, 8 connections", f"{limit():.0f}")
    rate = accepted / seconds
    yield _said("offers made and accepted, pairs/s", f"{rate:.0f}")
    yield "pairs ÷ limit", f"{rate / limit():.2f}", "≥ 0.20", "≥ 0.35"
    yield _said("a commit of acceptances, p50 and p99, ms", f"{_ms(times, 0.5)} {_ms(times, 0.99)}")
    assert Decision.objects.count() == Offer.objects.count()
    _assert_in_order()


def _accept(task: tuple[list[int], float]) -> tuple[int, float, list[float]]:
    """One connection: takes every offer of these agents, for so many seconds, and finishes the work at once."""
    import django

    django.setup()
    from apps.routing.models import Offer
    from apps.routing.services import acceptance, clock
    from apps.users.models import User

    people, seconds = task
    users = {user.agent.pk: user for user in User.objects.filter(agent__in=people).select_related("agent")}
    accepted, times = 0, list[float]()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        rung = crowd.rung(people)
        if not rung:
            time.sleep(0.01)
            continue
        start, now = time.perf_counter(), clock.now()
        results = acceptance.accept_many([acceptance.Take(pk, users[agent], now) for pk, agent in rung])
        times.append(time.perf_counter() - start)
        accepted += sum(isinstance(result, Offer) for result in results)
        crowd.finish({agent for _, agent in rung})
    return accepted, time.perf_counter() - began, times


def offers_alone(waiting: int) -> Iterator[Row]:
    """Decided, stored with their reasons, offered: by one router that nobody disturbs."""
    from apps.routing.models import Offer
    from apps.routing.services import lease
    from apps.routing.services.engine import Engine

    crowd.empty()
    team = _team()
    crowd.make_agents(AGENTS, team=team, capacity=32_000)
    crowd.put_in_line(min(waiting, 40_000), team=team)
    with _limit() as limit:
        held = lease.take("bench")
        assert held is not None
        with contextlib.closing(Engine(held)) as engine:
            engine.sweep()
            made, began, busy = 0, time.perf_counter(), time.process_time()
            while time.perf_counter() - began < 6 and lease.renew(held):
                made += engine.work()[0]
            rate, each = made / (time.perf_counter() - began), (time.process_time() - busy) / made
        lease.release(held)
    yield _said("offers alone, offers/s", f"{rate:.0f}")
    yield _said("offers alone, processor time each, ms", f"{each * 1e3:.3f}")
    yield "offers ÷ limit", f"{rate / limit():.2f}", "≥ 0.5", "≥ 1.0"
    assert Offer.objects.live().count() == made


def burst(waiting: int) -> Iterator[Row]:
    """1,000 wait, 200 become free at once."""
    from apps.routing.models import Agent, Offer
    from apps.routing.services import bell

    crowd.empty()
    team = _team()
    people = crowd.make_agents(AGENTS, team=team, capacity=4)
    Agent.objects.update(is_not_responding=True)
    crowd.put_in_line(1_000, team=team)
    took = []
    with _router():
        for _ in range(5):
            time.sleep(2)
            Agent.objects.update(is_not_responding=False)
            began = time.perf_counter()
            bell.ring(agents=people)
            while Offer.objects.live().count() < AGENTS:
                time.sleep(0.005)
            took.append(time.perf_counter() - began)
            _start_over(people)
    yield _said("1,000 waiting, 200 free at once: each of five, s", " ".join(f"{one:.2f}" for one in took))
    yield "… last offer durable after (median), s", f"{sorted(took)[2]:.2f}", "≤ 1.5", "≤ 0.4"


def _start_over(people: list[int]) -> None:
    from django.db.models import F

    from apps.routing.models import Agent, Item, Offer
    from apps.routing.services import bell

    Agent.objects.filter(pk__in=people).update(is_not_responding=True, load=0)
    Item.objects.filter(state="offered").update(state="waiting", units=0, epoch=F("epoch") + 1)
    Offer.objects.live().update(state="cancelled")
    bell.ring(agents=people, conversations=list(Item.objects.values_list("conversation", flat=True)))


def frees(waiting: int) -> Iterator[Row]:
    """One agent frees beside a backlog: until his next offer is committed, and until his desk is told."""
    import psycopg
    from django.db import transaction

    from apps.routing.models import Agent
    from apps.routing.services import agents, bell, clock

    crowd.empty()
    team = _team()
    people = crowd.make_agents(AGENTS, team=team, capacity=4)[:DESKS]
    Agent.objects.update(load=4)
    crowd.put_in_line(10_000, team=team)
    committed, told, port = [], [], ground.free_port()
    question = "SELECT 1 FROM routing_offer WHERE agent_id = %s AND state = 'offered'"
    with (
        _router(),
        ground.web_server(port),
        desks.listening(port, people) as rung,
        psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as looker,
    ):
        time.sleep(3)
        for number in range(400):
            pk = people[number % DESKS]
            _forget_offers(pk)
            with transaction.atomic():
                agents.give_back(agents.lock(pk), units=4, now=clock.now())
            rung[pk].clear()
            began = time.perf_counter()
            bell.ring(agents=[pk])
            while looker.execute(question, [pk]).fetchone() is None:
                time.sleep(0.0005)
            committed.append(time.perf_counter() - began)
            assert rung[pk].wait(5), "no frame came"
            told.append(rung[pk].at - began)
            time.sleep(0.02)
    yield _said("agent frees → offer committed, p50, ms", _ms(committed, 0.5))
    yield "agent frees → offer committed, p99, ms", _ms(committed, 0.99), "≤ 60", "≤ 15"
    yield _said("agent frees → on his socket, p50, ms", _ms(told, 0.5))
    yield "agent frees → on his socket, p99, ms", _ms(told, 0.99), "≤ 100", "≤ 30"


def _forget_offers(pk: int) -> None:
    from apps.routing.models import Item, Offer

    mine = Offer.objects.live().filter(agent=pk)
    Item.objects.filter(offers__in=list(mine)).update(state="done", units=0)
    mine.update(state="cancelled")


def beats(waiting: int) -> Iterator[Row]:
    """Presence of 300 agents: rows and statements written per second."""
    from django.db import connection

    from apps.core.sockets import PING_SECONDS
    from apps.routing.models import Agent
    from apps.routing.services import agents, clock

    crowd.empty()
    crowd.make_agents(300, team=_team())
    users = list(Agent.objects.values_list("user", flat=True))

    def written() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables")
            return int(cursor.fetchone()[0])

    before = written()
    for _ in range(10):
        agents.renew_leases(users, now=clock.now() + timedelta(seconds=1))
    rows = (written() - before) / 10 / PING_SECONDS
    yield "heartbeats of 300 agents, rows written per second", f"{rows:.0f}", "< 60", "< 60"


def memory_only(waiting: int) -> Iterator[Row]:
    """The pure decision, and how it grows."""
    import gc

    town = bench_matcher.Town(queues=100, profiles=199, agents=10_000, waiting=100_000)
    gc.collect()
    gc.freeze()
    for name, event in (("an agent frees", town.agent_frees), ("an item arrives", town.item_arrives)):
        decided = bench_matcher.measure(town, event)["decided"]
        yield (
            f"pure decision, {name}, p99, ms",
            f"{ground.percentile(decided, 0.99) * 1e3:.2f}",
            "≤ 1",
            "≤ 0.2",
        )
    gc.unfreeze()
    del town
    for event_name in ("agent_frees", "item_arrives"):
        base, crowd_, line = bench_matcher.growth(event_name, (200, 1_000), (2_000, 1_000), (200, 100_000))
        said = event_name.replace("_", " ")
        yield f"{said}: 2,000 agents ÷ 200", f"{crowd_ / base:.2f}", "≤ 2", "≤ 1.2"
        yield f"{said}: 100,000 waiting ÷ 1,000", f"{line / base:.2f}", "≤ 1.5", "≤ 1.1"


def _team() -> int:
    from apps.users.models import Team

    team = Team.objects.first()
    return team.pk if team else crowd.make_place()


def _said(name: str, value: str) -> Row:
    return name, value, "", ""


def _ms(seconds: list[float], share: float) -> str:
    return f"{ground.percentile(seconds, share) * 1e3:.1f}"


def _assert_in_order() -> None:
    from django.db import connection

    from apps.routing.services import audit, clock

    with connection.cursor() as cursor:
        # Thousands left the lines in seconds, and PostgreSQL comes to tidy up once a minute.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM ANALYZE")
    found: list[Any] = audit.violations(now=clock.now())
    assert not found, found[:5]


FIGURES = (pairs, offers_alone, burst, frees, beats, memory_only)

if __name__ == "__main__":
    main()
