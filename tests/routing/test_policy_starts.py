"""Every ready-made policy can be saved as it is, with however few skills there are."""

from __future__ import annotations

import pytest

from apps.routing import policy_drafts, policy_starts
from apps.routing.policy_drafts import PolicyDraft, StepDraft, person
from apps.routing.policy_starts import Crew

pytestmark = pytest.mark.embedded

CREWS = [Crew(), Crew(["cards"]), Crew(["cards", "de"], 7)]


@pytest.mark.parametrize("crew", CREWS, ids=["nothing", "one skill", "two and a person"])
@pytest.mark.parametrize("start", policy_starts.STARTS, ids=lambda start: start.key)
def test_ready_made_policy_has_nothing_wrong(start, crew):
    draft = start.draft(crew)
    assert policy_drafts.problems(draft, skills={"cards", "de", person(7)[0]}) == []


@pytest.mark.parametrize("start", policy_starts.STARTS, ids=lambda start: start.key)
def test_ready_made_policy_means_what_it_says(start):
    assert policy_drafts.hints(start.draft(CREWS[-1])) == []


def test_preferred_agent_is_asked_for_first():
    draft = policy_starts.find("preferred-agent").draft(Crew(["cards"], 7))
    assert draft.steps == (StepDraft(0, (("agent:7", 1),)), StepDraft(30, (("cards", 1),), if_nobody=True))


def test_keys_are_unique_and_found():
    keys = [start.key for start in policy_starts.STARTS]
    assert len(set(keys)) == len(keys) == 7
    assert policy_starts.find("nope") is None
    assert policy_starts.find("vip").draft(Crew()) == PolicyDraft(
        (StepDraft(0),), (policy_drafts.LevelDraft("vip", 90),), {"rate": 2}
    )
