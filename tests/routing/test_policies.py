from __future__ import annotations

import re

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.routing import errors, policy_drafts, selectors
from apps.routing.models import Agent, InboxRoute, Item, Offer, PolicyVersion, Queue
from apps.routing.policy_drafts import LevelDraft, PolicyDraft, StepDraft, person, read_needs, write_needs
from apps.routing.services import policies, router
from apps.users.choices import Role
from tests.factories import (
    hand_to,
    make_agent,
    make_customer,
    make_inbox,
    make_queue,
    make_skill,
    make_team,
    make_user,
    put_in_line,
)


def draft(*steps, levels=(), **settings):
    return PolicyDraft(tuple(steps), tuple(levels), settings)


SKILLS = ("cards", "de")


# In words


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            draft(StepDraft(5)),
            "The first step must begin after 0 seconds, or nobody could take what just arrived.",
        ),
        (
            draft(StepDraft(0), StepDraft(0)),
            "There are two steps after 0 s. Make one of them, or let one begin later.",
        ),
        (draft(StepDraft(0, (("nope", 1),))), "Step after 0 s: there is no skill called “nope”."),
        (draft(StepDraft(0, (("de", 1), ("de", 2)))), "Step after 0 s: “de” is asked for twice."),
        (draft(StepDraft(0, (("de", 6),))), "Step after 0 s: the level of “de” must be 1 to 5."),
        (draft(StepDraft(0, (("de", 0),))), "Step after 0 s: the level of “de” must be 1 to 5."),
        (draft(StepDraft(0), StepDraft(90_000)), "A step must begin within a day (86400 seconds)."),
        (draft(*(StepDraft(n) for n in range(21))), "A queue has 20 steps at most."),
        (
            draft(levels=[LevelDraft(f"l{n}", n) for n in range(17)]),
            "A queue has 16 priority levels at most.",
        ),
        (
            draft(levels=[LevelDraft("vip", 1), LevelDraft("vip", 2)]),
            "There are two priority levels called “vip”.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(wrong, sentence):
    assert policy_drafts.problems(wrong, skills=SKILLS) == [sentence]


def test_everything_wrong_is_said_at_once():
    wrong = draft(StepDraft(5, (("nope", 9),)), levels=[LevelDraft("a", 1), LevelDraft("a", 1)])
    assert len(policy_drafts.problems(wrong, skills=SKILLS)) == 4


def test_nothing_is_wrong_with_no_steps_or_good_ones():
    assert policy_drafts.problems(draft(), skills=SKILLS) == []
    good = draft(StepDraft(0, (("de", 5), ("cards", 1))), StepDraft(20, (("de", 1),)))
    assert policy_drafts.problems(good, skills=SKILLS) == []


def test_hints_name_steps_that_add_nobody():
    useless = draft(StepDraft(0, (("de", 1),)), StepDraft(20, (("cards", 1), ("de", 3))), StepDraft(30))
    assert policy_drafts.hints(useless) == [
        "The step after 20 s adds nobody: whoever satisfies it may take it since 0 s.",
    ]


def test_hints_for_a_first_step_if_nobody_and_equal_levels():
    odd = draft(StepDraft(0, if_nobody=True), levels=[LevelDraft("a", 9), LevelDraft("b", 9)])
    assert policy_drafts.hints(odd) == [
        "“At once if nobody” means nothing for the first step: it is open from the start.",
        "The priority levels “a” and “b” give the same head start.",
    ]


def test_no_hints_for_steps_that_ask_for_less_and_less():
    assert policy_drafts.hints(draft(StepDraft(0, (("de", 3),)), StepDraft(20, (("de", 1),)))) == []


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("", ()),
        ("cards 3, de 2", (("cards", 3), ("de", 2))),
        (" cards>=3 ; de", (("cards", 3), ("de", 1))),
        ("cards: 3\nde ≥ 2,", (("cards", 3), ("de", 2))),
        ("first-line 1", (("first-line", 1),)),
        ("de2", (("de2", 1),)),
    ],
)
def test_needs_are_read_as_people_write_them(text, needs):
    assert read_needs(text) == needs
    assert read_needs(write_needs(needs)) == needs


