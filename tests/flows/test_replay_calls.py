"""The call replay: what it reads, what it plans, what its figures mean, and a small day through a real server."""

from __future__ import annotations

import gzip
import json
import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.messaging.services import conversations
from apps.routing.choices import Chosen
from apps.routing.models import Skill
from apps.routing.services import agents, queueing
from apps.users.models import User
from eml.replay import proof
from eml.replay.calls import figures, hall, log, plan
from eml.replay.calls.figures import ALL, Outcome
from eml.replay.calls.log import Call
from eml.replay.calls.plan import Arrival, Patience, Shift
from eml.replay.turns import BadFile
from tests.factories import hand_to, make_conversation, put_in_line
from tests.faults.processes import embedded

HEAD = "seq,date,customer,priority,type,vru_exit,q_start,q_exit,outcome,ser_start,ser_exit,agent\n"
# Ana talks, somebody waits for her and is answered, one loses patience; a priority call for Ben; one is nobody's.
DAY = [
    "1,1999-02-01,0,0,PS,100,,,AGENT,100,130,A01",
    "2,1999-02-01,7,0,PS,105,105,135,AGENT,135,150,A01",
    "3,1999-02-01,8,0,PS,106,106,116,HANG,,,",
    "4,1999-02-01,9,2,NE,110,110,112,AGENT,112,140,A02",
    "5,1999-02-01,0,0,PS,90,,,HANG,,,",
    "6,1999-02-01,0,0,PS,91,91,92,PHANTOM,,,",
    "7,1999-02-02,0,0,PS,50,,,AGENT,50,60,A01",
]


