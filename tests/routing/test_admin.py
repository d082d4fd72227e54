"""Routing in the admin: pages work and count their queries, policies are saved whole, forged posts change nothing."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.messaging.services import conversations
from apps.routing import policy_starts, selectors
from apps.routing.choices import Chosen, ItemState
from apps.routing.models import Agent, InboxRoute, Item, PolicyVersion, Queue
from apps.routing.policy_drafts import LevelDraft, PolicyDraft, StepDraft
from apps.routing.services import offers, policies, router
from apps.users.choices import Role
from apps.users.models import User
from tests.factories import (
    hand_to,
    make_agent,
    make_inbox,
    make_queue,
    make_reason,
    make_skill,
    make_team,
    make_user,
    put_in_line,
)
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db
QUEUES, AGENTS, LINE = "/admin/routing/queue/", "/admin/routing/agent/", "/admin/routing/item/"
VERSIONS = "/admin/routing/policyversion/"
DECISIONS, CONVERSATIONS = "/admin/routing/decision/", "/admin/messaging/conversation/"


@pytest.fixture(autouse=True)
def without_second_factor(settings):
    settings.REQUIRE_MFA = False


@pytest.fixture
def queue():
    return make_queue([(0, {"cards": 3}), (20, {"cards": 1})], levels={"vip": 90})


@pytest.fixture
def boss(queue):
    return make_user(Role.SUPERVISOR, [queue.team])


@pytest.fixture
def as_boss(boss):
    return as_(boss)


@pytest.fixture
def as_admin():
    return as_(make_user(Role.ADMIN))


def as_(user):
    client = Client()
    client.force_login(user)
    return client


def told(answer):
    """The messages shown to the user."""
    return [str(message) for message in answer.context["messages"]]


def page(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer
    return answer.content.decode()


def post(client, address, **fields):
    return client.post(address, fields, follow=True)


# Queues


def rows(prefix, rows, initial=0):
    form = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": initial}
    for number, row in enumerate(rows):
        form |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return form


def form_of(queue, *, steps=None, levels=None, routes=(), **changes):
    """What the page of this queue would post back, with some changes."""
    settings = {name: getattr(queue, name) for name in policies.SETTINGS if name not in ("team", "is_active")}
    stored_steps, stored_levels = list(queue.steps.all()), list(queue.levels.all())
    if steps is None:
        steps = [
            {
                "id": step.pk,
                "queue": queue.pk,
                "after": step.after,
                "needs": ", ".join(f"{need.key} {need.level}" for need in step.needs.all()),
            }
            for step in stored_steps
        ]
    if levels is None:
        levels = [
            {"id": level.pk, "queue": queue.pk, "name": level.name, "credit": level.credit}
            for level in stored_levels
        ]
    fields = {"team": queue.team_id, "is_active": "on", "seen": queue.version} | settings
    inlines = rows("steps", steps, len(stored_steps)) | rows("levels", levels, len(stored_levels))
    inlines |= rows("routes", list(routes), queue.routes.count())
    return {name: value for name, value in (fields | inlines | changes).items() if value is not None}


def change(client, queue, **fields):
    return client.post(f"{QUEUES}{queue.pk}/change/", form_of(queue, **fields), follow=True)


def errors_of(answer):
    text = answer.content.decode()
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


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


# Agents


def act(client, address, action, chosen, **fields):
    return client.post(
        address, {"action": action, "_selected_action": [row.pk for row in chosen]} | fields, follow=True
    )


def test_list_of_agents_shows_state_work_and_skills(queue, as_boss):
    agent = make_agent(queue.team, skills={"cards": 4})
    item = hand_to(put_in_line(queue), agent)
    text = errors_of(as_boss.get(AGENTS))
    for shown in (
        agent.user.name,
        "On contact",
        f"{queue.units} / 12",
        "cards 4",
        str(item.conversation.customer),
    ):
        assert shown in text


def test_agents_of_other_teams_are_not_there(queue, as_boss):
    stranger = make_agent(make_team())
    assert stranger.user.name not in page(as_boss, AGENTS)
    act(as_boss, AGENTS, "sign_out", [stranger])
    stranger.refresh_from_db()
    assert stranger.chosen == Chosen.AVAILABLE


def test_capacity_is_changed_and_nothing_else_of_the_agent(queue, as_boss):
    agent = make_agent(queue.team)
    fields = {"capacity": 8} | rows("levels", [{"agent": agent.pk, "skill": make_skill("de").pk, "level": 4}])
    stale = Agent.objects.get(pk=agent.pk)
    hand_to(put_in_line(queue), agent)
    answer = as_boss.post(f"{AGENTS}{agent.pk}/change/", fields, follow=True)
    assert answer.redirect_chain, errors_of(answer)
    agent.refresh_from_db()
    assert (agent.capacity, agent.load, stale.load) == (8, queue.units, 0)
    assert [(level.skill.name, level.level) for level in agent.levels.all()] == [("de", 4)]
    assert_in_order()


def test_capacity_below_what_he_holds_is_refused_in_words(queue, as_boss):
    agent = make_agent(queue.team)
    hand_to(put_in_line(queue), agent)
    answer = as_boss.post(f"{AGENTS}{agent.pk}/change/", {"capacity": 1} | rows("levels", []), follow=True)
    assert "This agent has work of 4 units in hand. Lower the capacity when he has less." in errors_of(answer)
    assert Agent.objects.get().capacity == 12


def test_user_can_be_made_an_agent_before_he_first_signs_in(queue, as_boss):
    user = make_user(teams=[queue.team])
    fields = {"user": user.pk, "capacity": 8} | rows("levels", [{"skill": make_skill("de").pk, "level": 2}])
    answer = as_boss.post(f"{AGENTS}add/", fields, follow=True)
    assert answer.redirect_chain, errors_of(answer)
    agent = Agent.objects.get(user=user)
    assert (agent.capacity, agent.chosen, agent.levels.get().level) == (8, Chosen.SIGNED_OUT, 2)


def test_pausing_asks_for_the_reason_first(queue, as_boss):
    agents, reason = [make_agent(queue.team), make_agent(queue.team)], make_reason("Meeting")
    asked = act(as_boss, AGENTS, "set_not_ready", agents)
    assert "Meeting" in errors_of(asked)
    assert all(agent.user.name in errors_of(asked) for agent in agents)
    act(as_boss, AGENTS, "set_not_ready", agents, apply=1, reason=reason.pk)
    assert {(row.chosen, row.reason) for row in Agent.objects.all()} == {(Chosen.NOT_READY, reason)}


def test_who_cannot_be_paused_is_named_and_hinders_nobody(queue, as_boss):
    here, gone = make_agent(queue.team), make_agent(queue.team, chosen=Chosen.SIGNED_OUT)
    answer = act(as_boss, AGENTS, "set_not_ready", [gone, here], apply=1, reason=make_reason().pk)
    assert sorted(told(answer)) == ["Done for 1 of 2.", f"{gone.user.name}: This agent is not signed in."]
    assert Agent.objects.get(pk=here.pk).chosen == Chosen.NOT_READY


def test_forced_sign_out_ends_sessions_and_returns_the_work(queue, as_boss):
    agent = make_agent(queue.team)
    item, his = hand_to(put_in_line(queue), agent), as_(agent.user)
    assert his.get("/console/").status_code == 200
    act(as_boss, AGENTS, "sign_out", [agent])
    item.refresh_from_db()
    assert (item.state, Agent.objects.get().chosen) == (ItemState.WAITING, Chosen.SIGNED_OUT)
    assert his.get("/console/").status_code == 302
    assert_in_order()
    assert mail.outbox == []


def test_supervisor_signs_out_nobody_above_himself(queue, as_boss):
    admin = make_agent(user=make_user(Role.ADMIN, teams=[queue.team]))
    answer = act(as_boss, AGENTS, "sign_out", [admin])
    assert "Nobody may grant a role above his own" in told(answer)[0]
    assert Agent.objects.get(pk=admin.pk).chosen == Chosen.AVAILABLE


# The line


def test_line_shows_places_head_starts_and_who_did_not_take_it(queue, as_boss):
    agent = make_agent(queue.team, skills={"cards": 3})
    second, first = put_in_line(queue, waited=30, credit=5), put_in_line(queue, waited=60)
    router.run(now=timezone.now())
    offers.decline(first.offers.live().get().pk, by=agent.user, now=timezone.now())
    answer = as_boss.get(LINE)
    items = {item.pk: item.place for item in answer.context["cl"].result_list}
    assert items == {first.pk: 1, second.pk: 2}
    assert f"{agent.user.name} (Declined)" in answer.content.decode()


def test_line_of_other_teams_is_not_there(queue, as_boss):
    put_in_line(make_queue())
    assert list(as_boss.get(LINE).context["cl"].result_list) == []


@pytest.mark.parametrize(("address", "action"), [(LINE, "reassign"), (CONVERSATIONS, "give_to_an_agent")])
def test_work_is_given_in_bulk_to_an_agent_who_is_asked_for_first(queue, as_boss, address, action):
    agent = make_agent(queue.team)
    items = [put_in_line(queue), put_in_line(queue)]
    chosen = items if address == LINE else [item.conversation for item in items]
    assert agent.user.name in errors_of(act(as_boss, address, action, chosen))
    answer = act(as_boss, address, action, chosen, apply=1, agent=agent.pk)
    assert told(answer) == ["Done for all 2."]
    assert {row.agent for row in Item.objects.all()} == {agent}
    assert_in_order()


def test_what_happened_names_queues_and_agents_at_the_same_cost_however_much(queue, as_boss):
    agent = make_agent(queue.team, skills={"cards": 3})
    item = put_in_line(queue)
    address, costs = f"{CONVERSATIONS}{item.conversation_id}/change/", []
    for _ in range(2):
        Item.objects.update(not_to={})
        router.run(now=timezone.now())
        offers.decline(item.offers.live().get().pk, by=agent.user, now=timezone.now())
        with CaptureQueriesContext(connection) as queries:
            text = page(as_boss, address)
        costs.append(len(queries))
    name = agent.user.name
    for words in (f"waits in {queue}", f"offered to {name}", f"{name} declined"):
        assert words in text, words
    assert costs[0] == costs[1]


def test_work_to_be_given_is_named_at_the_same_cost_however_much(queue, as_boss):
    make_agent(queue.team)
    items = [put_in_line(queue) for _ in range(4)]
    costs = []
    for chosen in (items[:1], items):
        with CaptureQueriesContext(connection) as queries:
            text = errors_of(act(as_boss, LINE, "reassign", chosen))
        costs.append(len(queries))
        for item in chosen:
            assert f"#{item.conversation_id} {item.conversation.customer} ({queue})" in text
    assert costs[0] == costs[1]


def test_what_does_not_fit_is_named(queue, as_boss):
    agent = make_agent(queue.team, capacity=4)
    items = [put_in_line(queue), put_in_line(queue)]
    answer = act(as_boss, LINE, "reassign", items, apply=1, agent=agent.pk)
    assert len(told(answer)) == 2
    refused = {f"{item}: This agent has no room for it." for item in items}
    assert [len(refused & {*told(answer)}), "Done for 1 of 2." in told(answer)] == [1, True]
    assert_in_order()


def test_work_is_given_to_agents_of_ones_own_teams_only(queue, as_boss):
    stranger = make_agent(make_team())
    answer = act(as_boss, LINE, "reassign", [put_in_line(queue)], apply=1, agent=stranger.pk)
    assert "Select a valid choice" in errors_of(answer)
    assert Item.objects.get().state == ItemState.WAITING


@pytest.mark.parametrize(("address", "action"), [(LINE, "take_over"), (CONVERSATIONS, "take_over_yourself")])
def test_z17_supervisor_takes_over_and_is_told_where_to_find_it(queue, as_boss, boss, address, action):
    item = put_in_line(queue)
    answer = act(as_boss, address, action, [item if address == LINE else item.conversation])
    item.refresh_from_db()
    assert item.agent.user == boss
    assert Event.objects.filter(stream=item.conversation.stream, actor=boss.actor_ref).exists()
    assert "/console/" in told(answer)[1]
    assert_in_order()


def page_of(item, what="change"):
    return f"{CONVERSATIONS}{item.conversation_id}/{what}/"


def test_conversation_is_given_to_an_agent_on_its_own_page(queue, as_boss):
    agent, item = make_agent(queue.team), put_in_line(queue)
    assert page_of(item, "give") in page(as_boss, page_of(item))
    assert agent.user.name in page(as_boss, page_of(item, "give"))
    answer = post(as_boss, page_of(item, "give"), apply=1, agent=agent.pk)
    assert answer.redirect_chain == [(page_of(item), 302)]
    assert told(answer) == ["Done for 1."]
    item.refresh_from_db()
    assert item.agent == agent
    assert_in_order()


def test_conversation_is_taken_over_on_its_own_page_by_a_button_and_no_link(queue, as_boss, boss):
    item = put_in_line(queue)
    assert page_of(item, "take-over") in page(as_boss, page_of(item))
    page(as_boss, page_of(item, "take-over"))
    item.refresh_from_db()
    assert item.state == ItemState.WAITING
    answer = post(as_boss, page_of(item, "take-over"), apply=1)
    assert answer.redirect_chain == [(page_of(item), 302)]
    assert "/console/" in told(answer)[1]
    item.refresh_from_db()
    assert item.agent.user == boss
    assert_in_order()


@pytest.mark.parametrize("what", ["give", "take-over"])
def test_what_was_closed_meanwhile_is_told_on_the_page(queue, as_boss, boss, what):
    agent, item = make_agent(queue.team), put_in_line(queue)
    conversations.close(item.conversation_id, by=boss, now=timezone.now())
    answer = post(as_boss, page_of(item, what), apply=1, agent=agent.pk)
    assert answer.redirect_chain == [(page_of(item), 302)]
    assert "Done for 1." not in told(answer)
    assert "This conversation" in told(answer)[0]
    item.refresh_from_db()
    assert item.agent is None


@pytest.mark.parametrize("what", ["give", "take-over"])
def test_conversations_of_other_teams_are_given_to_nobody(queue, as_boss, what):
    agent, item = make_agent(queue.team), put_in_line(make_queue())
    answer = as_boss.post(page_of(item, what), {"apply": 1, "agent": agent.pk})
    assert answer.status_code == 404
    assert Item.objects.get().state == ItemState.WAITING


@pytest.mark.parametrize("what", ["give", "take-over"])
def test_who_may_only_look_gives_nothing_to_anybody(queue, as_boss, monkeypatch, what):
    agent, item = make_agent(queue.team), put_in_line(queue)
    may = User.has_perm
    monkeypatch.setattr(
        User, "has_perm", lambda user, name, row=None: name != "routing.change_item" and may(user, name, row)
    )
    assert page_of(item, what) not in page(as_boss, page_of(item))
    assert as_boss.post(page_of(item, what), {"apply": 1, "agent": agent.pk}).status_code == 403
    assert Item.objects.get().state == ItemState.WAITING


# Why


def test_decision_tells_its_terms_and_everybody_elses_reason(queue, as_boss):
    make_agent(queue.team, skills={"cards": 4}, idle=9)
    novice = make_agent(queue.team)
    item = put_in_line(queue)
    router.run(now=timezone.now())
    decision = item.decisions.get()
    assert f"#{item.conversation_id}" in page(as_boss, DECISIONS)
    for address in (f"{DECISIONS}{decision.pk}/change/", f"{CONVERSATIONS}{item.conversation_id}/change/"):
        text = errors_of(as_boss.get(address))
        for shown in ("waited", "× 1", str(decision.score), novice.user.name, "cards 0 &lt; 1", "Ringing"):
            assert shown in text, address


def test_decisions_of_other_teams_are_not_there(as_boss):
    queue = make_queue()
    make_agent(queue.team)
    item = put_in_line(queue)
    router.run(now=timezone.now())
    decision = item.decisions.get()
    assert f"#{item.conversation_id}" not in page(as_boss, DECISIONS)
    assert as_boss.get(f"{DECISIONS}{decision.pk}/change/").status_code == 302


# All of it


@pytest.mark.parametrize("address", [QUEUES, AGENTS, LINE, DECISIONS, "/admin/routing/skill/"])
def test_lists_ask_as_often_for_many_as_for_few(queue, as_boss, address):
    def more():
        agent = make_agent(queue.team, skills={"cards": 3}, capacity=8, reason=make_reason())
        hand_to(put_in_line(queue), agent)
        make_queue(team=queue.team)
        put_in_line(queue)
        router.run(now=timezone.now())
        put_in_line(queue)

    def count():
        with CaptureQueriesContext(connection) as captured:
            page(as_boss, address)
        return len(captured)

    more()
    count()
    few = count()
    for _ in range(4):
        more()
    assert count() == few


@pytest.mark.parametrize(
    "address",
    [QUEUES, AGENTS, LINE, DECISIONS, "/admin/routing/skill/", "/admin/routing/notreadyreason/"],
)
def test_agents_have_no_way_into_the_admin(address):
    client = as_(make_user(Role.AGENT))
    assert client.get(address).status_code == 302
    assert client.post(address, {"action": "sign_out"}).status_code == 302


@pytest.mark.parametrize("address", [LINE, DECISIONS])
def test_z19_what_happened_is_not_written_by_hand(queue, as_admin, address):
    make_agent(queue.team, skills={"cards": 3})
    item = put_in_line(queue)
    router.run(now=timezone.now())
    row = item if address == LINE else item.decisions.get()
    assert as_admin.get(f"{address}add/").status_code == 403
    assert as_admin.post(f"{address}{row.pk}/change/", {"state": "done", "score": 1}).status_code == 403
    assert as_admin.post(f"{address}{row.pk}/delete/", {"post": "yes"}).status_code == 403
