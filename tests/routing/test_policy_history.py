"""What changed between two policies, in sentences."""

from __future__ import annotations

import pytest

from apps.routing.policy_drafts import LevelDraft, PolicyDraft, StepDraft, person
from apps.routing.policy_history import changes, snapshot, step_in_words

pytestmark = pytest.mark.embedded

LABELS = {"offer_seconds": "ringing time"}
ANA = person(7)
PEOPLE = {ANA[0]: "Ana Silva"}


def kept(*steps, levels=(), **settings):
    return snapshot(PolicyDraft(tuple(steps), tuple(levels), settings), people=PEOPLE)


def test_nothing_is_said_of_the_same_or_of_an_unknown_past():
    policy = kept(StepDraft(0, (("de", 1),)), levels=[LevelDraft("vip", 90)], offer_seconds=20)
    assert changes(policy, policy, labels=LABELS) == []
    assert changes(None, policy, labels=LABELS) == []


def test_settings_are_told_by_their_labels():
    before, after = kept(offer_seconds=20, is_active=True), kept(offer_seconds=30, is_active=False)
    assert changes(before, after, labels=LABELS) == ["ringing time: 20 → 30", "is_active: yes → no"]


def test_setting_that_did_not_exist_then_was_changed_by_nobody():
    assert changes(kept(), kept(offer_seconds=20), labels=LABELS) == []


def test_steps_are_told_by_when_they_begin():
    before = kept(StepDraft(0, (("de", 3),)), StepDraft(20, (("de", 1),)))
    after = kept(StepDraft(0, (("de", 3), ANA)), StepDraft(30, (), if_nobody=True))
    assert changes(before, after, labels={}) == [
        "Step after 0 s: de 3 → de 3, Ana Silva",
        "Step after 20 s is gone: de 1",
        "Step after 30 s is new: the whole team (at once if nobody)",
    ]


def test_levels_are_told_by_name():
    before = kept(levels=[LevelDraft("vip", 60), LevelDraft("old", 5)])
    after = kept(levels=[LevelDraft("vip", 90), LevelDraft("gold", 30)])
    assert changes(before, after, labels={}) == [
        "Priority level “gold” is new: 30 s",
        "Priority level “old” is gone: 5 s",
        "Priority level “vip”: 60 → 90 s",
    ]


def test_person_is_asked_for_by_name_without_a_level():
    assert step_in_words(kept(StepDraft(0, (ANA,)))["steps"][0]) == "Ana Silva"


def test_what_json_cannot_hold_is_kept_as_its_words():
    class Team:
        def __str__(self):
            return "Cards"

    assert kept(team=Team())["settings"] == {"team": "Cards"}