def write(folder: Path, rows: list[str] = DAY, *, head: str = HEAD, name: str = "calls.csv") -> Path:
    path = folder / name
    text = head + "".join(f"{row}\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def call(at: int, wait: int = 0, *, service: int | None = 10, agent: str = "A01", queue: str = "PS") -> Call:
    answered = service is not None
    return Call(at, queue, False, wait, answered, service, agent if answered else "")


# What it reads


@pytest.mark.parametrize("name", ["calls.csv", "calls.csv.gz"])
def test_calls_that_asked_for_an_agent_are_read_by_day(tmp_path: Path, name: str) -> None:
    days = log.read(write(tmp_path, name=name))
    assert list(days) == ["1999-02-01", "1999-02-02"]
    assert days["1999-02-01"] == [
        Call(100, "PS", False, 0, True, 30, "A01"),
        Call(105, "PS", False, 30, True, 15, "A01"),
        Call(106, "PS", False, 10, False, None, ""),
        Call(110, "NE", True, 2, True, 28, "A02"),
    ]


def test_clocks_that_went_backwards_and_unknown_services_are_borne(tmp_path: Path) -> None:
    rows = [
        "1,d,0,0,PS,100,100,90,AGENT,100,95,A01",
        "2,d,0,0,PS,101,,,AGENT,,,A01",
    ]
    (backwards, unknown) = log.read(write(tmp_path, rows))["d"]
    assert (backwards.wait, backwards.service) == (0, 0)
    assert (unknown.at, unknown.is_answered, unknown.service) == (101, True, None)


@pytest.mark.parametrize(
    ("rows", "head", "what"),
    [
        ([], "seq,date\n", "column priority is missing"),
        (["1,d,0,0,PS,x,,,AGENT,1,2,A01"], HEAD, "line 2: invalid literal"),
        (["1,d,0,0,PS,,,,AGENT,,,A01"], HEAD, "line 2: a call without a time"),
        (["1,d"], HEAD, "line 2"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, rows: list[str], head: str, what: str) -> None:
    with pytest.raises(BadFile, match=what):
        log.read(write(tmp_path, rows, head=head))


def test_a_file_that_is_not_there_is_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"missing\.csv"):
        log.read(tmp_path / "missing.csv")


def test_gaps_are_measured_while_two_wait_and_breaks_are_none() -> None:
    def waiting(at: int) -> list[Call]:
        return [call(at - 5, 2_000, service=None) for _ in range(2)]

    hurried = [call(0, service=100), call(107), *waiting(100)]
    assert log.gaps(hurried) == [7]
    assert log.gaps([call(0, service=100), call(107), call(95, 50, service=None)]) == []
    assert log.gaps([call(0, service=100), call(800), *waiting(100)]) == []


# What it plans


def test_agents_are_there_from_first_to_last_call_but_for_breaks() -> None:
    calls = [call(100, service=50), call(160, service=10, queue="NE"), call(2_000, service=40)]
    assert plan.shifts(calls)[0].hours == ((100, 2_040),), "nobody waited, so he may have been idle"
    calls.append(call(900, 15, service=None))
    assert plan.shifts(calls) == [Shift("A01", frozenset({"PS", "NE"}), ((100, 170), (2_000, 2_040)))]
    assert plan.shifts(calls)[0].seconds == 110


def test_patience_of_those_who_hung_up_is_known() -> None:
    calls = [call(0, 30, service=None), call(0, 50)]
    assert Patience(calls).of(calls[0], random.Random(1)) == 30.0


def test_patience_of_the_answered_is_drawn_from_those_who_were_more_patient() -> None:
    calls = [call(0, seconds, service=None) for seconds in (10, 20, 30)] + [call(0, 15), call(0, 40)]
    draws = {Patience(calls).of(calls[3], random.Random(seed)) for seed in range(50)}
    # 40: as long as anybody ever waited, for those who outlast all who hung up.
    assert draws == {20.0, 30.0, 40.0}


def test_kaplan_meier_counts_those_still_there() -> None:
    """Of four one leaves at 10; at 20 one of the two who are left."""
    calls = [call(0, 10, service=None), call(0, 12), call(0, 20, service=None), call(0, 30)]
    estimate = Patience(calls)
    assert estimate._left == pytest.approx([0.75, 0.375])


def test_the_seed_decides_what_is_drawn() -> None:
    calls = [call(n, n, service=None if n % 2 else n) for n in range(60)]
    first, same, other = (plan.make(calls, gaps=[5], seed=seed) for seed in (1, 1, 2))
    assert first == same
    assert first.arrivals != other.arrivals
    assert first.begins_at == 0


def test_calls_nobody_answered_would_have_taken_as_long_as_others_of_their_kind() -> None:
    calls = [call(0, service=77), call(1, service=5, queue="NE"), call(2, 9, service=None)]
    made = plan.make(calls, gaps=[], seed=1)
    assert made.arrivals[2] == Arrival(2, "PS", False, 9.0, 77)
    assert made.gaps == [plan.USUAL_GAP_SECONDS]


# Its figures


def test_figures_are_counted_as_their_names_say() -> None:
    outcomes = [Outcome("PS", 10, 60), Outcome("PS", 30, 20), Outcome("PS", 20, None), Outcome("NE", 0, 20)]
    found = figures.by_queue(outcomes, staffed_seconds=200)
    assert list(found) == [ALL, "PS", "NE"]
    assert found[ALL] == figures.Figures(
        offered=4,
        answered=3,
        abandoned=1,
        abandoned_percent=25.0,
        mean_wait_seconds=15.0,
        mean_wait_answered_seconds=13.3,
        service_level_percent=50.0,
        utilisation_percent=50.0,
    )
    assert found["PS"].utilisation_percent + found["NE"].utilisation_percent == 50.0


def test_figures_of_nothing_are_nought() -> None:
    assert figures.by_queue([], staffed_seconds=0)[ALL].abandoned_percent == 0.0


@pytest.mark.django_db
def test_replayed_waits_and_talks_are_stretched_to_the_time_of_the_log() -> None:
    built = hall.build(["PS"], [Shift("A01", frozenset({"PS"}), ((0, 9),))], speed=10)
    (user,) = built.users.values()
    lane, now = built.lanes["PS"], timezone.now()
    agents.choose(user, chosen=Chosen.AVAILABLE, now=now, by=user)
    answered = put_in_line(lane.queue, waited=3)
    hand_to(answered, agents.of(user))
    conversations.close(answered.conversation_id, by=SYSTEM, now=timezone.now() + timedelta(seconds=8))
    left = make_conversation(lane.inbox, waited=4)
    conversations.close(left.pk, by=left.customer, now=timezone.now())
    found = figures.of_replay([answered.conversation_id, left.pk], built, speed=10)
    (talked,) = [outcome for outcome in found if outcome.talk]
    assert talked.wait == pytest.approx(30, abs=10)
    assert talked.talk == pytest.approx(80, abs=10)
    (gone,) = [outcome for outcome in found if not outcome.talk]
    assert gone.wait == pytest.approx(40, abs=10)
    # Eight seconds on contact, and perhaps one available before: wrap-up counts for neither.
    assert figures.occupancy_in_replay(built, now=now + timedelta(seconds=20)) in (88.9, 100.0)
    assert figures.staffed_in_replay(built, speed=10, now=now + timedelta(seconds=2)) == pytest.approx(20)


# What it needs in the database


@pytest.mark.django_db
def test_the_hall_gives_a_head_start_to_credited_callers_and_is_taken_down() -> None:
    kind = "Stock exchange: urgent!"
    built = hall.build([kind, ""], [Shift("A 01", frozenset({kind, ""}), ((0, 9),))], speed=30)
    lane = built.lanes[kind]
    assert lane.queue.levels.get().credit == 3
    customer = make_conversation(lane.inbox).customer
    customer.attributes = {queueing.PRIORITY: hall.CREDITED}
    customer.save()
    assert put_in_line(lane.queue, customer=customer).credit == 3
    hall.take_down(built)
    hall.take_down(built)
    assert not User.objects.filter(email__endswith="@replay.invalid", is_active=True).exists()
    lane.inbox.refresh_from_db()
    lane.queue.refresh_from_db()
    assert not lane.inbox.is_active
    assert not lane.queue.is_active
    assert not Skill.objects.exists()


@pytest.mark.django_db
def test_whoever_hung_up_before_he_was_in_line_is_not_left_behind() -> None:
    gone, waiting = make_conversation(), make_conversation()
    conversations.close(gone.pk, by=gone.customer, now=timezone.now(), reason="ended_by_customer")
    faults = proof.left_behind([gone.pk, waiting.pk])
    assert not [text for text in faults if f"conversation {gone.pk}:" in text and "line" in text]
    assert f"conversation {waiting.pk}: never came into a line" in faults


# The command


@pytest.mark.parametrize(
    ("options", "what"),
    [({"speed": 0.0}, "--speed"), ({"date": "1999-03-01"}, "no calls"), ({"first": 5.0}, "no calls")],
)
def test_the_command_refuses_what_makes_no_sense(tmp_path: Path, options: dict, what: str) -> None:
    with pytest.raises(CommandError, match=what):
        call_command("replay_calls", write(tmp_path), **options)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.embedded
@pytest.mark.timeout(240)
def test_a_small_day_through_a_real_server(tmp_path: Path) -> None:
    with embedded(tmp_path) as (installation, server):
        server.start().wait_ready()
        done = installation.manage("replay_calls", str(write(tmp_path)), "--speed=10", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        again = installation.manage("check_routing")
    assert told["actual"][ALL] | {"offered": 4, "answered": 3, "abandoned": 1} == told["actual"][ALL]
    assert told["replayed"][ALL]["offered"] == 4
    assert (told["date"], told["faults"]) == ("1999-02-01", [])
    assert told["audits"] >= 1
    assert again.returncode == 0, again.stdout


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.embedded
@pytest.mark.timeout(240)
def test_the_command_prints_log_and_replay_side_by_side(tmp_path: Path) -> None:
    with embedded(tmp_path) as (installation, server):
        server.start().wait_ready()
        done = installation.manage("replay_calls", str(write(tmp_path)), "--speed=20")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "log",
        "replay",
        "service level",
        "every abandon is a miss",
        "occupancy of the replay",
        "nothing was violated",
    ):
        assert words in done.stdout
