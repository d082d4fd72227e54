"""Queues in the admin: policies are saved whole, each as a version, and what is wrong with one is said."""

from __future__ import annotations

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.routing import policy_starts, selectors
from apps.routing.models import InboxRoute, PolicyVersion, Queue
from apps.routing.policy_drafts import LevelDraft, PolicyDraft, StepDraft
from apps.routing.services import policies, router
from tests.factories import make_agent, make_inbox, make_queue, make_skill, make_team, put_in_line
from tests.routing.admin.pages import (
    CONVERSATIONS,
    DECISIONS,
    QUEUES,
    VERSIONS,
    change,
    errors_of,
    form_of,
    page,
    rows,
    told,
)

pytestmark = pytest.mark.django_db


def test_pages_of_a_queue_show_its_policy_and_its_line(queue, as_boss):
    put_in_line(queue)
    assert queue.name in page(as_boss, QUEUES)
    text = page(as_boss, f"{QUEUES}{queue.pk}/change/")
    assert "cards 3" in text
    assert "vip" in text
    assert page(as_boss, f"{QUEUES}add/")
    assert page(as_boss, f"{QUEUES}{queue.pk}/history/")


def test_policy_is_saved_as_a_whole_and_is_one_new_version(queue, as_boss, boss):
    make_skill("de")
    (first, second), level = queue.steps.all(), queue.levels.get()
    steps = [
        {"id": first.pk, "queue": queue.pk, "after": 0, "needs": "cards 4, de 2"},
        {"id": second.pk, "queue": queue.pk, "after": 20, "needs": "cards 1", "DELETE": "on"},
        {"id": "", "queue": queue.pk, "after": 45, "needs": "de", "if_nobody": "on"},
    ]
    levels = [
        {"id": level.pk, "queue": queue.pk, "name": "vip", "credit": 120},
        {"id": "", "queue": queue.pk, "name": "gold", "credit": 30},
    ]
    answer = change(as_boss, queue, steps=steps, levels=levels, w_fit=10)
    assert answer.redirect_chain, errors_of(answer)
    saved = Queue.objects.get()
    found = policies.draft_of(saved)
    assert found.steps == (
        StepDraft(0, (("cards", 4), ("de", 2))),
        StepDraft(45, (("de", 1),), if_nobody=True),
    )
    assert found.levels == (LevelDraft("gold", 30), LevelDraft("vip", 120))
    assert (saved.version, saved.w_fit) == (queue.version + 1, 10)
    assert saved.history.first().history_user == boss
    event = Event.objects.get(type="routing.policy.changed")
    assert (event.actor, event.stream) == (boss.actor_ref, f"queue:{queue.pk}")


def test_saving_without_a_change_is_no_new_version(queue, as_boss):
    assert change(as_boss, queue).redirect_chain
    assert Queue.objects.get().version == queue.version
    assert policies.draft_of(Queue.objects.get()) == policies.draft_of(queue)


@pytest.mark.parametrize(
    ("needs", "after", "sentence"),
    [
        ("cards three", 0, "is not understood. Write skills like: cards 3, de 2."),
        ("nope 2", 0, "there is no skill called “nope”."),
        ("cards 9", 0, "must be 1 to 5."),
        ("cards 1", 5, "The first step must begin after 0 seconds"),
    ],
)
def test_what_is_wrong_with_a_policy_is_said_and_nothing_is_saved(queue, as_boss, needs, after, sentence):
    steps = [
        {"id": step.pk, "queue": queue.pk, "after": step.after, "needs": "cards 1", "DELETE": "on"}
        for step in queue.steps.all()
    ]
    answer = change(
        as_boss, queue, steps=[*steps, {"id": "", "queue": queue.pk, "after": after, "needs": needs}]
    )
    assert sentence in errors_of(answer)
    assert (Queue.objects.get().version, queue.steps.count()) == (queue.version, 2)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("offer_seconds", 4, "Ringing takes 5 to 300 seconds."),
        ("offer_seconds", -1, "Ringing takes 5 to 300 seconds."),
        ("rate", 0, "The rate is 1 to 100."),
        ("units", 101, "One contact takes 1 to 100 units."),
        ("w_fit", -99_999, "A weight is -10000 to 10000 seconds."),
        ("wrap_up_seconds", -1, "Wrap-up takes 0 to 3600 seconds."),
    ],
)
def test_numbers_out_of_range_are_refused_in_our_own_words(queue, as_boss, name, value, sentence):
    form = change(as_boss, queue, **{name: value}).context["adminform"].form
    assert form.errors == {name: [sentence]}


