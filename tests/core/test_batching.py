"""Group commit: concurrent work is written together, one failure hurts one, nobody waits for ever."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest
from django.db import connections, transaction

from apps.core.batching import Batcher, SharedCommit
from tests.wire import eventually


class Gate:
    """A `write` that notes its batches and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list] = []
        self.open = threading.Event()
        self.open.set()
        self.running = 0
        self.most_at_once = 0

    def __call__(self, works: list) -> list:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            self.open.wait(5)
            self.batches.append(list(works))
            if "exit" in works:
                sys.exit()
            if "poison" in works:
                raise ValueError("poisoned")
            return [KeyError(work) if work == "bad" else f"done {work}" for work in works]
        finally:
            self.running -= 1


@pytest.fixture
def gate() -> Gate:
    return Gate()


async def _submit_all(batcher: Batcher, works: list) -> list:
    return await asyncio.gather(*(batcher.submit(work) for work in works), return_exceptions=True)


async def test_a_lone_work_is_written_at_once(gate) -> None:
    assert await Batcher(gate).submit("a") == "done a"
    assert gate.batches == [["a"]]


async def test_what_arrives_during_a_commit_forms_the_next_batch(gate) -> None:
    batcher = Batcher(gate, most=3)
    gate.open.clear()
    first = asyncio.create_task(batcher.submit("first"))
    await asyncio.sleep(0.05)
    rest = asyncio.create_task(_submit_all(batcher, list("abcd")))
    await asyncio.sleep(0.05)
    gate.open.set()
    assert await first == "done first"
    assert await rest == ["done a", "done b", "done c", "done d"]
    assert gate.batches == [["first"], ["a", "b", "c"], ["d"]]
    assert gate.most_at_once == 1


async def test_each_gets_its_own_error(gate) -> None:
    good, bad = await _submit_all(Batcher(gate), ["good", "bad"])
    assert good == "done good"
    assert isinstance(bad, KeyError)


async def test_a_batch_that_fails_as_a_whole_hurts_only_the_one_that_broke_it(gate) -> None:
    batcher = Batcher(gate)
    gate.open.clear()
    first = asyncio.create_task(batcher.submit("first"))
    await asyncio.sleep(0.05)
    rest = asyncio.create_task(_submit_all(batcher, ["a", "poison", "b"]))
    await asyncio.sleep(0.05)
    gate.open.set()
    await first
    a, poison, b = await rest
    assert (a, b) == ("done a", "done b")
    assert isinstance(poison, ValueError)
    assert await batcher.submit("later") == "done later"


async def test_a_write_that_miscounts_answers_everybody() -> None:
    with pytest.raises(RuntimeError):
        await Batcher(lambda works: []).submit("a")


async def test_who_went_away_does_not_hold_up_the_others(gate) -> None:
    batcher = Batcher(gate)
    gate.open.clear()
    gone = asyncio.create_task(batcher.submit("gone"))
    stays = asyncio.create_task(batcher.submit("stays"))
    await asyncio.sleep(0.05)
    gone.cancel()
    gate.open.set()
    assert await stays == "done stays"
    # It was written all the same: a retry is answered by its id.
    assert any("gone" in batch for batch in gate.batches)


async def test_a_dead_thread_is_replaced(gate) -> None:
    batcher = Batcher(gate)
    await batcher.submit("a")
    batcher._thread = threading.Thread(target=lambda: None)  # as after a fork
    assert await batcher.submit("b") == "done b"


def test_two_loops_share_one_writer(gate) -> None:
    batcher = Batcher(gate)
    barrier, results = threading.Barrier(4), []

    def run(number: int) -> None:
        barrier.wait()
        results.extend(asyncio.run(_submit_all(batcher, [f"{number}.{n}" for n in range(20)])))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(f"done {number}.{n}" for number in range(4) for n in range(20))
    assert gate.most_at_once == 1


class Crowd:
    """Threads that submit, and what became of each."""

    def __init__(self, shared: SharedCommit) -> None:
        self.shared = shared
        self.results: dict = {}
        self.threads: list[threading.Thread] = []

    def submits(self, *works) -> None:
        """In this order: each stands in line before the next one comes."""
        for work in works:
            before = len(self.shared._line)
            thread = threading.Thread(target=self._run, args=(work,))
            thread.start()
            self.threads.append(thread)
            assert eventually(lambda before=before: len(self.shared._line) > before)

    def _run(self, work) -> None:
        try:
            self.results[work] = self.shared.submit(work)
        except (Exception, SystemExit) as error:
            self.results[work] = error
        finally:
            connections.close_all()

    def ends(self) -> dict:
        for thread in self.threads:
            thread.join(5)
        return self.results


@pytest.fixture
def crowd(gate) -> Crowd:
    return Crowd(SharedCommit(gate, most=3))


@pytest.fixture
def held_up(crowd, gate) -> Crowd:
    """Somebody is writing, and will be until the gate is opened."""
    gate.open.clear()
    thread = threading.Thread(target=crowd._run, args=("first",))
    thread.start()
    crowd.threads.append(thread)
    assert eventually(lambda: gate.running)
    return crowd


def test_a_lone_thread_writes_at_once(crowd, gate) -> None:
    assert crowd.shared.submit("a") == "done a"
    assert gate.batches == [["a"]]


def test_threads_that_come_during_a_commit_share_the_next_ones(held_up, gate) -> None:
    held_up.submits(*"abcd")
    gate.open.set()
    assert held_up.ends() == {work: f"done {work}" for work in ["first", *"abcd"]}
    assert gate.batches == [["first"], ["a", "b", "c"], ["d"]]
    assert gate.most_at_once == 1


def test_each_thread_gets_its_own_error(held_up, gate) -> None:
    held_up.submits("a", "bad", "poison")
    gate.open.set()
    results = held_up.ends()
    assert results["a"] == "done a"
    assert isinstance(results["bad"], KeyError)
    assert isinstance(results["poison"], ValueError)


def test_nobody_waits_for_a_thread_that_was_ended(held_up, gate) -> None:
    held_up.submits("a", "exit", "b")
    gate.open.set()
    results = held_up.ends()
    assert sum(isinstance(result, RuntimeError) for result in results.values()) == 2
    assert held_up.shared.submit("later") == "done later"


@pytest.mark.django_db
def test_inside_a_transaction_a_thread_writes_for_itself_alone(held_up, gate) -> None:
    with transaction.atomic():
        own = SharedCommit(lambda works: [f"own {work}" for work in works])
        assert own.submit("a") == "own a"
        assert not own._line
    gate.open.set()
    held_up.ends()
