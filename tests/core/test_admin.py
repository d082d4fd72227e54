from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from unfold.utils import display_for_label

from apps.core import incidents
from apps.core.models import ErrorGroup, Event, Handling
from apps.messaging.choices import Status
from apps.notifications.choices import CampaignState, DeliveryState
from apps.routing.choices import CallbackState, State
from apps.users.choices import Role
from eml.admin_menu import MENU
from tests.factories import make_customer, make_team, make_user

pytestmark = pytest.mark.django_db

EVENTS, HANDLINGS = "admin:core_event_changelist", "admin:core_handling_changelist"


def make_event(stream: str = "conversation:1", **fields) -> Event:
    defaults = {
        "type": "messaging.conversation.started",
        "payload": {"conversation": 1},
        "actor": "customer:7",
    }
    return Event.objects.create(stream=stream, at=timezone.now(), **defaults | fields)


def make_dead(stream: str = "conversation:1", **fields) -> Handling:
    defaults = {
        "subscriber": "routing.enqueue",
        "tries": 5,
        "is_dead": True,
        "last_error": "OSError: no route",
    }
    return Handling.objects.create(
        event=make_event(stream), stream=stream, due_at=timezone.now(), **defaults | fields
    )


@pytest.fixture(autouse=True)
def _without_second_factor(settings) -> None:
    """These users have none; that pages ask for it where it is required is tested with the people."""
    settings.REQUIRE_MFA = False


@pytest.fixture
def root(client):
    user = make_user(Role.ADMIN)
    client.force_login(user)
    return user


def shown(client, page: str, **query) -> list:
    response = client.get(reverse(page), query)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def test_log_is_filtered_by_type_stream_and_actor(client, root) -> None:
    one = make_event()
    other = make_event("agent:3", type="routing.presence.changed", actor="user:5")
    assert shown(client, EVENTS) == [other, one]
    assert shown(client, EVENTS, type="routing.presence.changed") == [other]
    assert shown(client, EVENTS, q="conversation:1") == [one]
    assert shown(client, EVENTS, q="conversation:") == []
    assert shown(client, EVENTS, actor="user:5") == [other]


def test_log_is_filtered_by_the_viewers_clock(client) -> None:
    event = make_event()
    Event.objects.filter(pk=event.pk).update(at=datetime(2026, 3, 10, 23, 30, tzinfo=UTC))
    client.force_login(make_user(Role.ADMIN, time_zone="Europe/Berlin"))
    assert shown(client, EVENTS, at_from_0="2026-03-11", at_from_1="00:30:00") == [event]
    assert shown(client, EVENTS, at_from_0="2026-03-11", at_from_1="00:30:01") == []
    assert shown(client, EVENTS, at_to_0="2026-03-11") == [event]
    assert shown(client, EVENTS, at_to_0="2026-03-10") == []
    assert shown(client, EVENTS, at_to_0="soon") == [event]


def test_log_offers_every_type_the_program_knows(client, root) -> None:
    body = client.get(reverse(EVENTS)).content.decode()
    assert "messaging.message.sent" in body
    assert "routing.offer.lapsed" in body


def test_log_is_never_counted(client, root) -> None:
    make_event()
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse(EVENTS), {"_facets": "True"})
    assert not [
        q for q in queries.captured_queries if "COUNT(" in q["sql"].upper() and "core_event" in q["sql"]
    ]


def test_log_pages_through_everything(client, root) -> None:
    rows = [make_event(f"conversation:{n}") for n in range(60)]
    first, second = shown(client, EVENTS), shown(client, EVENTS, p=2)
    assert [event.pk for event in first + second] == [event.pk for event in reversed(rows)]


def test_an_event_shows_its_payload_and_escapes_it(client, root) -> None:
    event = make_event(payload={"reason": "<b>x</b>", "tags": [1, 2]})
    body = client.get(reverse("admin:core_event_change", args=[event.pk])).content.decode()
    assert "&lt;b&gt;x&lt;/b&gt;" in body
    assert "[1, 2]" in body