@pytest.mark.parametrize(
    "text", ["cards three", "cards 3 2", "3 cards 3", "cards, <b>", "cards -1", "de 2 cards 3"]
)
def test_needs_that_are_not_understood_are_quoted(text):
    with pytest.raises(ValueError, match="is not understood"):
        read_needs(text)


# Saved


@pytest.fixture
def skills(db):
    return [make_skill(name) for name in SKILLS]


def test_saving_writes_everything_and_raises_the_version(skills):
    queue = make_queue([(0, {"de": 3})], levels={"vip": 60, "old": 5})
    wanted = draft(
        StepDraft(20, (("de", 1),), if_nobody=True),
        StepDraft(0, (("de", 2), ("cards", 1))),
        levels=[LevelDraft("vip", 90), LevelDraft("now", 1_000_000)],
        w_fit=10,
    )
    saved = policies.save(queue, draft=wanted, by=SYSTEM)
    assert (saved.version, saved.w_fit) == (queue.version + 1, 10)
    found = policies.draft_of(saved)
    assert found.steps == (
        StepDraft(0, (("cards", 1), ("de", 2))),
        StepDraft(20, (("de", 1),), if_nobody=True),
    )
    assert found.levels == (LevelDraft("vip", 90), LevelDraft("now", 1_000_000))
    event = Event.objects.get(type="routing.policy.changed")
    assert event.payload == {"queue": queue.pk, "version": saved.version}
    assert saved.history.first().version == saved.version


def test_saving_the_same_again_is_no_new_version(skills):
    queue = make_queue([(0, {"de": 3, "cards": 1})], levels={"vip": 60})
    assert policies.save(queue, draft=policies.draft_of(queue), by=SYSTEM).version == queue.version
    assert not Event.objects.filter(type="routing.policy.changed").exists()


def test_settings_that_are_not_named_stay(skills):
    queue = make_queue(rate=3, name="Cards")
    saved = policies.save(queue, draft=draft(StepDraft(0), w_idle=0), by=SYSTEM)
    assert (saved.rate, saved.w_idle, saved.name) == (3, 0, "Cards")


def test_nothing_is_saved_of_a_policy_that_is_wrong(skills):
    queue = make_queue([(0, {"de": 3})])
    wrong = draft(StepDraft(5, (("nope", 1),)), w_fit=10)
    with pytest.raises(errors.PolicyInvalid) as caught:
        policies.save(queue, draft=wrong, by=SYSTEM)
    assert "The first step must begin" in str(caught.value)
    assert "no skill called “nope”" in str(caught.value)
    queue.refresh_from_db()
    assert (queue.version, queue.w_fit, queue.steps.count()) == (1, 0, 1)


def test_settings_out_of_range_are_named(skills):
    queue = make_queue()
    with pytest.raises(errors.PolicyInvalid) as caught:
        policies.save(queue, draft=draft(rate=0), by=SYSTEM)
    assert list(caught.value.fields) == ["rate"]
    queue.refresh_from_db()
    assert (queue.version, queue.rate) == (1, 1)


def test_new_queue_begins_with_version_one(skills):
    team = make_team()
    queue = policies.create(draft=draft(StepDraft(0), name="New", slug="new", team=team), by=SYSTEM)
    assert (queue.version, queue.team, queue.steps.count()) == (1, team, 1)
    assert Queue.objects.get() == queue


@pytest.mark.parametrize("rate", [2, 7, 1])
def test_new_rate_keeps_the_keys_of_the_line_exact(skills, rate):
    queue = make_queue(rate=3, levels={"vip": 90})
    items = [
        put_in_line(queue, waited=seconds, credit=credit) for seconds, credit in ((60, 0), (10, 90), (5, 0))
    ]
    policies.save(queue, draft=draft(rate=rate), by=SYSTEM)
    for item in items:
        stored = Item.objects.get(pk=item.pk)
        assert stored.line_key == rate * int(item.at.timestamp()) - item.credit
    places = [selectors.position(Item.objects.get(pk=item.pk)) for item in items]
    ahead = items[1] if rate * 50 < 90 else items[0]
    assert places[items.index(ahead)] == 1


