"""Campaigns and segments in the admin, over the API and on the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.notifications.choices import CampaignState
from apps.notifications.models import Campaign, CampaignRecipient, Segment
from apps.notifications.services import campaign_lists, campaigns, feeding, sending
from apps.users.choices import Role
from tests.factories import make_customer, make_team, make_template, make_user
from tests.notifications.campaigning import make_campaign, make_segment, people
from tests.notifications.gate import make_gateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def boss(client, team):
    user = make_user(Role.SUPERVISOR, [team])
    client.force_login(user)
    return user


@pytest.fixture
def admin(client):
    user = make_user(Role.ADMIN)
    client.force_login(user)
    return user


def page(client, name: str, *args: Any) -> str:
    answer = client.get(reverse(f"admin:notifications_{name}", args=args))
    assert answer.status_code == 200
    return answer.content.decode()


def post(client, where: str, *args: Any, **fields: Any):
    return client.post(reverse(f"admin:notifications_{where}", args=args), fields)


def send(team_campaign: Campaign) -> None:
    """All of it, now."""
    feeding.work_off(clock=timezone.now)
    feeding.step(team_campaign.pk, now=timezone.now())


# Segments


def segment_fields(team, **fields: Any) -> dict[str, Any]:
    return {"name": "Berlin", "team": team.pk} | fields


def test_a_supervisor_saves_a_segment_and_sees_who_is_in_it(client, boss, team) -> None:
    people(3, team, language="de")
    people(1, team, language="fr")
    people(2, make_team(), language="de")
    fields = segment_fields(team, languages="de", attributes="", zones="UTC", created_from="2020-01-31")
    assert post(client, "segment_add", **fields).status_code == 302
    segment = Segment.objects.get()
    assert segment.filter == {"languages": ["de"], "zones": ["UTC"], "created_from": "2020-01-31"}
    text = page(client, "segment_change", segment.pk)
    assert "<strong>3</strong> customers" in text
    assert 'value="de"' in text
    assert "languages: de; time zones or regions: UTC" in page(client, "segment_changelist")


def test_the_count_follows_the_form_and_says_what_is_wrong(client, boss, team) -> None:
    people(2, team, attributes={"plan": "gold"})
    people(1, make_team(), attributes={"plan": "gold"})
    assert b"<strong>2</strong>" in post(client, "segment_count", attributes="plan = gold").content
    assert b"Nobody" in post(client, "segment_count", attributes="plan = lead").content
    assert b"one on each line" in post(client, "segment_count", attributes="plan gold").content
    assert b"no time zone" in post(client, "segment_count", zones="Atlantis").content
    assert not Segment.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [{"languages": "DE OR 1=1"}, {"attributes": "a b = c"}, {"contact_within_days": "-1"}, {"team": ""}],
)
def test_what_is_no_filter_is_not_saved(client, boss, team, fields: dict[str, str]) -> None:
    assert post(client, "segment_add", **segment_fields(team) | fields).status_code == 200
    assert not Segment.objects.exists()


def test_what_every_team_uses_is_changed_by_administrators_only(client, boss, team) -> None:
    shared = make_segment(name="Everybody")
    assert "Everybody" in page(client, "segment_changelist")
    assert "everybody" in page(client, "segment_change", shared.pk)
    assert post(client, "segment_change", shared.pk, name="Mine", team=team.pk).status_code == 403
    client.force_login(make_user(Role.ADMIN))
    assert post(client, "segment_change", shared.pk, name="All", team="").status_code == 302
    assert Segment.objects.get().name == "All"


def test_the_list_of_segments_asks_no_more_for_many(client, admin, django_assert_max_num_queries) -> None:
    for number in range(20):
        make_segment({"tags": [number + 1], "agreed_to": [number + 1]})
    with django_assert_max_num_queries(16):
        page(client, "segment_changelist")


# Campaigns


def campaign_fields(team, **fields: Any) -> dict[str, Any]:
    template = fields.pop("template", None) or make_template()
    return {
        "name": "Spring letter", "template": template.pk, "ways": ["email"], "team": team.pk, "per_minute": 600,
    } | fields  # fmt: skip


def test_a_supervisor_makes_a_campaign_starts_it_and_watches_it(client, boss, team) -> None:
    make_gateway(kind="outbox")
    there = people(3, team)
    assert (
        post(
            client, "campaign_add", **campaign_fields(team, segment=make_segment().pk, per_minute=60_000)
        ).status_code
        == 302
    )
    campaign = Campaign.objects.get()
    assert (campaign.state, campaign.created_by) == (CampaignState.DRAFT, boss)
    text = page(client, "campaign_change", campaign.pk)
    assert "3 customers" in text
    assert "Start …" in text
    assert "Start it" in page(client, "campaign_start", campaign.pk)
    assert "3 customers" in page(client, "campaign_progress", campaign.pk)
    assert post(client, "campaign_start", campaign.pk).status_code == 302
    feeding.work_off(clock=timezone.now)
    assert "0 of 3 sent" in page(client, "campaign_change", campaign.pk)
    sending.work_off("email", clock=lambda: timezone.now() + feeding.AHEAD)
    feeding.work_off(clock=timezone.now)
    text = page(client, "campaign_progress", campaign.pk)
    assert "3 of 3 sent" in text
    assert "hx-get" not in text, "it is over: nothing is asked for again"
    rows = list(
        csv.DictReader(
            io.StringIO(
                client.get(
                    reverse("admin:notifications_campaign_results", args=[campaign.pk])
                ).content.decode("utf-8-sig")
            )
        )
    )
    assert [(row["customer"], row["state"], row["address"]) for row in rows] == [
        (str(one.pk), "sent", f"c{one.pk}@example.org") for one in there
    ]


def test_b49_names_in_results_are_no_formulas(client, boss, team) -> None:
    customer = make_customer([team], name="=HYPERLINK(1)")
    campaign = make_campaign(team, segment=None)
    CampaignRecipient.objects.create(campaign=campaign, customer=customer, way="email")
    answer = client.get(reverse("admin:notifications_campaign_results", args=[campaign.pk]))
    assert "'=HYPERLINK(1)" in answer.content.decode()


def test_pause_resume_and_stop_after_a_question(client, boss, team) -> None:
    people(1, team)
    campaign = campaigns.start(make_campaign(team).pk, by=SYSTEM, now=timezone.now())
    feeding.work_off(clock=timezone.now)
    assert "hx-get" in page(client, "campaign_progress", campaign.pk)
    for act, state in (("pause", "paused"), ("resume", "running")):
        assert post(client, f"campaign_{act}", campaign.pk).status_code == 302
        assert Campaign.objects.get().state == state
        assert (
            client.get(reverse(f"admin:notifications_campaign_{act}", args=[campaign.pk])).status_code == 405
        )
    assert "1 message would never go out" in page(client, "campaign_stop", campaign.pk)
    assert Campaign.objects.get().state == "running"
    post(client, "campaign_stop", campaign.pk)
    assert Campaign.objects.get().state == "stopped"
    answer = client.post(reverse("admin:notifications_campaign_stop", args=[campaign.pk]), follow=True)
    assert "is over" in answer.content.decode()


def test_what_is_started_is_not_changed_any_more(client, boss, team) -> None:
    people(1, team)
    campaign = campaigns.start(make_campaign(team).pk, by=SYSTEM, now=timezone.now())
    fields = campaign_fields(team, name="Other", segment=campaign.segment_id)
    assert post(client, "campaign_change", campaign.pk, **fields).status_code == 403
    assert Campaign.objects.get().name == "Spring letter"


def test_a_zone_that_a_program_named_stays(client, boss, team) -> None:
    campaign = make_campaign(team=team, zone="EST5EDT")
    zones = page(client, "campaign_change", campaign.pk).split('name="zone"')[1].split("</select>")[0]
    assert '<option value="EST5EDT" selected' in zones
    assert '<option value="Europe/Berlin"' in zones
    fields = campaign_fields(team, segment=make_segment().pk, zone="EST5EDT")
    assert post(client, "campaign_change", campaign.pk, **fields).status_code == 302
    assert Campaign.objects.get().zone == "EST5EDT"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ways": ["in_app"]}, "Select a valid choice"),
        ({"ways": []}, "required"),
        ({"team": ""}, "required"),
        ({"date": "2030-01-01"}, "Say both the date and the time"),
        ({"local_from": "09:00", "local_until": "09:00"}, "no time at all"),
        ({"per_minute": 0}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_comes_back_beside_its_field(
    client, boss, team, fields: dict[str, Any], said: str
) -> None:
    answer = post(client, "campaign_add", **campaign_fields(team) | fields)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Campaign.objects.exists()


def test_foreign_teams_and_segments_are_not_on_offer(client, boss, team) -> None:
    other = make_team()
    for fields in ({"team": other.pk}, {"segment": make_segment(team=other).pk}):
        assert post(client, "campaign_add", **campaign_fields(team) | fields).status_code == 200
    assert not Campaign.objects.exists()


def test_an_administrator_may_write_to_everybody(client, admin, team) -> None:
    assert (
        post(
            client, "campaign_add", **campaign_fields(team) | {"team": "", "segment": make_segment().pk}
        ).status_code
        == 302
    )
    assert Campaign.objects.get().team is None


def file(text: str | bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("list.csv", text if isinstance(text, bytes) else text.encode(), "text/csv")


def test_a_list_is_uploaded_whole_or_not_at_all_and_removed(client, boss, team) -> None:
    for number in range(3):
        make_customer([team], external_id=f"C{number}")
    campaign = make_campaign(team, segment=None)
    assert "Upload a list" in page(client, "campaign_change", campaign.pk)
    assert "Start …" not in page(client, "campaign_change", campaign.pk)
    wrong = post(client, "campaign_upload", campaign.pk, file=file("external_id\nC0\nC9\nC1,x\n\nC8\n"))
    assert wrong.status_code == 200
    assert "line 3: There is no such customer: C9." in wrong.content.decode()
    assert "line 4: 2 cells instead of 1." in wrong.content.decode()
    assert "line 6: There is no such customer: C8." in wrong.content.decode()
    assert not CampaignRecipient.objects.exists()
    good = client.post(
        reverse("admin:notifications_campaign_upload", args=[campaign.pk]),
        {"file": file("external_id\nC0\nC1\nC1\n")},
        follow=True,
    )
    text = good.content.decode()
    assert "2 customers are new in the list; 1 lines meant somebody who is in it already." in text
    assert "Start …" in text
    for nothing in (b"", b"\xff\xfe", b"name\nx\n"):
        answer = post(client, "campaign_upload", campaign.pk, file=file(nothing))
        assert answer.status_code == 200
        assert 'role="alert"' in answer.content.decode()
    assert post(client, "campaign_upload", campaign.pk).status_code == 200
    assert post(client, "campaign_upload", campaign.pk, remove="1").status_code == 302
    assert not CampaignRecipient.objects.exists()


def test_pages_ask_no_more_for_many_recipients(client, boss, team, django_assert_max_num_queries) -> None:
    people(30, team)
    campaign = make_campaign(team)
    with django_assert_max_num_queries(40):
        page(client, "campaign_change", campaign.pk)
    campaigns.start(campaign.pk, by=SYSTEM, now=timezone.now())
    feeding.work_off(clock=timezone.now)
    with django_assert_max_num_queries(14):
        page(client, "campaign_progress", campaign.pk)
    with django_assert_max_num_queries(12):
        page(client, "campaign_results", campaign.pk)


# API


def test_the_api_lists_shows_and_acts(client, boss, team) -> None:
    people(2, team)
    campaign = make_campaign(team)
    make_campaign(make_team())
    (row,) = client.get(reverse("campaign-list"), {"state": "draft"}).json()["results"]
    assert (row["id"], row["state"], row["team"], row["local_start"]) == (campaign.pk, "draft", team.pk, None)
    started = client.post(reverse("campaign-start", args=[campaign.pk]))
    assert (started.status_code, started.json()["state"]) == (200, "scheduled")
    feeding.work_off(clock=timezone.now)
    shown = client.get(reverse("campaign-detail", args=[campaign.pk])).json()
    assert shown["progress"] == {
        "planned": 2, "waiting": 0, "held": {}, "under_way": 2, "sent": 0, "delivered": 0, "suppressed": {},
        "failed": 0, "review": 0, "cancelled": 0,
    }  # fmt: skip
    again = client.post(reverse("campaign-start", args=[campaign.pk]))
    assert (again.status_code, again.json()["code"]) == (409, "campaign_has_begun")
    assert client.post(reverse("campaign-pause", args=[campaign.pk])).json()["state"] == "paused"
    assert client.post(reverse("campaign-resume", args=[campaign.pk])).json()["state"] == "running"
    assert client.post(reverse("campaign-stop", args=[campaign.pk])).json()["state"] == "stopped"


# Command line


def run(capsys, *words: str) -> list[dict]:
    call_command("campaign", *words, "--json")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_command_imports_starts_shows_and_stops(capsys, team, tmp_path: Path) -> None:
    for number in range(3):
        make_customer([team], external_id=f"C{number}")
    campaign = make_campaign(team, segment=None)
    listed, number = tmp_path / "list.csv", str(campaign.pk)
    listed.write_text("external_id;amount\nC0;1\nC1;2\n\nC1;3\n")
    assert run(capsys, "import", number, "--csv", str(listed)) == [
        {"id": campaign.pk, "lines": 3, "new": 2, "again": 1}
    ]
    listed.write_text("external_id\nC2\n")
    imported, started = run(capsys, "start", number, "--csv", str(listed))
    assert (imported["new"], started["state"], started["planned"]) == (1, "scheduled", 3)
    assert [row["id"] for row in run(capsys, "list")] == [campaign.pk]
    assert run(capsys, "pause", number)[0]["state"] == "paused"
    assert run(capsys, "resume", number)[0]["state"] in ("running", "scheduled")
    assert run(capsys, "stop", number)[0]["state"] == "stopped"
    assert run(capsys, "show", number)[0]["waiting"] == 3


def test_the_command_checks_all_then_takes_over_batch_by_batch_and_goes_on_when_run_again(
    capsys, team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.notifications.management.commands import campaign as command

    monkeypatch.setattr(command, "BATCH", 2)
    for number in (0, 1, 2, 4):
        make_customer([team], external_id=f"C{number}")
    campaign, listed = make_campaign(team, segment=None), tmp_path / "list.csv"
    listed.write_text("external_id\n" + "".join(f"C{number}\n" for number in range(5)))
    with pytest.raises(CommandError, match="line 5: There is no such customer: C3"):
        run(capsys, "import", str(campaign.pk), "--csv", str(listed))
    assert not CampaignRecipient.objects.exists()
    make_customer([team], external_id="C3")
    with monkeypatch.context() as there:
        left = [campaign_lists.add]
        there.setattr(campaign_lists, "add", lambda *args, **more: left.pop()(*args, **more))
        with pytest.raises(IndexError):
            run(capsys, "import", str(campaign.pk), "--csv", str(listed))
    assert CampaignRecipient.objects.count() == 2
    assert run(capsys, "import", str(campaign.pk), "--csv", str(listed))[0]["new"] == 3


def test_the_command_says_what_is_wrong(capsys, team, tmp_path: Path) -> None:
    campaign, listed = make_campaign(team, segment=None), tmp_path / "list.csv"
    listed.write_text("external_id,n\nC0,1\nC0\n")
    for words, said in (
        (
            ["import", str(campaign.pk), "--csv", str(listed)],
            "line 2: There is no .*\nline 3: 1 cells instead of 2",
        ),
        (["import", str(campaign.pk), "--csv", str(tmp_path / "none.csv")], "cannot be read"),
        (["start", str(campaign.pk)], "Nobody would get it"),
        (["pause", str(campaign.pk)], "not running"),
        (["show", "999999"], "no campaign 999999"),
        (["stop", "999999"], "no such campaign"),
    ):
        with pytest.raises(CommandError, match=said):
            run(capsys, *words)


def test_people_read_words_and_tables(capsys, team) -> None:
    call_command("campaign", "list")
    assert "There are no campaigns." in capsys.readouterr().out
    make_campaign(team, name="One [b]")
    make_campaign(team, name="Two")
    Campaign.objects.filter(pk=make_campaign(team, name="Over").pk).update(ended_at=timezone.now())
    call_command("campaign", "list")
    printed = capsys.readouterr().out
    assert all(words in printed for words in ("starts_at", "One [b]", "Two"))
    ended = Campaign.objects.get(name="Over").ended_at
    assert f"{ended:%Y-%m-%d}" in printed
    assert f"{ended:.%f}" not in printed
    call_command("campaign", "show", str(Campaign.objects.first().pk))
    assert "planned: 0" in capsys.readouterr().out