@pytest.mark.parametrize("model", ["event", "handling"])
def test_history_cannot_be_changed(client, root, model: str) -> None:
    row = make_dead() if model == "handling" else make_event()
    assert client.get(reverse(f"admin:core_{model}_add")).status_code == 403
    assert (
        client.post(reverse(f"admin:core_{model}_change", args=[row.pk]), {"stream": "x"}).status_code == 403
    )
    assert (
        client.post(reverse(f"admin:core_{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    )


def test_the_history_of_a_row_says_how_long_it_is(client, root) -> None:
    """The list of events goes on for ever; what was done to one of them does not."""
    event = make_event()
    LogEntry.objects.log_actions(root.pk, [event], CHANGE, "looked at")
    body = client.get(reverse("admin:core_event_history", args=[event.pk])).content.decode()
    assert "1 entry" in " ".join(body.split())


@pytest.mark.parametrize("page", [EVENTS, HANDLINGS])
def test_agents_are_not_let_in(client, page: str) -> None:
    client.force_login(make_user(Role.AGENT))
    assert client.get(reverse(page)).status_code == 302


def test_supervisors_see_the_streams_of_their_teams_only(client) -> None:
    team = make_team()
    mine, foreign = make_customer([team]), make_customer([make_team()])
    seen = make_event(mine.actor_ref)
    make_event(foreign.actor_ref)
    make_event("something:1")
    client.force_login(make_user(Role.SUPERVISOR, [team]))
    assert shown(client, EVENTS) == [seen]
    hidden = Event.objects.exclude(pk=seen.pk).first()
    assert client.get(reverse("admin:core_event_change", args=[hidden.pk])).status_code == 302


def retry(client, *rows: Handling):
    data = {"action": "retry", "_selected_action": [row.pk for row in rows]}
    return client.post(reverse(HANDLINGS), data, follow=True)


def test_handlings_are_listed_by_state_with_their_error(client, root) -> None:
    dead, waiting = make_dead(), make_dead(is_dead=False, tries=1, last_error="")
    assert shown(client, HANDLINGS, state="dead") == [dead]
    assert shown(client, HANDLINGS, state="waiting") == [waiting]
    assert (
        "OSError: no route"
        in client.get(reverse("admin:core_handling_change", args=[dead.pk])).content.decode()
    )


def test_retry_puts_dead_handlings_back_to_work(client, root) -> None:
    dead, other = make_dead(), make_dead()
    response = retry(client, dead)
    assert "1 follow-up is put back to work." in response.content.decode()
    dead.refresh_from_db()
    assert (dead.is_dead, dead.tries, dead.last_error) == (False, 0, "")
    other.refresh_from_db()
    assert other.is_dead


def test_retry_of_what_is_not_dead_changes_nothing(client, root) -> None:
    waiting = make_dead(is_dead=False, tries=2, last_error="once")
    assert "None of these is dead." in retry(client, waiting).content.decode()
    waiting.refresh_from_db()
    assert waiting.tries == 2


def test_supervisors_retry_their_teams_work_and_no_other(client) -> None:
    team = make_team()
    mine, foreign = (
        make_dead(make_customer([team]).actor_ref),
        make_dead(make_customer([make_team()]).actor_ref),
    )
    client.force_login(make_user(Role.SUPERVISOR, [team]))
    retry(client, mine, foreign)
    mine.refresh_from_db()
    foreign.refresh_from_db()
    assert (mine.is_dead, foreign.is_dead) == (False, True)


def test_who_may_only_look_cannot_retry(client) -> None:
    user = make_user(None, is_active=True)
    user.is_staff = True
    user.save()
    client.force_login(user)
    dead = make_dead()
    assert (
        client.post(reverse(HANDLINGS), {"action": "retry", "_selected_action": [dead.pk]}).status_code == 403
    )
    dead.refresh_from_db()
    assert dead.is_dead


def menu(client) -> dict[str, dict]:
    groups = client.get(reverse("admin:index")).context["sidebar_navigation"]
    return {str(item["title"]): item for group in groups for item in group["items"]}


def test_menu_counts_dead_follow_ups(client, root) -> None:
    assert "badge" not in menu(client)["Follow-ups"]
    make_dead()
    make_dead()
    assert menu(client)["Follow-ups"]["badge"] == 2


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.ADMIN])
def test_every_entry_of_the_menu_opens(client, role: Role) -> None:
    client.force_login(make_user(role, [make_team()]))
    pages = {title: client.get(item["link"]).status_code for title, item in menu(client).items()}
    assert set(pages.values()) == {200}, pages


@pytest.mark.parametrize(
    "entry", [entry for _, entries in MENU for entry in entries], ids=lambda entry: entry.page
)
def test_every_entry_of_the_menu_is_there_for_administrators(client, root, entry) -> None:
    assert str(entry.title) in menu(client)


def test_pages_are_called_as_the_menu_calls_them() -> None:
    entries = [entry for _, entries in MENU for entry in entries if entry.model and not entry.route]
    models = {str(entry.title): apps.get_model(entry.model) for entry in entries}
    ours = {title: model._meta for title, model in models.items() if model.__module__.startswith("apps.")}
    assert {title: capfirst(meta.verbose_name_plural) for title, meta in ours.items()} == {t: t for t in ours}
    assert all(capfirst(meta.app_config.verbose_name) != title for title, meta in ours.items())


def test_menu_of_supervisors_lacks_what_only_administrators_do(client) -> None:
    client.force_login(make_user(Role.SUPERVISOR, [make_team()]))
    assert not {"Schedule", "Failed sign-ins"} & set(menu(client))


@pytest.mark.parametrize(
    ("model", "column", "choices"),
    [
        ("messaging.Conversation", "state", Status),
        ("notifications.Campaign", "shown_state", CampaignState),
        ("notifications.Delivery", "shown_state", DeliveryState),
        ("routing.Agent", "state", State),
        ("routing.Callback", "shown_state", CallbackState),
    ],
)
def test_badges_speak_the_readers_words(model: str, column: str, choices) -> None:
    page = admin.site.get_model_admin(apps.get_model(model))
    for value, label in choices.choices:
        badge = display_for_label((value, label), "", getattr(page, column).label)
        assert re.sub(r"<[^>]+>", "", badge).strip() == label


def test_a_list_leads_to_all_of_it_only_when_it_is_narrowed(client, root) -> None:
    make_dead()
    address = reverse(HANDLINGS)
    assert b"Show all" not in client.get(address).content
    for query in ({"q": "conversation:2"}, {"state": "dead"}):
        assert b"Show all" in client.get(address, query).content


def test_a_page_without_anything_to_save_has_no_bar_of_buttons(client, root) -> None:
    event, user = make_event(), make_user()
    for address, has_bar in (
        (reverse("admin:core_event_change", args=[event.pk]), False),
        (reverse("admin:users_user_change", args=[user.pk]), True),
        (reverse("admin:users_team_add"), True),
    ):
        assert (b'id="submit-row"' in client.get(address).content) is has_bar, address


def test_tables_that_only_invite_mistakes_are_not_in_the_admin() -> None:
    import_module(settings.ROOT_URLCONF)
    labels = {model._meta.label for model in admin.site._registry}
    assert not {"auth.Group", "token_blacklist.OutstandingToken", "account.EmailAddress"} & labels
    assert {"core.Event", "core.Handling", "axes.AccessAttempt"} <= labels


# The page that an alert leads to


def make_incident() -> ErrorGroup:
    now = timezone.now()
    return incidents.keep(incidents.Seen("CRITICAL", "x", "broken", "here", True, 1, now, now))


def test_an_incident_is_acknowledged_on_its_page(client, root):
    group = make_incident()
    page, act = (f"/admin/core/errorgroup/{group.pk}/{end}/" for end in ("change", "acknowledge"))
    assert act in client.get(page).content.decode()
    assert client.get(act).status_code == 405
    answer = client.post(act, follow=True)
    assert "1 incident is acknowledged" in answer.content.decode()
    assert act not in answer.content.decode()
    group.refresh_from_db()
    assert group.acknowledged_by == root.actor_ref
    assert "None of these is an open incident" in client.post(act, follow=True).content.decode()


def test_who_may_only_look_at_errors_acknowledges_none(client):
    group = make_incident()
    user = make_user(Role.SUPERVISOR)
    Permission.objects.get(codename="change_errorgroup").group_set.clear()
    client.force_login(user)
    page, act = (f"/admin/core/errorgroup/{group.pk}/{end}/" for end in ("change", "acknowledge"))
    assert act not in client.get(page).content.decode()
    assert client.post(act).status_code == 403
    assert ErrorGroup.objects.alarming().exists()


def test_a_foreign_page_acknowledges_nothing(root):
    group, strict = make_incident(), Client(enforce_csrf_checks=True)
    strict.force_login(root)
    assert strict.post(f"/admin/core/errorgroup/{group.pk}/acknowledge/").status_code == 403
    assert ErrorGroup.objects.alarming().exists()
