"""Reminders, ours beside plain Celery `eta` tasks: all due at one instant, rendered, sent over SMTP, and recorded.

`python -m tests.bench.bench_reminders` (some minutes; `--quick` for trying): PostgreSQL with fsync and synchronous
commits, RabbitMQ, `manage.py notifier` and a Celery worker with 4 processes as they are started in production, and a
mail server that costs next to nothing (sink.py). docs/performance.md keeps the table.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from . import ground, reminded, sink

CELERY_PROCESSES = 4
TICK_SECONDS = 2.0
LATENESS_RATE, LATENESS_SECONDS = 200, 30
CLAIMS, CLAIMED = 60, 100
# Until everybody has started, and the clock can be read in peace.
START = timedelta(seconds=12)
PATIENCE_SECONDS = 300.0
Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Size:
    reminders: int = 100_000
    celery: int = 20_000
    future: int = 1_000_000


@dataclass
class Run:
    """What one of the measurements showed."""

    count: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_mib: list[int] = field(default_factory=list)
    mails: list[tuple[str, float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def doubles(self) -> int:
        return len(self.mails) - len({key for key, _ in self.mails})

    @property
    def missing(self) -> int:
        return self.count - len({key for key, _ in self.mails})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    size = Size(10_000, 2_000, 100_000) if parser.parse_args().quick else Size()
    with ground.durable_servers(), sink.running() as mails:
        ground.prepare_django(EML_EMAIL_URL=f"smtp://127.0.0.1:{mails.port}")
        reminded.make_template()
        reminded.make_customers(size.reminders)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
        for name, value, must, aim in figures(size, mails):
            print(f"{name:66} {value:>12}   must {must:>8}   aim {aim:>8}", flush=True)
        print(f"load {os.getloadavg()[0]:.1f}", flush=True)


def figures(size: Size, mails: sink.Sink) -> Iterator[Row]:
    one = flood(size.reminders, mails, processes=1)
    yield from of_one_process(one)
    yield from advancing(size.reminders)
    two = flood(size.reminders, mails, processes=2)
    yield f"two processes, {size.reminders:,} due at once, per second", f"{two.rate:,.0f}", "", ""
    yield "two processes ÷ one", f"{two.rate / one.rate:.2f}", "1.6", "1.7"
    yield "sent twice; missing (two processes)", f"{two.doubles}; {two.missing}", "0; 0", "0; 0"
    theirs = celery(size.celery, mails)
    yield f"Celery eta, {CELERY_PROCESSES} processes, per second", f"{theirs.rate:,.0f}", "", ""
    yield "Celery eta, processor time each", f"{_each(theirs):.3f} ms", "", ""
    yield "ours, one process ÷ Celery's four", f"{one.rate / theirs.rate:.1f}", "6", "12"
    yield "processor time, Celery's ÷ ours", f"{_each(theirs) / _each(one):.1f}", "", ""
    yield from lateness(mails)
    yield from campaign(size.reminders, mails)
    yield from claiming(size.future)


def of_one_process(one: Run) -> Iterator[Row]:
    yield f"one process, {one.count:,} due at once, per second", f"{one.rate:,.0f}", "", ""
    yield "one process, processor time each", f"{_each(one):.3f} ms", "0.35 ms", "0.15 ms"
    yield "sent twice; missing (one process)", f"{one.doubles}; {one.missing}", "0; 0", "0; 0"
    memory = f"{one.memory_mib[0]}, {max(one.memory_mib)}, {one.memory_mib[-1]}"
    yield "memory at first, at most, in the end (MiB)", memory, "120", ""


def _each(run: Run) -> float:
    """Milliseconds."""
    return run.cpu_seconds / run.count * 1000


# Ours


def flood(count: int, mails: sink.Sink, *, processes: int) -> Run:
    from django.utils import timezone

    reminded.forget()
    with notifiers(processes) as started:
        at = timezone.now() + START + timedelta(seconds=count / 10_000)
        reminded.make_reminders(count, at=at)
        run = Run(count)
        with _processor_time(started, run):
            _wait_for(at)
            began = time.monotonic()
            _until_all_are_sent(count, mails, run, started)
            run.seconds = time.monotonic() - began
    run.mails = mails.take()
    return run


@contextlib.contextmanager
def notifiers(count: int) -> Iterator[list[subprocess.Popen]]:
    command = [sys.executable, "manage.py", "notifier"]
    started = [subprocess.Popen(command, cwd=ground.ROOT) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(60)


def _wait_for(at: Any) -> None:
    from django.utils import timezone

    left = (at - timezone.now()).total_seconds()
    if left < 0:
        sys.exit("The rows took longer to make than they were given.")
    time.sleep(left)


def _until_all_are_sent(count: int, mails: sink.Sink, run: Run, started: list[subprocess.Popen]) -> None:
    """And recorded: nothing of this way is due or being sent any more."""
    from apps.notifications.models import Delivery

    until = time.monotonic() + PATIENCE_SECONDS
    is_open = Delivery.objects.filter(
        way="email", state__in=("due", "sending"), cause__startswith="reminder:"
    )
    while mails.count() < count or is_open.exists():
        if time.monotonic() > until:
            sys.exit(f"{mails.count()} of {count} were sent within {PATIENCE_SECONDS:.0f} s.")
        run.memory_mib.append(ground.resident_kib(started[0].pid) // 1024)
        time.sleep(0.1)


@contextlib.contextmanager
def _processor_time(processes: list[subprocess.Popen], run: Run) -> Iterator[None]:
    pids = [pid for process in processes for pid in (process.pid, *_children(process.pid))]
    before = sum(map(ground.cpu_seconds, pids))
    yield
    run.cpu_seconds = sum(map(ground.cpu_seconds, pids)) - before


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in found.split()]


def advancing(count: int) -> Iterator[Row]:
    """All of them are daily: after they were due each gets its next occurrence, with a delivery."""
    from django.utils import timezone

    from apps.notifications.models import Delivery
    from apps.notifications.services import reminders

    reminded.tidy()
    began, cpu = time.monotonic(), time.process_time()
    done = reminders.advance_all(now=timezone.now())
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    made = Delivery.objects.filter(way="email", state="due").count()
    yield (
        f"recurring ones carried on: {done:,} ({made:,} deliveries), per second",
        f"{done / seconds:,.0f}",
        "",
        "",
    )
    yield "recurring ones carried on, processor time each", f"{cpu / max(done, 1) * 1000:.3f} ms", "", ""


# Theirs


def celery(count: int, mails: sink.Sink) -> Run:
    """Published beforehand, which is not measured."""
    from django.utils import timezone

    from apps.notifications.models import Delivery

    from . import celery_eta

    reminded.forget()
    reminded.make_reminders(count, at=timezone.now())
    ids = list(Delivery.objects.values_list("pk", flat=True))
    with celery_worker() as worker:
        # A thousand a second is what publishing takes when it is slow.
        at = timezone.now() + START + timedelta(seconds=count / 1000)
        with celery_eta.app.producer_pool.acquire(block=True) as producer:
            for pk in ids:
                celery_eta.remind.apply_async((pk,), eta=at, producer=producer)
        run = Run(count)
        with _processor_time([worker], run):
            _wait_for(at)
            began = time.monotonic()
            _until_all_are_sent(count, mails, run, [worker])
            run.seconds = time.monotonic() - began
    run.mails = mails.take()
    return run


@contextlib.contextmanager
def celery_worker() -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "celery", "-A", "tests.bench.celery_eta", "worker"]
    options = ["--concurrency", str(CELERY_PROCESSES), "--loglevel", "ERROR"]
    process = subprocess.Popen([*command, *options], cwd=ground.ROOT, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


# A campaign


def campaign(count: int, mails: sink.Sink) -> Iterator[Row]:
    """To everybody, at the fastest pace there is: listed, released every two seconds as the worker does, sent."""
    from django.utils import timezone

    from apps.notifications.services import feeding

    reminded.forget()
    row = reminded.make_campaign()
    with notifiers(1) as started:
        time.sleep(START.total_seconds())
        reminded.start_campaign(row)
        run, feed = Run(count), 0.0
        with _processor_time(started, run):
            began = time.monotonic()
            while not reminded.is_over(row):
                before, ends = time.process_time(), time.monotonic() + TICK_SECONDS
                feeding.work_off(clock=timezone.now)
                feed += time.process_time() - before
                time.sleep(max(ends - time.monotonic(), 0))
            run.seconds = time.monotonic() - began
    run.mails = mails.take()
    name = f"campaign of {count:,}, {row.per_minute:,} a minute"
    yield f"{name}: listed, released and sent within", f"{run.seconds:.0f} s", "", ""
    yield f"{name}: sent twice; missing", f"{run.doubles}; {run.missing}", "0; 0", "0; 0"
    yield f"{name}: listing and releasing, each", f"{feed / count * 1000:.3f} ms", "", ""
    yield f"{name}: sending, each", f"{_each(run):.3f} ms", "", ""


# Lateness and claiming


def lateness(mails: sink.Sink) -> Iterator[Row]:
    from django.utils import timezone

    from apps.notifications.models import Delivery

    count = LATENESS_RATE * LATENESS_SECONDS
    reminded.forget()
    with notifiers(1) as started:
        at = timezone.now() + START
        reminded.make_reminders(count, at=at, step=1000 / LATENESS_RATE)
        due = {f"eml-{pk}": at.timestamp() for pk, at in Delivery.objects.values_list("pk", "due_at")}
        _wait_for(at)
        _until_all_are_sent(count, mails, Run(count), started)
    late = [(arrived - due[key]) * 1000 for key, arrived in mails.take()]
    name = f"lateness at {LATENESS_RATE}/s"
    yield f"{name}: p50", f"{ground.percentile(late, 0.5):.0f} ms", "50 ms", "15 ms"
    yield f"{name}: p99", f"{ground.percentile(late, 0.99):.0f} ms", "250 ms", "60 ms"
    yield f"{name}: earlier than due", f"{sum(one < 0 for one in late)}", "0", "0"


def claiming(future: int) -> Iterator[Row]:
    without = _claim_ms()
    yield f"claiming {CLAIMED}, nothing waits for later", f"{without:.2f} ms", "", ""
    reminded.make_future(future)
    full = _claim_ms()
    yield f"claiming {CLAIMED}, {future:,} wait for later", f"{full:.2f} ms", "", ""
    yield "claiming with them ÷ without", f"{full / without:.2f}", "1.3", "1.1"


def _claim_ms() -> float:
    """Median of many, each of fresh rows; nothing of it is sent."""
    from django.utils import timezone

    from apps.notifications.services import claiming

    reminded.forget_due()
    reminded.make_reminders(CLAIMS * CLAIMED, at=timezone.now())
    times = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        batch = claiming.claim("email", most=CLAIMED, now=timezone.now())
        times.append((time.perf_counter() - began) * 1000)
        if batch is None or len(batch.rows) != CLAIMED:
            sys.exit("Not as many were claimed as were due.")
    return statistics.median(times)


if __name__ == "__main__":
    main()
