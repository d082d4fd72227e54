"""Replay: what it reads, how its clients call, and above all that its proof finds what is wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event, Handling
from apps.messaging.choices import Sender, Status
from apps.messaging.models import Conversation, Message
from apps.messaging.services import conversations
from apps.routing.choices import ItemState
from apps.routing.models import Agent, Item
from apps.routing.services import work
from eml.management.commands.replay import _Play
from eml.replay import proof as proofs
from eml.replay import rest, turns
from eml.replay import stage as scenery
from eml.replay.address import Address
from eml.replay.customer import Customer, Pace
from eml.replay.journal import Journal, Seen
from eml.replay.line import Line
from eml.replay.rest import NoAnswer, Rest
from tests.factories import hand_to, make_agent, make_inbox, make_message, make_queue, put_in_line, ring

HEAD = "conversationId,turn,utterance\n"


def write(folder: Path, text: str, *, name: str = "turns.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


# What it reads


@pytest.mark.parametrize("name", ["turns.csv", "turns.csv.gz"])
def test_turns_come_in_their_order_whatever_order_the_lines_have(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, HEAD + 'a,10,last\na,2,"first, really"\nb,0,alone\na,3,\n', name=name)
    assert turns.read(path, limit=0, seed=1) == {"a": ["first, really", "last"], "b": ["alone"]}


def test_other_columns_and_a_byte_order_mark_do_not_disturb(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffdomain,conversationId,turn,utterance\nair,a,0,hi\n")
    assert turns.read(path, limit=0, seed=1) == {"a": ["hi"]}


def test_very_long_utterances_are_cut(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + f"a,0,{'x' * 5000}\n")
    assert turns.read(path, limit=0, seed=1) == {"a": ["x" * turns.LONGEST_UTTERANCE]}


def test_the_seed_decides_which_conversations_are_drawn(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "".join(f"c{n},0,hi\n" for n in range(100)))
    draws = [list(turns.read(path, limit=10, seed=seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert len(draws[0]) == 10
    assert len(turns.read(path, limit=500, seed=1)) == 100


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("conversationId,turn,text\na,0,hi\n", "column utterance"),
        ("", "column conversationId"),
        (HEAD + "a,0,hi\na,second,hi\n", "line 3"),
        (HEAD + "a,-1,hi\n", "line 2"),
        (HEAD + "a,1.5,hi\n", "line 2"),
        (HEAD + "a,0\n", "line 2"),
        (HEAD + ",0,hi\n", "line 2"),
        (HEAD + f"a,0,{'x' * 200_000}\n", "line 2"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(turns.BadFile, match=what):
        turns.read(write(tmp_path, text), limit=0, seed=1)


def test_files_that_are_not_what_they_say_are_bad_files(tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv.gz"
    plain.write_text(HEAD + "a,0,hi\n")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((HEAD + "a,0,hi\n" * 1000).encode())[:60])
    latin = tmp_path / "latin.csv"
    latin.write_bytes((HEAD + "a,0,grün\n").encode("latin1"))
    for path in (plain, cut, latin, tmp_path / "missing.csv", tmp_path):
        with pytest.raises(turns.BadFile, match=path.name):
            turns.read(path, limit=0, seed=1)


@pytest.mark.parametrize("options", [{"customers": 0}, {"agents": 0}, {"limit": -1}, {"rate": -1.0}])
def test_the_command_refuses_options_that_make_no_sense(tmp_path: Path, options: dict) -> None:
    with pytest.raises(CommandError, match=next(iter(options))):
        call_command("replay", write(tmp_path, HEAD + "a,0,hi\n"), **options)


def test_the_command_refuses_a_file_without_conversations(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no conversation"):
        call_command("replay", write(tmp_path, HEAD))


# What it proves


class Played:
    """A run without faults, written down as the clients would: two conversations of one agent."""

    def __init__(self) -> None:
        self.journal = Journal()
        queue = make_queue([(0, {})])
        self.agent: Agent = make_agent(queue.team)
        make_inbox(queue=queue)
        self.items = [self._converse(queue) for _ in range(2)]
        self.one, self.other = (item.conversation_id for item in self.items)
        Handling.objects.all().delete()  # a worker's business

    def _converse(self, queue) -> Item:
        item = hand_to(put_in_line(queue), self.agent)
        conversation = item.conversation
        for number in range(3):
            make_message(conversation, f"question {number}", client_msg_id=uuid.uuid4())
            make_message(conversation, f"answer {number}", user=self.agent.user, client_msg_id=uuid.uuid4())
        conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
        work.conversation_closed(conversation.pk, now=timezone.now())
        Message.objects.filter(conversation=conversation, seq=1).update(client_msg_id=uuid.uuid4())
        self._write_down(conversation)
        return item

    def _write_down(self, conversation: Conversation) -> None:
        views = (self.journal.customers[conversation.pk], self.seen_by_agent(conversation.pk))
        for row in Message.objects.filter(conversation=conversation).order_by("seq"):
            if row.sender != Sender.SYSTEM:
                self.journal.send(str(row.client_msg_id), conversation.pk, row.sender, row.body)
                self.journal.ack(str(row.client_msg_id), row.seq)
            for view in views:
                assert view.take({"seq": row.seq, "sender": row.sender, "body": row.body})

    def seen_by_agent(self, conversation: int) -> Seen:
        return self.journal.agents[conversation][self.agent.user_id]

    def row(self, seq: int) -> Message:
        return Message.objects.get(conversation=self.one, seq=seq)

    def key(self, seq: int) -> str:
        return str(self.row(seq).client_msg_id)

    def prove(self) -> proofs.Proof:
        proof = proofs.prove(self.journal, planned=2)
        proof.faults += proofs.loads_left([self.agent.pk])
        return proof


@pytest.fixture
def played(db) -> Played:
    return Played()


def test_a_run_without_faults_is_clean(played: Played) -> None:
    proof = played.prove()
    assert proof.faults == []
    assert proof.conversations == 2
    # The first line of each, then three questions and three answers.
    assert (proof.sent, proof.acknowledged, proof.stored, proof.received) == (14, 14, 14, 14)


def lose_a_row(played: Played) -> str:
    played.row(3).delete()
    return "message 3 was acknowledged, but is not stored"


def double_a_row(played: Played) -> str:
    last = Message.objects.filter(conversation=played.one).latest("seq").seq
    double = played.row(3)
    double.pk, double.seq, double.client_msg_id = None, last + 1, uuid.uuid4()
    double.save()
    return f"message {last + 1} is stored, but nobody sent it"


def swap_two_questions(played: Played) -> str:
    first, second = played.row(3), played.row(5)
    for row, seq in ((first, 1000), (second, 3), (first, 5)):
        Message.objects.filter(pk=row.pk).update(seq=seq)
    return "the words of the customer are not in the order of sending"


def change_words(played: Played) -> str:
    Message.objects.filter(pk=played.row(4).pk).update(body="something else")
    return "message 4 is stored otherwise than sent"


def change_the_sender(played: Played) -> str:
    Message.objects.filter(pk=played.row(3).pk).update(sender=Sender.AGENT)
    return "message 3 is stored otherwise than sent"


def leave_a_gap(played: Played) -> str:
    last = Message.objects.filter(conversation=played.one).latest("seq")
    Message.objects.filter(pk=last.pk).update(seq=last.seq + 1)
    return "the stored seq has a gap or a double"


def acknowledge_another_number(played: Played) -> str:
    played.journal.ack(played.key(3), 4)
    return "message 3 was acknowledged as 4"


def acknowledge_never(played: Played) -> str:
    del played.journal.acked[played.key(3)]
    return "a message was never acknowledged"


def store_what_was_refused(played: Played) -> str:
    played.journal.refuse(played.key(4), "not_your_conversation")
    return "message 4 was refused (not_your_conversation), but is stored"


def hide_a_message_from_the_agent(played: Played) -> str:
    seen = played.seen_by_agent(played.one)
    del seen.bodies[seen.order.pop()]
    return "saw 8 of 9 messages"


def hide_a_question_from_the_agent(played: Played) -> str:
    del played.seen_by_agent(played.one).bodies[5]
    return "message 5 was not received on the other side"


def hide_an_answer_from_the_customer(played: Played) -> str:
    del played.journal.customers[played.one].bodies[6]
    return "message 6 was not received on the other side"


def show_the_customer_other_words(played: Played) -> str:
    played.journal.customers[played.one].bodies[6] = ("agent", "nobody said this")
    return "the customer saw words that are not stored so"


def show_out_of_order(played: Played) -> str:
    order = played.journal.customers[played.one].order
    order[2], order[3] = order[3], order[2]
    return "the customer saw messages out of order"


def give_it_to_an_agent_who_saw_nothing(played: Played) -> str:
    other = make_agent().user
    Conversation.objects.filter(pk=played.one).update(agent=other)
    return "the agent who had it last saw nothing of it"


def leave_it_open(played: Played) -> str:
    Conversation.objects.filter(pk=played.one).update(status=Status.ACTIVE, closed_at=None)
    return "left open"


def leave_the_item(played: Played) -> str:
    Item.objects.filter(conversation=played.one).update(state=ItemState.ACTIVE)
    return "still in routing's hands"


def leave_units(played: Played) -> str:
    Agent.objects.filter(pk=played.agent.pk).update(load=1)
    return "1 units are still taken"


def leave_an_offer(played: Played) -> str:
    waiting = put_in_line(played.items[0].queue)
    offer = ring(waiting, played.agent)
    played.agent.offers.filter(pk=offer.pk).update(item=played.items[0])
    return "an offer still rings"


def lose_the_place_in_line(played: Played) -> str:
    Item.objects.get(conversation=played.one).delete()
    return "never came into a line"


def leave_work_undone(played: Played) -> str:
    event = Event.objects.filter(stream=f"conversation:{played.one}").latest("id")
    Handling.objects.create(
        event=event, subscriber="routing.enqueue", stream=event.stream, due_at=timezone.now()
    )
    return "follow-up work is undone"


def answer_500(played: Played) -> str:
    played.journal.refusals.append("POST x was answered 500 server_error")
    return "POST x was answered 500"


def give_up(played: Played) -> str:
    played.journal.trouble("conversation 7: nothing moves")
    return "nothing moves"


def never_open_one(played: Played) -> str:
    del played.journal.customers[played.other]
    return "1 of 2 conversations were never opened"


@pytest.mark.parametrize(
    "plant",
    [
        lose_a_row,
        double_a_row,
        swap_two_questions,
        change_words,
        change_the_sender,
        leave_a_gap,
        acknowledge_another_number,
        acknowledge_never,
        store_what_was_refused,
        hide_a_message_from_the_agent,
        hide_a_question_from_the_agent,
        hide_an_answer_from_the_customer,
        show_the_customer_other_words,
        show_out_of_order,
        give_it_to_an_agent_who_saw_nothing,
        leave_it_open,
        leave_the_item,
        leave_units,
        leave_an_offer,
        lose_the_place_in_line,
        leave_work_undone,
        answer_500,
        give_up,
        never_open_one,
    ],
)
def test_the_proof_finds(played: Played, plant: Callable[[Played], str]) -> None:
    fault = plant(played)
    assert [found for found in played.prove().faults if fault in found]


def test_an_agent_who_handed_it_over_need_not_see_the_end(played: Played) -> None:
    """But what he saw must be true."""
    before = played.journal.agents[played.one][0]
    for seq in (1, 2):
        row = played.row(seq)
        before.take({"seq": seq, "sender": row.sender, "body": row.body})
    assert played.prove().faults == []
    before.bodies[2] = ("customer", "never said")
    assert [fault for fault in played.prove().faults if "agent 0 saw words" in fault]


@pytest.mark.parametrize(("faults", "code"), [([], None), (["a message was lost"], 1)])
def test_the_command_ends_with_1_if_anything_is_off(
    tmp_path: Path, transactional_db, monkeypatch, capsys, faults: list[str], code: int | None
) -> None:
    async def nothing(self) -> Journal:
        return Journal()

    monkeypatch.setattr("eml.management.commands.replay._Play.run", nothing)
    monkeypatch.setattr(proofs, "prove", lambda *_, **__: proofs.Proof(1, 2, 2, 2, 2, list(faults)))
    ended = None
    try:
        call_command("replay", write(tmp_path, HEAD + "a,0,hi\n"), agents=1)
    except SystemExit as end:
        ended = end.code
    assert ended == code
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("1 faults: 1 conv" if faults else "clean: 1 conversations, 2 messages sent")


# Nobody waits for what cannot come


async def _fail(*_: object) -> None:
    raise OperationalError("database is locked")


def test_a_desk_that_fails_ends_the_replay_at_once(monkeypatch) -> None:
    waited = []

    async def wait(*_: object, **__: object) -> None:
        await asyncio.sleep(10)
        waited.append("long")

    monkeypatch.setattr(scenery, "sign_in", lambda stage: None)
    monkeypatch.setattr(Line, "run", _fail)
    monkeypatch.setattr(Customer, "live", wait)
    inbox, disposition = SimpleNamespace(slug="support"), SimpleNamespace(pk=1)
    stage = scenery.Stage(inbox, disposition, [SimpleNamespace(pk=1)], [1])
    play = _Play({"a": ["hi"]}, stage, {"server": ["http://a"], "customers": 1, "rate": 0})
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(play.run())
    assert raised.group_contains(OperationalError, match="locked")
    assert waited == []


def test_a_customer_whose_line_fails_gives_up_at_once(monkeypatch) -> None:
    monkeypatch.setattr(Line, "run", _fail)
    started = httpx.Response(201, json={"token": "t", "conversation": 2})

    async def live() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(Script(started))) as http:
            customer = Customer(["http://a"], "support", ["hi"], http=http, journal=Journal())
            await asyncio.wait_for(customer.live(Pace(0), turns_of={}), 10)

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(live())
    assert raised.group_contains(OperationalError, match="locked")


# How its clients see and call


def test_a_view_takes_each_message_once_and_in_order() -> None:
    seen = Seen()
    says = [seen.take({"seq": seq, "sender": "customer", "body": str(seq)}) for seq in (1, 3, 2, 2, 1, 3)]
    assert says == [True, False, True, False, False, True]
    assert (seen.order, seen.repeats) == ([1, 2, 3], 2)


def test_whoever_loses_a_door_tries_the_next() -> None:
    address = Address(["http://a/", "http://b"], numbers=iter([0]))
    doors = [address.http]
    for _ in range(2):
        address.move_on()
        doors.append(address.ws)
    assert doors == ["http://a", "ws://b", "ws://a"]


class Script:
    """A server that gives these answers in turn; None is a broken connection."""

    def __init__(self, *answers: httpx.Response | None) -> None:
        self.answers, self.requests = list(answers), []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if answer is None:
            raise httpx.ConnectError("refused")
        return answer


def ask(script: Script, journal: Journal, **options) -> dict | None:
    async def credentials() -> dict[str, str]:
        return {"Authorization": "Bearer x"}

    async def run() -> dict | None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(script)) as http:
            address = Address(["http://a", "http://b"], numbers=iter([0]))
            client = Rest(address, http=http, journal=journal, prefix="chat/", credentials=credentials)
            return await client.call("POST", "end/", {"key": 1}, **options)

    return asyncio.run(run())


@pytest.fixture
def no_waiting(monkeypatch) -> list[float]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(rest.asyncio, "sleep", sleep)
    return slept


def test_a_call_is_repeated_at_the_next_door_until_it_is_answered(no_waiting) -> None:
    busy = httpx.Response(503, headers={"Retry-After": "5"})
    limited = httpx.Response(429, headers={"Retry-After": "40"})
    script, journal = Script(None, busy, limited, httpx.Response(200, json={"ok": True})), Journal()
    assert ask(script, journal) == {"ok": True}
    assert [request.url.host for request in script.requests] == ["a", "b", "b", "b"]
    assert {json.loads(request.content)["key"] for request in script.requests} == {1}
    assert [seconds >= least for seconds, least in zip(no_waiting, (0.1, 5, 40), strict=True)] == [True] * 3
    assert dict(journal.answers) == {503: 1, 429: 1, 200: 1}
    assert journal.refusals == []


def test_a_conflict_that_is_expected_settles_the_call(no_waiting) -> None:
    journal = Journal()
    assert ask(Script(httpx.Response(409, json={})), journal, settled=(409,)) is None
    assert journal.refusals == []


@pytest.mark.parametrize("status", [500, 502, 409, 400])
def test_an_answer_that_must_not_be_is_a_fault(no_waiting, status: int) -> None:
    journal = Journal()
    with pytest.raises(NoAnswer):
        ask(Script(httpx.Response(status, text="<html>")), journal)
    assert f"answered {status}" in journal.refusals[0]


def test_a_server_that_never_comes_back_is_given_up(no_waiting, monkeypatch) -> None:
    monkeypatch.setattr(rest, "PATIENCE_SECONDS", -1.0)
    with pytest.raises(NoAnswer, match="got no answer"):
        ask(Script(None), Journal())