def test_queue_with_inboxes_cannot_be_switched_off(skills):
    queue = make_queue()
    inbox = make_inbox(queue=queue, name="Web")
    with pytest.raises(errors.PolicyInvalid, match="Send them elsewhere first") as caught:
        policies.save(queue, draft=draft(is_active=False), by=SYSTEM)
    assert str(caught.value) == "Inboxes lead here: Web. Send them elsewhere first."
    InboxRoute.objects.filter(inbox=inbox).delete()
    assert not policies.save(queue, draft=draft(is_active=False), by=SYSTEM).is_active


def test_what_waits_goes_with_its_queue_to_another_team(skills):
    queue, team = make_queue(), make_team()
    item = put_in_line(queue)
    policies.save(queue, draft=draft(team=team), by=SYSTEM)
    item.conversation.refresh_from_db()
    assert item.conversation.team == team
    assert timezone.now() > item.at


# Versions


def test_each_version_is_kept_with_its_author(skills):
    team = make_team()
    boss = make_user(Role.SUPERVISOR, [team])
    queue = policies.create(draft=draft(StepDraft(0), name="New", slug="new", team=team), by=SYSTEM)
    policies.save(queue, draft=draft(StepDraft(0, (("de", 2),)), w_fit=5), by=boss)
    first, second = queue.versions.order_by("number")
    assert [(row.number, row.by) for row in (first, second)] == [(1, None), (2, boss)]
    assert (first.policy["steps"], first.policy["settings"]["team"]) == (
        [{"after": 0, "needs": [], "if_nobody": False}],
        str(team),
    )
    assert second.policy["steps"][0]["needs"] == [["de", 2]]
    (shown, _) = selectors.versions_of(queue)
    assert shown.policy_before == first.policy


def test_nothing_is_kept_of_what_was_not_saved(skills):
    queue = make_queue()
    with pytest.raises(errors.PolicyInvalid):
        policies.save(queue, draft=draft(StepDraft(5)), by=SYSTEM)
    assert not PolicyVersion.objects.exists()


# People


def test_step_may_ask_for_one_person(skills):
    queue = make_queue()
    ana, ben = make_agent(queue.team), make_agent(queue.team)
    wanted = draft(StepDraft(0, (person(ana.pk),)), StepDraft(30))
    saved = policies.save(queue, draft=wanted, by=SYSTEM)
    assert policies.draft_of(saved).steps == wanted.steps
    assert saved.versions.get().policy["steps"][0]["needs"] == [[str(ana), None]]
    item = put_in_line(queue)
    router.run(now=timezone.now())
    assert Offer.objects.get(item=item).agent == ana
    busy = put_in_line(queue, waited=20)
    Agent.objects.filter(pk=ana.pk).update(capacity=4)
    router.run(now=timezone.now())
    assert not Offer.objects.filter(item=busy, agent=ben).exists()


def test_whoever_is_switched_off_or_of_another_team_is_not_asked_for(skills):
    queue = make_queue()
    gone, stranger = make_agent(queue.team), make_agent(make_team())
    gone.user.is_active = False
    gone.user.save()
    for agent, sentence in (
        (gone, "whom it is kept for takes no work any more"),
        (stranger, f"{stranger} is not in the team {queue.team}"),
    ):
        with pytest.raises(errors.PolicyInvalid, match=re.escape(sentence)):
            policies.save(queue, draft=draft(StepDraft(0, (person(agent.pk),))), by=SYSTEM)


@pytest.mark.parametrize("named", ["own", "nobody", "no address"])
def test_customer_has_an_agent_of_his_own(skills, named):
    queue = make_queue(w_last=500)
    last, own = make_agent(queue.team), make_agent(queue.team)
    customer = make_customer([queue.team])
    hand_to(put_in_line(queue, customer=customer), last)
    names = {"own": own.user.email.upper(), "nobody": "nobody@example.com", "no address": 7}
    customer.attributes = {"preferred_agent": names[named]}
    customer.save()
    assert put_in_line(queue, customer=customer).last_agent == (own if named == "own" else last)
