"""Uploaded lists (B48): what is taken, what is said of which line, and who is meant by it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.notifications import campaign_csv, errors
from apps.notifications.models import CampaignRecipient
from apps.notifications.services import campaign_lists, campaigns
from apps.users.models import ContactPoint
from tests.factories import make_customer, make_team
from tests.notifications.campaigning import add_email, make_campaign, make_segment, start
from tests.notifications.gate import NOW, Time


def read(text: str | bytes) -> list[campaign_csv.Line]:
    mistakes = campaign_csv.Mistakes()
    lines = campaign_csv.read(text if isinstance(text, bytes) else text.encode(), mistakes)
    mistakes.raise_any()
    return lines


def refused(text: str | bytes) -> errors.ListInvalid:
    with pytest.raises(errors.ListInvalid) as caught:
        read(text)
    return caught.value


def test_columns_say_who_is_meant_and_the_rest_is_for_the_text() -> None:
    (line,) = read("E-Mail,Amount due,external_id\n Ada@Example.org ,12 €,\n")
    assert line == campaign_csv.Line(2, {"email": "Ada@Example.org"}, {"amount_due": "12 €"})


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfemail;amount\r\na@example.org;1\r\n",
        b"email\tamount\na@example.org\t1",
        b'"email","amount"\r\n"a@example.org","1"\r\n\r\n,\r\n',
    ],
)
def test_b48_what_spreadsheets_write_is_read(text: bytes) -> None:
    assert [(line.who, line.values) for line in read(text)] == [({"email": "a@example.org"}, {"amount": "1"})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "email, phone or external_id"),
        (b"email\n", "nobody in this list"),
        ("email\na@example.org".encode("utf-16"), "CSV UTF-8"),
        ("email,name\na@example.org,J\xf6rg\n".encode("latin-1"), "Line 2 is no UTF-8"),
        (b"email\na@example.org\0\n", "no text"),
        (b"name,amount\nAda,1\n", "email, phone or external_id"),
        (b"email,amount,Amount\na@example.org,1,2\n", "same name"),
        (b"email,e-mail\na@example.org,b@example.org\n", "same name"),
        (b"email,\na@example.org,1\n", "letters, digits"),
        ("email,größe\na@example.org,1\n".encode(), "letters, digits"),
        (b"email," + b",".join(b"c%d" % n for n in range(10_000)) + b"\n", "at most 30 columns"),
        (b"email\n" + b"a@example.org\n" * 20_001, "at most 20000 lines"),
        (b"email\n" + b"x" * 5 * 1024 * 1024, "at most 5 MB"),
    ],
)
def test_b48_a_list_that_cannot_be_used_is_said(text: bytes, said: str) -> None:
    assert said in str(refused(text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "email,n\na@example.org,1\nb@example.org\nc@example.org,1,2\n",
            {"line 3": "1 cells", "line 4": "3 cells"},
        ),
        ("email,n\n,1\n", {"line 2": "Nobody is named"}),
        ('email,n\na@example.org,"x\ny"\n,1\n', {"line 4": "Nobody is named"}),
        ('email,n\na@example.org,1\n"b@example.org,2\nc@example.org,3\n', {"line 3": "cannot be read"}),
        ('email,n\na@example.org,"1"2\n', {"line 2": "cannot be read"}),
        (f"email,n\na@example.org,{'x' * 501}\n", {"line 2": "500 characters"}),
        (f"email,n\na@example.org,{'x' * 1024 * 1024}\n", {"line 2": "cannot be read"}),
    ],
)
def test_b48_mistakes_are_told_by_line(text: str, told: dict[str, str]) -> None:
    found = refused(text).fields
    assert found.keys() == told.keys()
    assert all(words in found[line][0] for line, words in told.items())


def test_b48_further_mistakes_are_counted_only() -> None:
    fields = refused("email,n\n" + ",1\n" * 70).fields
    assert len(fields) == 51
    assert fields["more"] == ["… and 20 more mistakes."]


@given(
    st.lists(
        st.tuples(
            st.emails(), st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(",;\t"),
)
def test_what_a_spreadsheet_would_write_comes_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([("email", "note"), *rows])
    lines = read(text.getvalue())
    assert [line.who["email"] for line in lines] == [email.strip() for email, _ in rows]
    assert [line.values.get("note", "") for line in lines] == [note.strip() for _, note in rows]


# Who is meant


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def campaign(team):
    return make_campaign(team, segment=None, ways=["email", "sms"])


def add(campaign, text: str) -> campaign_lists.Added:
    return campaign_lists.add(campaign.pk, read(text), by=SYSTEM, now=NOW)


@pytest.mark.django_db
def test_a_customer_is_found_by_whatever_the_list_has(team, campaign) -> None:
    ada, bob, cleo = make_customer([team]), make_customer([team]), make_customer([team], external_id="C-3")
    add_email(ada, "ada@example.org")
    ContactPoint.objects.create(customer=bob, kind="phone", value="+4930901820")
    text = "email;phone;external_id;amount\nADA@example.ORG ;;;1\n;+49 (30) 901820;;2\n;;C-3;3\n"
    assert add(campaign, text) == campaign_lists.Added(3, 0)
    rows = CampaignRecipient.objects.filter(campaign=campaign, way="sms").order_by("id")
    assert [(row.customer_id, row.values) for row in rows] == [
        (ada.pk, {"amount": "1"}),
        (bob.pk, {"amount": "2"}),
        (cleo.pk, {"amount": "3"}),
    ]
    assert CampaignRecipient.objects.count() == 6


@pytest.mark.django_db
def test_nobody_is_in_it_twice_and_the_same_list_again_changes_nothing(team, campaign) -> None:
    ada = make_customer([team], external_id="A")
    add_email(ada, "ada@example.org")
    text = "email,external_id,n\nada@example.org,,1\nAda@Example.Org,,2\n,A,3\nada@example.org,A,4\n"
    assert add(campaign, text) == campaign_lists.Added(1, 3)
    assert add(campaign, text) == campaign_lists.Added(0, 4)
    assert {row.values["n"] for row in CampaignRecipient.objects.all()} == {"1"}
    assert [event.payload["count"] for event in Event.objects.filter(stream=campaign.stream)] == [1]


@pytest.mark.django_db
def test_one_wrong_line_and_nothing_is_taken_over(team, campaign) -> None:
    add_email(make_customer([team]), "ada@example.org")
    add_email(make_customer([team]), "two@example.org")
    add_email(make_customer([team]), "two@example.org")
    add_email(make_customer([make_team()]), "foreign@example.org")
    make_customer([team], external_id="B")
    text = (
        "email,external_id,phone\nada@example.org,,\nnobody@example.org,,\ntwo@example.org,,\nforeign@example.org,,\n"
        "ada@example.org,B,\nno address,,\n,,112\n"
    )
    with pytest.raises(errors.ListInvalid) as caught:
        add(campaign, text)
    said = {line: texts[0].partition(":")[0] for line, texts in caught.value.fields.items()}
    assert said["line 3"] == said["line 5"] == "There is no such customer"
    assert said["line 4"] == "Several customers match"
    assert said["line 6"] == "These are different customers"
    assert said.keys() == {f"line {n}" for n in (3, 4, 5, 6, 7, 8)}
    assert not CampaignRecipient.objects.exists()


@pytest.mark.django_db
def test_what_cannot_be_read_and_who_is_not_there_are_said_at_once(team, campaign) -> None:
    add_email(make_customer([team]), "ada@example.org")
    mistakes = campaign_csv.Mistakes()
    text = "email,n\nada@example.org,1\nnobody@example.org,2\nada@example.org\n,4\nno address,5\n"
    lines = campaign_csv.read(text.encode(), mistakes)
    with pytest.raises(errors.ListInvalid) as caught:
        campaign_lists.add(campaign.pk, lines, by=SYSTEM, now=NOW, mistakes=mistakes)
    assert list(caught.value.fields) == [f"line {n}" for n in (3, 4, 5, 6)]
    assert not CampaignRecipient.objects.exists()


def test_the_first_lines_are_named_whatever_is_wrong_with_them() -> None:
    mistakes = campaign_csv.Mistakes()
    for number in (*range(60, 120), *range(2, 30)):
        mistakes.add(number, "wrong")
    with pytest.raises(errors.ListInvalid) as caught:
        mistakes.raise_any()
    *lines, more = caught.value.fields
    assert lines == [f"line {n}" for n in (*range(2, 30), *range(60, 82))]
    assert caught.value.fields[more] == ["… and 38 more mistakes."]


@pytest.mark.django_db
def test_whose_address_is_verified_is_meant_by_it(team, campaign) -> None:
    add_email(make_customer([team]), "ada@example.org")
    real = make_customer([team])
    add_email(real, "ada@example.org", is_verified=True)
    add_email(make_customer([team]), "ada@example.org")
    add(campaign, "email\nada@example.org\n")
    assert set(CampaignRecipient.objects.values_list("customer", flat=True)) == {real.pk}


@pytest.mark.django_db
def test_a_list_is_removed_before_the_campaign_starts_and_not_after(team, campaign) -> None:
    add_email(make_customer([team]), "ada@example.org")
    add(campaign, "email\nada@example.org\n")
    assert campaign_lists.remove(campaign.pk, by=SYSTEM) == 1
    assert campaign_lists.remove(campaign.pk, by=SYSTEM) == 0
    add(campaign, "email\nada@example.org\n")
    start(campaign, Time())
    with pytest.raises(errors.CampaignHasBegun):
        campaign_lists.remove(campaign.pk, by=SYSTEM)
    with pytest.raises(errors.CampaignHasBegun):
        add(campaign, "email\nada@example.org\n")
    assert CampaignRecipient.objects.count() == 2


@pytest.mark.django_db
def test_a_list_is_for_campaigns_without_a_segment_and_fixes_team_and_ways(team, campaign) -> None:
    with pytest.raises(errors.CampaignInvalid):
        add(make_campaign(team), "email\nada@example.org\n")
    add_email(make_customer([team]), "ada@example.org")
    add(campaign, "email\nada@example.org\n")
    plan = {"name": "x", "template": campaign.template, "ways": ["email", "sms"], "team": team}
    campaigns.update(campaign.pk, campaigns.Plan(**plan))
    for change in ({"ways": ["email"]}, {"team": None}, {"segment": make_segment()}):
        with pytest.raises(errors.CampaignInvalid):
            campaigns.update(campaign.pk, campaigns.Plan(**plan | change))


@pytest.mark.django_db
def test_a_long_list_takes_few_statements(team, campaign, django_assert_max_num_queries) -> None:
    customers = [make_customer([team], external_id=f"X{n}") for n in range(900)]
    text = "external_id\n" + "".join(f"{one.external_id}\n" for one in customers)
    with django_assert_max_num_queries(26):
        assert add(campaign, text).new == 900