def test_steps_stand_with_the_weights(queue, as_boss):
    text = page(as_boss, f"{QUEUES}{queue.pk}/change/")
    heads = ("Who goes first", "Steps: who", "Priority levels:", "How it is offered", "Inboxes that lead")
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    assert text.count('name="steps-TOTAL_FORMS"') == text.count('name="routes-TOTAL_FORMS"') == 1


def test_useless_steps_are_hinted_at(queue, as_boss):
    stored = [
        {"id": step.pk, "queue": queue.pk, "after": step.after, "needs": "cards 1"}
        for step in queue.steps.all()
    ]
    answer = change(as_boss, queue, steps=stored)
    assert "The step after 20 s adds nobody: whoever satisfies it may take it since 0 s." in told(answer)


def test_older_version_on_the_screen_undoes_nobodys_change(queue, as_boss):
    answer = change(as_boss, queue, seen=queue.version - 1, w_fit=99)
    assert "Somebody changed this queue meanwhile. Load it again, then repeat your change." in errors_of(
        answer
    )
    assert Queue.objects.get().w_fit == 0


def test_new_queue_is_made_with_steps_and_the_inbox_that_leads_to_it(queue, as_boss):
    inbox = make_inbox(queue.team)
    fields = form_of(queue, name="New", slug="new", steps=[], levels=[]) | rows(
        "steps", [{"after": 0, "needs": "cards 2"}]
    )
    fields |= rows("levels", []) | rows("routes", [{"inbox": inbox.pk}])
    answer = as_boss.post(f"{QUEUES}add/", fields, follow=True)
    assert answer.redirect_chain, errors_of(answer)
    made = Queue.objects.get(slug="new")
    assert policies.draft_of(made).steps == (StepDraft(0, (("cards", 2),)),)
    assert (made.version, InboxRoute.objects.get().queue) == (1, made)


def test_queue_with_inboxes_is_switched_off_together_with_its_routes_only(queue, as_boss):
    inbox = make_inbox(queue=queue)
    route = {"id": queue.routes.get().pk, "queue": queue.pk, "inbox": inbox.pk}
    answer = change(as_boss, queue, is_active=None, routes=[route])
    assert f"Inboxes lead here: {inbox.name}. Send them elsewhere first." in errors_of(answer)
    assert change(as_boss, queue, is_active=None, routes=[route | {"DELETE": "on"}]).redirect_chain
    assert not Queue.objects.get().is_active


def test_queues_of_other_teams_are_not_there(queue, as_boss):
    foreign = make_queue()
    assert foreign.name not in page(as_boss, QUEUES)
    answer = as_boss.post(f"{QUEUES}{foreign.pk}/change/", form_of(foreign, w_fit=9))
    assert answer.status_code == 302
    assert Queue.objects.get(pk=foreign.pk).w_fit == 0


def test_queue_cannot_be_given_to_a_team_one_is_not_in(queue, as_boss):
    answer = change(as_boss, queue, team=make_team().pk)
    assert "Select a valid choice" in errors_of(answer)


def test_nobody_deletes_a_queue_or_reverts_it_without_its_steps(queue, as_admin):
    assert as_admin.get(f"{QUEUES}{queue.pk}/delete/").status_code == 403
    old = queue.history.first()
    text = page(as_admin, f"{QUEUES}{queue.pk}/history/{old.pk}/")
    assert 'name="_save"' not in text


