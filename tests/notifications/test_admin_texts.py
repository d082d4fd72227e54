"""Texts, rules and wishes in the admin: saved whole or not at all, previewed as they go out, scoped to teams."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core.models import Event
from apps.notifications.choices import Way
from apps.notifications.models import Delivery, Preference, Purpose, SendingRule, Suppression, Template
from apps.notifications.services import templates
from apps.users.choices import Role
from tests.factories import (
    make_conversation,
    make_customer,
    make_purpose,
    make_team,
    make_template,
    make_user,
)

pytestmark = pytest.mark.django_db
TEMPLATES, VERSIONS = "/admin/notifications/template/", "/admin/notifications/templateversion/"
PURPOSES, WISHES = "/admin/notifications/purpose/", "/admin/notifications/preference/"
STOPPED = "/admin/notifications/suppression/"


@pytest.fixture(autouse=True)
def without_second_factor(settings) -> None:
    settings.REQUIRE_MFA = False


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def boss(team):
    return make_user(Role.SUPERVISOR, [team], name="Sofia Marin", email="sofia@example.com")


@pytest.fixture
def as_boss(boss) -> Client:
    client = Client()
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _form(*said: dict[str, str], seen: int | None = None, **fields: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"name": "Hello", "slug": "hello-you", "is_active": "on", "seen": seen or 0}
    data |= {"texts-TOTAL_FORMS": len(said), "texts-INITIAL_FORMS": 0} | fields
    for number, text in enumerate(said):
        data |= {f"texts-{number}-{name}": value for name, value in text.items()}
    return data


def _sms(body: str, language: str = "en", **more: str) -> dict[str, str]:
    return {"way": "sms", "language": language, "body": body} | more


# Writing


def test_a_template_is_written_and_changed_and_its_versions_say_by_whom(as_boss: Client, boss) -> None:
    purpose = make_purpose()
    answer = as_boss.post(f"{TEMPLATES}add/", _form(_sms("one"), purpose=purpose.pk))
    assert answer.status_code == 302
    template = Template.objects.get(slug="hello-you")
    page = f"{TEMPLATES}{template.pk}/change/"
    mail = {
        "way": "email",
        "language": "DE",
        "subject": "Hallo",
        "body": "Guten Tag",
        "html": "<p onclick='x'>Hi</p>",
    }
    assert as_boss.post(page, _form(_sms("two"), mail, seen=1, purpose=purpose.pk)).status_code == 302
    kept = templates.current(Template.objects.get(pk=template.pk))
    assert kept.texts == {
        "sms": {"en": {"body": "two"}},
        "email": {"de": {"subject": "Hallo", "body": "Guten Tag", "html": "<p>Hi</p>"}},
    }
    assert (kept.number, kept.by) == (2, boss)
    shown = as_boss.get(page).content.decode()
    assert "Sofia Marin" in shown
    assert "Version 2" in shown
    assert "−</span> one" in shown
    assert "+</span> two" in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_sms("{customer.password}"), "cannot be filled in"),
        (_sms("x" * 1601), "1,600 characters"),
        (_sms(""), "This part is needed."),
        (_sms("x", language="english"), "like en, de or de-at"),
        (_sms("x") | {"way": "webhook"}, "Select a valid choice"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_beside_it(as_boss: Client, text: dict, said: str) -> None:
    answer = as_boss.post(f"{TEMPLATES}add/", _form(text, purpose=make_purpose().pk))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Template.objects.filter(slug="hello-you").exists()


def test_two_texts_for_the_same_way_and_language_are_refused(as_boss: Client) -> None:
    answer = as_boss.post(
        f"{TEMPLATES}add/", _form(_sms("one"), _sms("two", "EN"), purpose=make_purpose().pk)
    )
    assert "There is a text for this way and language already." in answer.content.decode()


def test_a_removed_text_is_gone_in_the_next_version(as_boss: Client) -> None:
    template = make_template({"sms": {"en": {"body": "one"}, "de": {"body": "eins"}}})
    data = _form(_sms("one"), _sms("eins", "de", DELETE="on"), seen=1, purpose=template.purpose_id)
    assert as_boss.post(f"{TEMPLATES}{template.pk}/change/", data).status_code == 302
    assert templates.current(Template.objects.get(pk=template.pk)).texts == {"sms": {"en": {"body": "one"}}}


def test_who_saw_an_old_version_is_told_and_keeps_what_he_wrote(as_boss: Client, boss) -> None:
    template = make_template({"sms": {"en": {"body": "one"}}})
    templates.update(
        template, texts={"sms": {"en": {"body": "two"}}}, by=boss, now=template.versions.first().at
    )
    data = _form(_sms("my own words"), seen=1, purpose=template.purpose_id)
    answer = as_boss.post(f"{TEMPLATES}{template.pk}/change/", data)
    assert "Somebody else has changed this template" in answer.content.decode()
    assert "my own words" in answer.content.decode()
    assert Template.objects.get(pk=template.pk).version == 2


def test_an_old_version_is_looked_at_and_holds_again(as_boss: Client, boss) -> None:
    template = make_template({"sms": {"en": {"body": "one"}}})
    templates.update(
        template, texts={"sms": {"en": {"body": "two"}}}, by=boss, now=template.versions.first().at
    )
    old = template.versions.get(number=1)
    page = as_boss.get(f"{VERSIONS}{old.pk}/change/").content.decode()
    assert "Let these texts hold again" in page
    assert as_boss.get(f"{VERSIONS}{old.pk}/restore/").status_code == 405
    assert as_boss.post(f"{VERSIONS}{old.pk}/restore/").status_code == 302
    template.refresh_from_db()
    assert (template.version, templates.current(template).texts) == (3, old.texts)
    newest = template.versions.get(number=3)
    assert "Let these texts hold again" not in as_boss.get(f"{VERSIONS}{newest.pk}/change/").content.decode()


def test_the_list_costs_the_same_for_many(as_boss: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert as_boss.get(TEMPLATES).status_code == 200
        return len(seen)

    make_template()
    few = queries()
    for _ in range(5):
        make_template()
    assert queries() == few


# Preview and test


def _look(client: Client, path: str = "preview", **data: Any) -> str:
    answer = client.post(f"{TEMPLATES}{path}/", {"way": "sms", "language": "en"} | data)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_preview_is_for_the_chosen_customer_and_counts_sms(as_boss: Client, team) -> None:
    customer = make_customer([team], name="Grace <Hopper>", time_zone="Europe/Berlin")
    shown = _look(as_boss, body="Hi {customer.name}, {appointment.title}!", customer=customer.pk)
    assert "Hi Grace &lt;Hopper&gt;, [title]!" in shown
    assert "27 characters: 1 SMS, GSM-7" in shown
    assert "2 SMS, UCS-2" in _look(as_boss, body="ł" * 71)
    assert "Hi Ada" in _look(as_boss, body="Hi {customer.first_name}")


def test_the_preview_shows_html_in_a_frame_that_may_do_nothing(as_boss: Client) -> None:
    html = '<p>Hi {customer.name}<script>alert(1)</script><a href="{unsubscribe.link}">end</a></p>'
    shown = _look(as_boss, way="email", subject="S", body="B", html=html)
    assert 'sandbox="" srcdoc="&lt;p&gt;Hi Ada Lovelace&lt;a href=&quot;http' in shown
    assert "alert(1)" not in shown
    # A link that really unsubscribes somebody has no place in a preview.
    assert "/preferences/…/unsubscribe/" in shown


def test_the_preview_says_what_is_wrong(as_boss: Client) -> None:
    assert "cannot be filled in" in _look(as_boss, body="{x.y}")
    assert as_boss.post(f"{TEMPLATES}preview/", {"way": "pigeon"}).status_code == 400
    assert as_boss.get(f"{TEMPLATES}preview/").status_code == 405


def test_the_preview_knows_no_customer_of_other_teams(as_boss: Client) -> None:
    foreign = make_customer([make_team()], name="Secret")
    answer = as_boss.post(
        f"{TEMPLATES}preview/",
        {"way": "sms", "language": "en", "body": "{customer.name}", "customer": foreign.pk},
    )
    assert answer.status_code == 400
    assert "Secret" not in answer.content.decode()


def test_a_preview_writes_nothing_and_costs_few_queries(as_boss: Client, team) -> None:
    customer = make_conversation(agent=make_user(teams=[team])).customer
    customer.teams.add(team)
    with CaptureQueriesContext(connection) as seen:
        _look(as_boss, body="{customer.name} {agent.name} {appointment.title}", customer=customer.pk)
    assert not [query for query in seen if query["sql"].startswith(("INSERT", "UPDATE"))]
    assert len(seen) < 15


def test_a_test_goes_to_whoever_asked_and_to_nobody_else(as_boss: Client, boss) -> None:
    shown = _look(as_boss, "test", way="email", subject="News", body="Hi {customer.name}", html="<b>x</b>")
    assert "Sent to you." in shown
    delivery = Delivery.objects.get()
    assert (delivery.user, delivery.customer, delivery.way) == (boss, None, Way.EMAIL)
    assert delivery.context["subject"] == "[Test] News"
    assert delivery.context["body"] == "Hi Ada Lovelace"
    assert "no number" in _look(as_boss, "test", body="x")
    assert "Sent to you." not in _look(as_boss, "test", way="email", subject="", body="x")
    assert Delivery.objects.count() == 1


# Purposes and rules


def _purpose(**rule: Any) -> dict[str, Any]:
    data = {"name": "Letters", "slug": "letters", "kind": "marketing"}
    data |= {
        "rules-TOTAL_FORMS": 1,
        "rules-INITIAL_FORMS": 0,
        "rules-MIN_NUM_FORMS": 0,
        "rules-MAX_NUM_FORMS": 1000,
    }
    given = {"way": "sms", "weekdays": ["0", "4"], "quiet_from": "21:00", "quiet_until": "08:00"} | rule
    return data | {f"rules-0-{name}": value for name, value in given.items()}


def test_a_purpose_has_rules_and_says_them_in_words(as_boss: Client) -> None:
    rule = {"holidays_country": "de", "holidays_region": "by", "most_per_day": 1}
    assert as_boss.post(f"{PURPOSES}add/", _purpose(**rule)).status_code == 302
    saved = SendingRule.objects.get(purpose__slug="letters")
    assert (saved.weekdays, saved.holidays_country, saved.holidays_region) == ([0, 4], "DE", "BY")
    shown = as_boss.get(f"{PURPOSES}{saved.purpose_id}/change/").content.decode()
    words = "Mon, Fri, between 8 a.m. and 9 p.m., not on public holidays of DE-BY, at most 1 a day"
    assert words in shown
    assert words in as_boss.get(PURPOSES).content.decode()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"weekdays": []}, "This field is required."),
        ({"weekdays": ["7"]}, "Select a valid choice"),
        ({"quiet_until": ""}, "need a beginning and an end"),
        ({"quiet_until": "21:00"}, "begin and end at the same time"),
        ({"holidays_country": "XX"}, "are not known"),
        ({"holidays_country": "DE", "holidays_region": "ZZ"}, "has no such region"),
        ({"way": "webhook"}, "Select a valid choice"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(as_boss: Client, rule: dict, said: str) -> None:
    answer = as_boss.post(f"{PURPOSES}add/", _purpose(**rule))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Purpose.objects.filter(slug="letters").exists()


# Wishes and stopped addresses


def test_a_wish_told_to_staff_is_noted_with_its_source(as_boss: Client, boss, team) -> None:
    customer, purpose = make_customer([team]), make_purpose()
    data = {"customer": customer.pk, "purpose": purpose.pk, "way": "sms", "is_wanted": "on"}
    assert as_boss.post(f"{WISHES}add/", data).status_code == 302
    del data["is_wanted"]
    assert as_boss.post(f"{WISHES}add/", data).status_code == 302
    wish = Preference.objects.get()
    assert (wish.is_wanted, wish.source) == (False, "staff")
    told = Event.objects.filter(type="notifications.consent.changed").order_by("id")
    assert [(event.payload["is_wanted"], event.actor) for event in told] == [
        (True, boss.actor_ref),
        (False, boss.actor_ref),
    ]


def test_wishes_of_other_teams_are_not_seen_and_not_noted(as_boss: Client) -> None:
    foreign, purpose = make_customer([make_team()], name="Secret"), make_purpose()
    Preference.objects.create(customer=foreign, purpose=purpose, way="sms", is_wanted=True, source="staff")
    assert "Secret" not in as_boss.get(WISHES).content.decode()
    data = {"customer": foreign.pk, "purpose": purpose.pk, "way": "email"}
    assert as_boss.post(f"{WISHES}add/", data).status_code == 200
    assert Preference.objects.count() == 1


def test_an_address_is_stopped_and_released_by_hand(as_boss: Client, boss) -> None:
    data = {"way": "email", "address": "Ada@Example.com", "reason": "bounced"}
    assert as_boss.post(f"{STOPPED}add/", data).status_code == 302
    row = Suppression.objects.get(address="ada@example.com")
    assert as_boss.post(f"{STOPPED}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Suppression.objects.exists()
    told = Event.objects.filter(stream=f"suppression:{row.pk}").order_by("id")
    assert [event.actor for event in told] == [boss.actor_ref] * 2


@pytest.mark.parametrize(
    "data",
    [
        {"way": "sms", "address": "abc"},
        {"way": "email", "address": "x"},
        {"way": "in_app", "address": "a@b.cd"},
    ],
)
def test_what_is_no_address_is_not_stopped(as_boss: Client, data: dict) -> None:
    assert as_boss.post(f"{STOPPED}add/", data | {"reason": "bounced"}).status_code == 200
    assert not Suppression.objects.exists()
