"""What supervisors see and set up."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.core import admin_base
from apps.messaging.models import CannedReply, Inbox
from apps.messaging.services import conversations, notes
from apps.users.choices import Role
from tests.factories import make_conversation, make_customer, make_inbox, make_message, make_team, make_user


@pytest.fixture
def team(db):
    return make_team()


@pytest.fixture
def boss(team):
    return make_user(Role.SUPERVISOR, teams=[team])


@pytest.fixture
def page(boss, settings) -> Client:
    settings.REQUIRE_MFA = False
    client = Client()
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _url(name: str, *args) -> str:
    return reverse(f"admin:messaging_{name}", args=args)


def test_a_conversation_page_tells_the_whole_story(page, boss, team) -> None:
    agent = make_user(teams=[team], name="Ana Silva")
    conversation = make_conversation(make_inbox(team), agent=agent, body="My <b>parcel</b> is lost")
    make_message(conversation, "I look into it", user=agent)
    notes.add(conversation, body="Depot phoned", by=agent, now=timezone.now())
    conversations.close(conversation.pk, by=agent, now=timezone.now())
    text = page.get(_url("conversation_change", conversation.pk)).content.decode()
    assert "(&#x27;closed" not in text
    assert "My &lt;b&gt;parcel&lt;/b&gt; is lost" in text
    assert "I look into it" in text
    assert "Depot phoned" in text
    assert "given to Ana Silva" in text
    assert "closed: Closed by an agent" in text


def test_upper_floors_add_their_boxes(page, team, monkeypatch) -> None:
    conversation = make_conversation(make_inbox(team))
    box = admin_base.Panel("Why this agent", "Score 12")
    monkeypatch.setitem(admin_base.panels, "messaging.conversation", [lambda request, row: box])
    text = page.get(_url("conversation_change", conversation.pk)).content.decode()
    assert "Why this agent" in text
    assert "Score 12" in text


def test_supervisors_see_conversations_of_their_teams_only(page, team) -> None:
    own, foreign = make_conversation(make_inbox(team)), make_conversation()
    listed = page.get(_url("conversation_changelist")).content.decode()
    assert f"#{own.pk}<" in listed
    assert f"#{foreign.pk}<" not in listed
    assert page.get(_url("conversation_change", foreign.pk)).status_code == 302


def test_conversations_cannot_be_changed_by_hand(page, team) -> None:
    conversation = make_conversation(make_inbox(team))
    assert page.post(_url("conversation_change", conversation.pk), {"status": "closed"}).status_code == 403
    assert page.post(_url("conversation_delete", conversation.pk), {"post": "yes"}).status_code == 403
    conversation.refresh_from_db()
    assert conversation.status == "waiting"


def test_the_list_asks_as_often_for_twenty_as_for_two(page, team, django_assert_max_num_queries) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    inbox = make_inbox(team)
    counts = []
    for _ in range(2):
        for _ in range(2 if not counts else 18):
            make_conversation(inbox)
        page.get(_url("conversation_changelist"))
        with CaptureQueriesContext(connection) as queries:
            page.get(_url("conversation_changelist"))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_search_finds_by_number_and_name(page, team) -> None:
    conversation = make_conversation(make_inbox(team), customer=make_customer(name="Grace Okoye"))
    other = make_conversation(make_inbox(team), customer=make_customer(name="Noah Fischer"))
    for text in (str(conversation.pk), "Okoye"):
        listed = page.get(_url("conversation_changelist"), {"q": text}).content.decode()
        assert f"#{conversation.pk}<" in listed
        assert f"#{other.pk}<" not in listed


def _inbox_form(team, **values) -> dict:
    return {
        "name": "Shop",
        "slug": "shop",
        "kind": "chat",
        "team": team.pk,
        "language": "en",
        "greeting": "Hi",
        "away_text": "Later",
        "allowed_origins": "https://shop.example.com\r\n\r\n  https://Other.example:8443/ ",
        "idle_close_minutes": 60,
        "is_active": "on",
    } | values


def test_an_inbox_is_set_up_and_shows_what_to_embed(page, team) -> None:
    assert page.post(_url("inbox_add"), _inbox_form(team)).status_code == 302
    inbox = Inbox.objects.get(slug="shop")
    assert inbox.allowed_origins == ["https://shop.example.com", "https://other.example:8443"]
    assert inbox.history.count() == 1
    text = page.get(_url("inbox_change", inbox.pk)).content.decode()
    assert "/chat/shop/widget.js" in text
    assert "https://shop.example.com\nhttps://other.example:8443</textarea>" in text


def test_no_pages_at_all_may_embed_the_widget(page, team) -> None:
    assert page.post(_url("inbox_add"), _inbox_form(team, allowed_origins="")).status_code == 302
    assert Inbox.objects.get().allowed_origins == []


@pytest.mark.parametrize(
    "wrong", ["https://a.example/path", "*", '["https://a.example"]', "https://a.example https://b.example"]
)
def test_the_line_that_is_no_origin_is_named(page, team, wrong) -> None:
    answer = page.post(_url("inbox_add"), _inbox_form(team, allowed_origins=f"https://good.example\n{wrong}"))
    (said,) = answer.context["adminform"].form.errors["allowed_origins"]
    assert said.startswith(f"“{wrong}”: ")
    assert not Inbox.objects.exists()


def test_no_inbox_for_a_foreign_team(page) -> None:
    assert page.post(_url("inbox_add"), _inbox_form(make_team())).status_code == 200
    assert not Inbox.objects.exists()


def test_canned_replies_take_known_placeholders_only(page, team) -> None:
    form = {"shortcut": "hi", "title": "Hi", "team": team.pk, "body": "Hi {customer.first_name|there}"}
    assert page.post(_url("cannedreply_add"), form | {"body": "{settings.SECRET_KEY}"}).status_code == 200
    assert page.post(_url("cannedreply_add"), form).status_code == 302
    assert CannedReply.objects.get().body == "Hi {customer.first_name|there}"


def test_texts_for_all_teams_are_the_administrators(page, team) -> None:
    shared = CannedReply.objects.create(shortcut="bye", title="Bye", body="Bye")
    foreign = CannedReply.objects.create(shortcut="no", title="No", body="No", team=make_team())
    form = {"shortcut": "bye", "title": "Bye", "team": team.pk, "body": "mine now"}
    assert page.post(_url("cannedreply_change", shared.pk), form).status_code == 403
    assert page.post(_url("cannedreply_change", foreign.pk), form).status_code == 302
    assert page.post(_url("cannedreply_add"), form | {"team": ""}).status_code == 200
    assert set(CannedReply.objects.values_list("body", flat=True)) == {"Bye", "No"}