@pytest.mark.parametrize("start", [start.key for start in policy_starts.STARTS])
def test_new_queue_begins_with_a_ready_made_policy(queue, as_boss, start):
    make_agent(queue.team, skills={"cards": 3, "de": 2})
    answer = as_boss.get(f"{QUEUES}add/?start={start}")
    forms = {formset.formset.prefix: formset.formset for formset in answer.context["inline_admin_formsets"]}
    fields = {"name": "New", "slug": "new", "team": queue.team_id, "is_active": "on"}
    shown = [answer.context["adminform"].form, *forms["steps"], *forms["levels"], *forms["routes"]]
    for form in (*shown, *(formset.management_form for formset in forms.values())):
        for bound in form:
            if bound.html_name not in fields and bound.value() is not None:
                fields[bound.html_name] = bound.value()
    saved = as_boss.post(f"{QUEUES}add/?start={start}", fields, follow=True)
    assert saved.redirect_chain, errors_of(saved)
    made = Queue.objects.get(slug="new")
    boss = saved.wsgi_request.user
    wanted = policy_starts.find(start).draft(selectors.crew_of(boss))
    found = policies.draft_of(made)
    assert [(step.after, set(step.needs), step.if_nobody) for step in found.steps] == [
        (step.after, set(step.needs), step.if_nobody) for step in wanted.steps
    ]
    assert found.levels == wanted.levels
    assert found.settings | wanted.settings == found.settings
    assert made.versions.get().by == boss


def test_unknown_start_is_an_empty_page(queue, as_boss):
    assert "Start from a ready-made policy" in page(as_boss, f"{QUEUES}add/?start=nope")


def test_step_is_kept_for_a_person_chosen_by_name(queue, as_boss):
    ana = make_agent(queue.team)
    first = queue.steps.first()
    kept = {"id": first.pk, "queue": queue.pk, "after": 0, "needs": "cards 3", "kept_for": ana.pk}
    second = {"id": queue.steps.last().pk, "queue": queue.pk, "after": 20, "needs": "cards 1"}
    assert change(as_boss, queue, steps=[kept, second]).redirect_chain
    assert policies.draft_of(Queue.objects.get()).steps[0].needs == ((f"agent:{ana.pk}", 1), ("cards", 3))
    answer = as_boss.get(f"{QUEUES}{queue.pk}/change/")
    (steps, *_) = answer.context["inline_admin_formsets"]
    assert steps.formset.forms[0]["kept_for"].value() == ana.pk
    ana.user.is_active = False
    ana.user.save()
    answer = as_boss.get(f"{QUEUES}{queue.pk}/change/")
    assert (ana.pk, str(ana)) in answer.context["inline_admin_formsets"][0].formset.forms[0][
        "kept_for"
    ].field.choices
    queue.refresh_from_db()
    assert "takes no work any more" in errors_of(
        change(
            as_boss,
            queue,
            steps=[kept | {"id": queue.steps.first().pk}, second | {"id": queue.steps.last().pk}],
        )
    )


def test_nobody_of_another_team_can_be_chosen(queue, as_boss):
    stranger = make_agent(make_team())
    steps = [
        {"id": step.pk, "queue": queue.pk, "after": step.after, "kept_for": stranger.pk}
        for step in queue.steps.all()
    ]
    assert "Select a valid choice" in errors_of(change(as_boss, queue, steps=steps))


def test_versions_say_who_changed_what(queue, as_boss, boss):
    policies.save(queue, draft=PolicyDraft(settings={"w_fit": 10}), by=SYSTEM)
    change(as_boss, Queue.objects.get(), w_fit=15)
    text = page(as_boss, f"{QUEUES}{queue.pk}/change/")
    assert "Weight of fit: 10 → 15" in text
    assert boss.name in text
    newest = PolicyVersion.objects.latest("number")
    assert "Weight of fit: 10 → 15" in page(as_boss, VERSIONS)
    shown = page(as_boss, f"{VERSIONS}{newest.pk}/change/")
    assert "Weight of fit: 10 → 15" in shown
    assert boss.name in shown


def test_decision_links_the_version_it_used(queue, as_boss):
    saved = policies.save(queue, draft=PolicyDraft((StepDraft(0),)), by=SYSTEM)
    make_agent(queue.team)
    item = put_in_line(queue)
    router.run(now=timezone.now())
    version = PolicyVersion.objects.get(number=saved.version)
    address = f"{VERSIONS}{version.pk}/change/"
    decision = item.decisions.get()
    assert address in page(as_boss, f"{DECISIONS}{decision.pk}/change/")
    assert address in page(as_boss, f"{CONVERSATIONS}{item.conversation_id}/change/")
    version.delete()
    text = page(as_boss, f"{DECISIONS}{decision.pk}/change/")
    assert address not in text
    assert f"version {saved.version}" in text
