"""Group commit: work of concurrent callers is written together, so that they share a transaction.

No waiting for company: a lone work is written at once; what arrives during a commit forms the next batch. When a batch
fails as a whole, each work is tried alone, so that only the one that broke it is hurt.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from django.db import close_old_connections, connection

logger = logging.getLogger(__name__)

Work = TypeVar("Work")
Result = TypeVar("Result")


class Batcher(Generic[Work, Result]):
    """For event loops. `write(works)` gives one result or exception per work, in order; never called twice at once."""

    def __init__(
        self, write: Callable[[list[Work]], Sequence[Result | Exception]], *, most: int = 200
    ) -> None:
        self._write = write
        self._most = most
        self._waiting: queue.SimpleQueue[tuple[Work, asyncio.Future]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def submit(self, work: Work) -> Result:
        """The result of this work, once its batch is committed; raises its own error alone."""
        self._ensure_thread()
        future: asyncio.Future = asyncio.get_running_loop().create_future()
        self._waiting.put((work, future))
        return await future

    def _ensure_thread(self) -> None:
        # Also after a fork: a thread of the parent is not alive in the child.
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            self._answer(batch, _results(self._written, [work for work, _ in batch]))

    def _written(self, works: list[Work]) -> Sequence[Result | Exception]:
        try:
            close_old_connections()
            return self._write(works)
        finally:
            close_old_connections()

    def _next_batch(self) -> list[tuple[Work, asyncio.Future]]:
        batch = [self._waiting.get()]
        while len(batch) < self._most:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    @staticmethod
    def _answer(batch: list[tuple[Work, asyncio.Future]], results: Sequence[Result | Exception]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list] = {}
        for (_, future), result in zip(batch, results, strict=True):
            by_loop.setdefault(future.get_loop(), []).append((future, result))
        for loop, answers in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, answers)
            except RuntimeError:
                # That loop is gone, and with it everybody who waited for an answer.
                continue


class _Place(Generic[Work, Result]):
    """Of one work in line, with its result once there is one."""

    __slots__ = ("result", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.result: Result | Exception | None = None


class SharedCommit(Generic[Work, Result]):
    """For threads, by their own connections: whoever has the turn writes for all who came during the commit before.

    `write(works)` as of a `Batcher`; a result is never None.
    """

    def __init__(
        self, write: Callable[[list[Work]], Sequence[Result | Exception]], *, most: int = 200
    ) -> None:
        self._write = write
        self._most = most
        self._line: deque[_Place[Work, Result]] = deque()
        self._turn = threading.Lock()

    def submit(self, work: Work) -> Result:
        """The result of this work, once it is committed; raises its own error alone.

        Inside a transaction it is written by that one: nobody else may depend on how it ends.
        """
        place: _Place[Work, Result] = _Place(work)
        if connection.in_atomic_block:
            self._serve([place])
        else:
            self._line.append(place)
            while place.result is None:
                with self._turn:
                    if place.result is None:
                        self._serve([self._line.popleft() for _ in range(min(len(self._line), self._most))])
        if isinstance(place.result, Exception):
            raise place.result
        assert place.result is not None
        return place.result

    def _serve(self, batch: list[_Place[Work, Result]]) -> None:
        try:
            results = _results(self._write, [place.work for place in batch])
        except BaseException:
            # This thread is being ended; the others must not wait for it.
            for place in batch:
                place.result = RuntimeError("Whoever wrote it was ended.")
            raise
        for place, result in zip(batch, results, strict=True):
            place.result = result


def _results(
    write: Callable[[list[Work]], Sequence[Result | Exception]], works: list[Work]
) -> Sequence[Result | Exception]:
    try:
        results = write(works)
        if len(results) != len(works):
            raise RuntimeError(f"{len(works)} works got {len(results)} results")
        return results
    except Exception as error:
        if len(works) == 1:
            return [error]
        logger.warning("a batch of %s failed (%s), each is tried alone", len(works), type(error).__name__)
    return [result for work in works for result in _results(write, [work])]


def _resolve(answers: list[tuple[asyncio.Future, object]]) -> None:
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
