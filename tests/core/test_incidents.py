"""Errors in the database: grouped, counted, without personal data; critical ones are incidents, one at a time."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest
import structlog
from django.db import OperationalError
from django.utils import timezone

from apps.core import incidents
from apps.core.error_log import Recorder
from apps.core.events import SYSTEM
from apps.core.models import ErrorGroup, Event

pytestmark = pytest.mark.django_db
# Before conftest puts its own in its place.
ENSURE_THREAD, Thread = Recorder._ensure_thread, threading.Thread


@pytest.fixture
def recorder() -> Recorder:
    """One whose thread never runs (see conftest): tests write down themselves."""
    return Recorder()


@pytest.fixture
def log(recorder: Recorder):
    logger = logging.getLogger("tests.incidents")
    logger.addHandler(recorder)
    yield logger
    logger.removeHandler(recorder)


def fail(log: logging.Logger, text: str, *, level: str = "error") -> None:
    try:
        raise ValueError(text)
    except ValueError:
        getattr(log, level)("could not reach %s", text, exc_info=True)


def test_errors_of_one_place_are_one_row_with_a_count(log, recorder) -> None:
    for name in ("ada@example.com", "bob@example.com", "+49 30 1234567"):
        fail(log, name)
    recorder.write()
    group = ErrorGroup.objects.get()
    assert (group.count, group.title) == (3, "builtins.ValueError")
    assert group.place.startswith("tests/core/test_incidents.py:")
    assert group.first_seen_at <= group.last_seen_at


def test_nothing_of_a_person_is_kept(log, recorder) -> None:
    fail(log, "ada@example.com")
    log.error("no answer for %s", "Ada Lovelace")
    recorder.write()
    kept = str(list(ErrorGroup.objects.values()))
    assert "ada@" not in kept
    assert "Lovelace" not in kept
    assert "no answer for %s" in kept


def test_the_request_is_named(log, recorder) -> None:
    with structlog.contextvars.bound_contextvars(request_id="abc123"):
        log.error("broken")
    recorder.write()
    assert ErrorGroup.objects.get().request_id == "abc123"


def test_lines_below_an_error_are_not_kept(log, recorder) -> None:
    log.warning("slow")
    recorder.write()
    assert not ErrorGroup.objects.exists()


def test_what_the_database_refuses_is_kept_later(log, recorder, monkeypatch) -> None:
    keep = incidents.keep
    log.error("one")
    log.error("two")

    def refuse(_found) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(incidents, "keep", refuse)
    assert not recorder.write()
    monkeypatch.setattr(incidents, "keep", keep)
    log.error("one")
    assert recorder.write()
    assert dict(ErrorGroup.objects.values_list("title", "count")) == {"one": 2, "two": 1}


def test_an_error_that_comes_while_one_is_taken_down_stops_nobody(log, recorder, monkeypatch) -> None:
    """As Python does that collects garbage: it complains of a lost task, in whatever code it is."""
    find, depth = incidents.seen, []

    def complain(*args, **kwargs):
        if len(depth) < 2:
            depth.append(None)
            log.error("Task was destroyed but it is pending!")
        return find(*args, **kwargs)

    monkeypatch.setattr(incidents, "seen", complain)
    log.error("one")
    assert recorder.write()
    counts = dict(ErrorGroup.objects.values_list("title", "count"))
    assert counts == {"one": 1, "Task was destroyed but it is pending!": 2}


def test_a_line_that_no_database_takes_holds_up_nobody(recorder) -> None:
    # Not logged: pytest's report of it could not be told to the process that collects them.
    for text in ("not \0 a \ud800 character", "two"):
        recorder.handle(logging.LogRecord("x", logging.ERROR, "x.py", 1, text, (), None))
    assert recorder.write()
    assert set(ErrorGroup.objects.values_list("title", flat=True)) == {"not  a ? character", "two"}


class LoudThread(Thread):
    """Its making is interrupted by an error, and it never runs."""

    def __init__(self, **_kwargs) -> None:
        logging.getLogger("tests.incidents").error("Task was destroyed but it is pending!")
        super().__init__(daemon=True)


def test_not_even_while_the_thread_is_made_that_writes(log, recorder, monkeypatch) -> None:
    monkeypatch.setattr(Recorder, "_ensure_thread", ENSURE_THREAD)
    monkeypatch.setattr("apps.core.error_log.threading.Thread", LoudThread)
    logging_one = Thread(target=log.error, args=("one",), daemon=True)
    logging_one.start()
    logging_one.join(10)
    assert not logging_one.is_alive(), "it waits for itself"
    assert recorder.write()
    assert ErrorGroup.objects.count() == 2


def test_structlog_errors_are_kept_with_their_exception(recorder) -> None:
    record = logging.LogRecord("apps.core.api.errors", logging.ERROR, "x.py", 1, {}, (), None)
    try:
        raise KeyError("secret")
    except KeyError as error:
        record.msg = {"event": "request failed", "exc_info": error}
    recorder.handle(record)
    recorder.write()
    group = ErrorGroup.objects.get()
    assert group.title == "builtins.KeyError"
    assert group.alarmed_at is not None, "an unhandled exception of a request is critical"


def test_an_incident_is_told_once_until_it_is_acknowledged(log, recorder) -> None:
    for _ in range(3):
        log.critical("the router stands still")
        recorder.write()
    assert Event.objects.filter(type="core.incident.opened").count() == 1
    group = ErrorGroup.objects.alarming().get()
    assert incidents.acknowledge(group, by=SYSTEM, now=timezone.now())
    assert not incidents.acknowledge(group, by=SYSTEM, now=timezone.now())
    assert not ErrorGroup.objects.alarming().exists()
    log.critical("the router stands still")
    recorder.write()
    assert Event.objects.filter(type="core.incident.opened").count() == 2


def test_a_plain_error_is_no_incident(log, recorder) -> None:
    log.error("a page failed")
    recorder.write()
    assert not ErrorGroup.objects.alarming().exists()


def test_one_handled_later_keeps_the_first_time(log) -> None:
    now = timezone.now()
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "gone", (), None)
    for minutes in (0, 5):
        incidents.keep(incidents.seen(record, at=now + timedelta(minutes=minutes), request_id=""))
    group = ErrorGroup.objects.get()
    assert group.last_seen_at - group.first_seen_at == timedelta(minutes=5)
