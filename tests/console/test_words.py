"""The pure parts of the desk: why you, the timeline, the thread, small filters."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.console import thread, timeline, why
from apps.console.templatetags import desk as filters
from apps.core import events

pytestmark = pytest.mark.embedded

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def term(name: str, raw: int, weight: int = 1) -> list[Any]:
    return [name, raw, weight, raw * weight]


@pytest.mark.parametrize(
    ("terms", "others", "sentence"),
    [
        ([], [], "Nobody else is signed in for it."),
        ([], [[2, None, "busy: 12 of 12 units"]], "You are the only one free for it."),
        ([term("idle", 90)], [[2, 40, ""]], "Nothing new has rung here for 1 min."),
        ([term("waited", 500), term("credit", 90)], [[2, 40, ""]], "You come first among equals."),
        (
            [term("idle", 20), term("fit", 3, 10), term("last agent", 1, 60)],
            [[2, 40, ""]],
            "The customer knows you, your skills are 3 levels above what is asked and nothing new has rung here "
            "for 20 s.",
        ),
        (
            [term("fit", 1, 10)],
            [],
            "Nobody else is signed in for it. Your skills are 1 level above what is asked.",
        ),
        # A negative weight keeps experts free: then fit does not speak for him.
        ([term("fit", 3, -10), term("idle", 4000)], [[2, 4, ""]], "Nothing new has rung here for 1 h 6 min."),
    ],
)
def test_why_you_in_a_sentence(terms, others, sentence) -> None:
    assert why.sentence(terms, others) == sentence


def test_every_recorded_fact_of_a_conversation_has_words_or_is_left_out_on_purpose() -> None:
    import apps.messaging.events
    import apps.routing.events

    silent = {
        "messaging.message.sent",
        "messaging.answer.given",
        "messaging.attachment.stored",
        "routing.item.back",
        "routing.offer.accepted",
    }
    facts = {
        fact.type
        for module in (apps.messaging.events, apps.routing.events)
        for fact in vars(module).values()
        if isinstance(fact, type) and issubclass(fact, events.Fact) and fact is not events.Fact
        if "conversation" in {field.name for field in dataclasses.fields(fact)}
    }
    assert facts - silent == set(timeline.WORDS)


def test_every_line_survives_names_that_are_gone() -> None:
    nobody = timeline.Names({}, {}, {}, {})
    payload = {
        "conversation": 1,
        "agent": 7,
        "reason": "transfer",
        "disposition": None,
        "rating": 5,
        "queue": 1,
        "from_queue": 1,
        "to_queue": 2,
        "way": "call",
        "tries": 1,
        "is_last": True,
    }
    told = [SimpleNamespace(type=name, payload=payload, actor="system", at=AT) for name in timeline.WORDS]
    assert len(timeline.lines(told, nobody)) == len(timeline.WORDS)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ended_by_customer", "The customer ended it"),
        ("abandoned", "The customer left before an answer"),
        ("inactive", "Closed after a long silence"),
        ("resolved", "Ana closed it: Solved"),
    ],
)
def test_how_it_was_closed(reason, words) -> None:
    names = timeline.Names({1: "Ana"}, {}, {}, {3: "Solved"})
    payload = {"reason": reason, "disposition": 3 if reason == "resolved" else None, "agent": 1}
    closed = SimpleNamespace(type="messaging.conversation.closed", payload=payload, actor="user:1", at=AT)
    assert [line.text for line in timeline.lines([closed], names)] == [words]


def message(minutes: float, *, user: int | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        sender="agent" if user else "customer", user_id=user, at=AT + timedelta(minutes=minutes)
    )


def test_neighbours_of_one_speaker_are_grouped() -> None:
    shown = thread.arrange(
        [message(0), message(1), message(9), message(9.5, user=1)], [], zone=ZoneInfo("UTC")
    )
    assert [entry.is_first for entry in shown] == [True, False, True, True]
    assert [entry.day is not None for entry in shown] == [True, False, False, False]


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.sampled_from([None, 1, 2])), max_size=12),
    st.integers(0, 12),
    st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
)
def test_a_thread_that_grows_looks_like_one_loaded_at_once(said, cut, zone) -> None:
    rows = [message(minutes, user=user) for minutes, user in sorted(said, key=lambda pair: pair[0])]
    cut = min(cut, len(rows))
    here = ZoneInfo(zone)
    before = thread.arrange(rows[:cut], [], zone=here)
    after = thread.arrange(rows[cut:], [], zone=here, previous=rows[cut - 1] if cut else None)
    assert before + after == thread.arrange(rows, [], zone=here)


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Maria Keller", "MK"), ("ana", "a"), ("Jean de la Tour", "JT"), ("", "?"), ("@@", "?")],
)
def test_initials(name, letters) -> None:
    assert filters.initials(name) == letters


@given(st.text(max_size=200))
def test_what_is_said_is_never_markup(text) -> None:
    shown = filters.said(text)
    without_links = re.sub(r"</?a\b[^<>]*>", "", shown)
    assert "<" not in without_links
    assert shown.count("<a ") == shown.count('rel="nofollow noopener noreferrer" target="_blank"')


def test_links_open_elsewhere_and_tell_nothing() -> None:
    shown = filters.said('see https://example.com/?a=1&b="2"')
    assert 'href="https://example.com/?a=1&amp;b=' in shown
    assert 'rel="nofollow noopener noreferrer" target="_blank"' in shown
    assert "<a" not in filters.said("javascript:alert(1)")


@pytest.mark.parametrize(("code", "name"), [("de", "German"), ("en-GB", "English"), ("xx", "xx"), ("", "")])
def test_language_names(code, name) -> None:
    assert filters.language_name(code) == name
