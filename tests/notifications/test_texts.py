"""Texts of templates: what is refused and why, what is cleaned, versions and their differences."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.notifications import errors, placeholders, ready_made, sms, texts
from apps.notifications.choices import Way
from apps.notifications.models import Purpose, Template, TemplateVersion
from apps.notifications.services import templates
from apps.users.choices import Role
from tests.factories import make_purpose, make_user

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def _sms(body: str) -> dict:
    return {"sms": {"en": {"body": body}}}


def _html(html: str) -> dict:
    return {"email": {"en": {"subject": "x", "body": "x", "html": html}}}


def _refused(said: dict) -> dict[str, list[str]]:
    with pytest.raises(errors.TextsInvalid) as refused:
        texts.checked(said)
    assert (refused.value.status, refused.value.code) == (400, "texts_invalid")
    return refused.value.fields


# What is refused


@pytest.mark.parametrize(
    "body",
    [
        "{{ settings.SECRET_KEY }}",
        "{% include 'x' %}",
        "{% debug %}",
        "{0.__class__}",
        "{customer.__class__}",
        "%(x)s",
        "${x}",
        "{{constructor.constructor('x')()}}",
        "{customer.name",
        "{customer.password}",
        "{customer.name|{agent.name}}",
        "{list.}",
        "{list.a.b}",
        "{CUSTOMER.NAME}",
    ],
)
def test_b50_b51_other_placeholders_are_refused_and_the_allowed_ones_named(body: str) -> None:
    (said,) = _refused(_sms(body))["sms.en.body"]
    assert all(f"{{{name}}}" in said for name in placeholders.KNOWN)


def test_b51_a_form_that_does_not_exist_is_refused() -> None:
    assert ":time" in _refused(_sms("{appointment.starts_at:year}"))["sms.en.body"][0]


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (_sms("x" * 1601), "sms.en.body"),
        (_html("x" * 30_001), "email.en.html"),
        (_html("{customer.name}" * 10_000), "email.en.html"),
        (_sms("{list.a}" * 51), "sms.en.body"),
        ({"email": {"en": {"subject": "x" * 201, "body": "x"}}}, "email.en.subject"),
        ({"email": {"en": {"subject": "", "body": "x"}}}, "email.en.subject"),
        ({"email": {"en": {"subject": "x", "body": " \n"}}}, "email.en.body"),
        ({"sms": {"en": {"body": "x", "html": "<b>x</b>"}}}, "sms.en.html"),
        ({"sms": {"english": {"body": "x"}}}, "sms.english.language"),
        ({"sms": {"../../etc": {"body": "x"}}}, "sms.../../etc.language"),
        ({}, ""),
    ],
)
def test_b51_b54_what_is_too_long_missing_or_misplaced_is_refused_where_it_stands(
    said: dict, where: str
) -> None:
    assert list(_refused(said)) == [where]


@pytest.mark.parametrize(
    "said",
    [
        {"webhook": {"en": {"body": "x"}}},
        {"x": {}},
        {"sms": []},
        {"sms": {"en": "x"}},
        {"sms": {"en": {"body": 1}}},
    ],
)
def test_what_is_no_text_at_all_is_refused(said: dict) -> None:
    assert _refused(said)


def test_b51_a_megabyte_is_refused_at_once() -> None:
    began = time.process_time()
    for body in ("x" * 1_000_000, "{customer.name}" * 70_000, "{" * 1_000_000):
        assert _refused(_html(body))
    assert time.process_time() - began < 1


# What is kept


def test_html_is_cleaned_and_cleaning_it_again_changes_nothing() -> None:
    dirty = (
        '<p style="color:red;position:fixed" onclick="x()">Hi {customer.first_name|Tom & Jerry}'
        '<script>alert(1)</script><style>p{}</style><a href="javascript:alert(1)">y</a>'
        '<a href="{unsubscribe.link}">end</a><iframe src="x"></iframe></p>'
    )
    kept = texts.checked(_html(dirty))["email"]["en"]["html"]
    for gone in ("script", "alert", "onclick", "position", "iframe", "<style", "javascript"):
        assert gone not in kept
    assert 'href="{unsubscribe.link}"' in kept
    assert "{customer.first_name|Tom &amp; Jerry}" in kept
    assert texts.clean(kept) == kept


@pytest.mark.parametrize(
    "html",
    [
        '<a href="{list.url}">x</a>',
        '<a title=">" href="{customer.name}">x</a>',
        "<img alt='{customer.name}' src='x'>",
    ],
)
def test_only_links_may_stand_inside_of_a_tag(html: str) -> None:
    assert "inside of a tag" in _refused(_html(html))["email.en.html"][0]


def test_subjects_are_one_line_and_languages_are_tidy() -> None:
    kept = texts.checked({"email": {"de_AT": {"subject": "a\r\nBcc: b", "body": "x\r\ny\x00"}}})
    assert kept == {"email": {"de-at": {"subject": "a Bcc: b", "body": "x\ny"}}}


@given(st.text(max_size=200), st.sampled_from(["sms", "email"]))
@example("0 <?", "email")
def test_b13_any_text_is_refused_or_kept_so_that_it_stays_the_same(body: str, way: str) -> None:
    said = {"sms": _sms(body), "email": _html(body)}[way]
    try:
        kept = texts.checked(said)
    except EMLError:
        return
    assert texts.checked(kept) == kept


def test_changes_name_way_language_part_and_lines() -> None:
    before = {"sms": {"en": {"body": "one\ntwo"}}}
    after = {"sms": {"en": {"body": "one\nthree"}, "de": {"body": "eins"}}}
    assert texts.changes(before, after) == [
        texts.Change("sms", "de", "body", (("+", "eins"),)),
        texts.Change("sms", "en", "body", ((" ", "one"), ("-", "two"), ("+", "three"))),
    ]
    assert not texts.changes(after, after)


# SMS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0, "GSM-7")),
        ("a" * 160, (160, 1, "GSM-7")),
        ("a" * 161, (161, 2, "GSM-7")),
        ("a" * 306, (306, 2, "GSM-7")),
        ("a" * 307, (307, 3, "GSM-7")),
        ("€" * 80, (80, 1, "GSM-7")),
        ("€" * 81, (81, 2, "GSM-7")),
        # An escape and its letter stay together: 153 places hold 76 of them.
        ("€" * 153, (153, 3, "GSM-7")),
        ("äöüß ÄÖÜ @£$¥", (13, 1, "GSM-7")),
        ("ç", (1, 1, "UCS-2")),
        ("ł" * 70, (70, 1, "UCS-2")),
        ("ł" * 71, (71, 2, "UCS-2")),
        ("a" * 69 + "😀", (70, 2, "UCS-2")),
        ("a" * 68 + "😀", (69, 1, "UCS-2")),
        ("😀" * 67, (67, 3, "UCS-2")),
    ],
)
def test_b54_segments(text: str, expected: tuple) -> None:
    assert sms.count(text) == expected


@given(st.text(max_size=500))
def test_b54_segments_are_enough_and_not_too_many(text: str) -> None:
    count = sms.count(text)
    places = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if count.encoding == "UCS-2":
        assert places <= (70 if count.segments == 1 else 67 * count.segments)
        assert places > 66 * (count.segments - 1) or count.segments == 1
    assert (count.segments == 0) == (text == "")


# Versions


@pytest.mark.django_db
def test_saving_other_texts_makes_a_version_and_the_same_ones_none() -> None:
    boss, purpose = make_user(Role.SUPERVISOR), make_purpose()
    template = templates.create(
        slug="hello", name="Hello", purpose=purpose, texts=_sms("one"), by=boss, now=NOW
    )
    templates.update(template, texts=_sms("two"), by=boss, now=NOW)
    templates.update(template, texts=_sms("two"), name="Hi", by=boss, now=NOW)
    template.refresh_from_db()
    assert (template.version, template.name) == (2, "Hi")
    versions = list(TemplateVersion.objects.filter(template=template).values_list("number", "texts", "by"))
    assert versions == [(2, _sms("two"), boss.pk), (1, _sms("one"), boss.pk)]
    told = Event.objects.filter(type="notifications.template.changed").order_by("id")
    assert [event.payload["version"] for event in told] == [1, 2]


@pytest.mark.django_db
def test_what_is_refused_changes_nothing() -> None:
    template = templates.create(
        slug="hello", name="Hello", purpose=make_purpose(), texts=_sms("one"), by=SYSTEM, now=NOW
    )
    with pytest.raises(errors.TextsInvalid):
        templates.update(template, texts=_sms("{x}"), name="Other", by=SYSTEM, now=NOW)
    template = Template.objects.get(pk=template.pk)
    assert (template.version, template.name) == (1, "Hello")


@pytest.mark.django_db
def test_an_old_version_holds_again_as_a_new_one() -> None:
    template = templates.create(
        slug="hello", name="Hello", purpose=make_purpose(), texts=_sms("one"), by=SYSTEM, now=NOW
    )
    templates.update(template, texts=_sms("two"), by=SYSTEM, now=NOW)
    restored = templates.restore(template, number=1, by=SYSTEM, now=NOW)
    assert restored.version == 3
    assert templates.current(restored).texts == _sms("one")
    with pytest.raises(errors.VersionNotFound):
        templates.restore(template, number=9, by=SYSTEM, now=NOW)


@pytest.mark.django_db
def test_who_looked_at_an_old_version_does_not_overwrite_a_new_one() -> None:
    template = templates.create(
        slug="hello", name="Hello", purpose=make_purpose(), texts=_sms("one"), by=SYSTEM, now=NOW
    )
    templates.update(template, texts=_sms("two"), version=1, by=SYSTEM, now=NOW)
    with pytest.raises(errors.TemplateStale):
        templates.update(template, texts=_sms("three"), version=1, by=SYSTEM, now=NOW)


# What is there from the start


@pytest.mark.parametrize("slug", ready_made.TEMPLATES)
def test_ready_made_texts_are_good_ones(slug: str) -> None:
    _name, purpose, said = ready_made.TEMPLATES[slug]
    assert texts.checked(said) == said
    assert purpose in ready_made.PURPOSES
    assert set(said) <= set(Way.values)


@pytest.mark.django_db
def test_ready_made_rows_are_made_once_and_what_was_changed_stays() -> None:
    ready_made.after_migrate(using="default")
    Purpose.objects.filter(slug="newsletter").update(name="Our letter")
    template = Template.objects.get(slug="transcript")
    templates.update(template, texts=_sms("x"), by=SYSTEM, now=NOW)
    before = Template.objects.count(), TemplateVersion.objects.count()
    ready_made.after_migrate(using="default")
    assert (Template.objects.count(), TemplateVersion.objects.count()) == before
    assert Purpose.objects.get(slug="newsletter").name == "Our letter"
    assert templates.current(Template.objects.get(slug="transcript")).texts == _sms("x")
    assert set(ready_made.TEMPLATES) <= set(Template.objects.values_list("slug", flat=True))
