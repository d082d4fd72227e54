"""Something is used up or held too long (F11, F24, F26): whoever asks is told in seconds, and nothing is half done."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from rest_framework.test import APIClient

from apps.messaging.models import Attachment, Conversation
from apps.users.services import tokens
from tests.factories import make_conversation, make_inbox, make_team, make_user
from tests.faults.chat import chat_with, started
from tests.faults.processes import Process, embedded, wait_until

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer, who waits longer"
)
# lock_timeout, and what a busy machine adds.
IN_TIME_SECONDS = 4.0


@pytest.fixture
def conversation(db: None) -> Conversation:
    team = make_team()
    return make_conversation(make_inbox(team), agent=make_user(teams=[team]))


@pytest.fixture
def agent(conversation: Conversation) -> APIClient:
    api = APIClient(raise_request_exception=False)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(conversation.agent).access}")
    return api


def refused(answer: Any) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer["Retry-After"]) > 0


@contextlib.contextmanager
def held(conversation: Conversation) -> Iterator[None]:
    """Somebody else has the row and does not let go of it."""
    has_it, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.closing(connection.copy()) as other:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                cursor.execute(
                    "SELECT 1 FROM messaging_conversation WHERE id = %s FOR UPDATE", [conversation.pk]
                )
                has_it.set()
                is_over.wait(30)
            other.rollback()

    thread = threading.Thread(target=hold)
    thread.start()
    assert has_it.wait(10)
    try:
        yield
    finally:
        is_over.set()
        thread.join(10)


@pytest.mark.services
@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_f11_a_row_that_is_held_too_long_is_not_waited_for(
    conversation: Conversation, agent: APIClient
) -> None:
    close = f"/api/v1/conversations/{conversation.pk}/close/"
    with held(conversation):
        began = time.monotonic()
        refused(agent.post(close))
        assert time.monotonic() - began < IN_TIME_SECONDS
    conversation.refresh_from_db()
    assert conversation.is_open
    assert agent.post(close).status_code == 200


@pytest.mark.services
@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_f11_without_a_free_connection_the_answer_comes_in_seconds(
    conversation: Conversation, agent: APIClient
) -> None:
    pool = connection.pool
    answers, took = [], []

    def ask() -> None:
        """In a thread, which has no connection yet."""
        began = time.monotonic()
        answers.append(agent.get("/api/v1/me/"))
        took.append(time.monotonic() - began)
        connection.close()

    def asked() -> Any:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(20)
        return answers.pop()

    connection.close()
    taken = [pool.getconn() for _ in range(settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"])]
    try:
        refused(asked())
        assert took.pop() < IN_TIME_SECONDS
    finally:
        for one in taken:
            pool.putconn(one)
    assert asked().status_code == 200


@pytest.mark.services
@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_f09_one_failure_tells_of_all_connections_that_were_lost(
    conversation: Conversation, agent: APIClient
) -> None:
    pool = connection.pool
    connection.close()
    taken = [pool.getconn() for _ in range(5)]
    pids = [one.info.backend_pid for one in taken]
    for one in taken:
        pool.putconn(one)
    with contextlib.closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute(HANG_UP, [pids])
    answers = []
    try:
        for _ in range(6):
            answers.append(agent.get("/api/v1/me/").status_code)
            connection.close()
    finally:
        # Those that nobody asked for are no concern of the next test.
        pool.check()
    # The one that hung up on the others still works; it may come first.
    assert sorted(answers) in ([200] * 6, [200] * 5 + [503])


HANG_UP = "SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid WHERE pid <> pg_backend_pid()"


@pytest.mark.django_db
def test_f24_a_full_disk_keeps_no_half_of_a_file(
    conversation: Conversation, agent: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    upload = f"/api/v1/conversations/{conversation.pk}/attachments/"
    with monkeypatch.context() as patch:
        patch.setattr(FileSystemStorage, "_save", full)
        file = SimpleUploadedFile("words.txt", b"words")
        refused(agent.post(upload, {"file": file}, format="multipart"))
    assert not Attachment.objects.exists()
    file = SimpleUploadedFile("words.txt", b"words")
    assert agent.post(upload, {"file": file}, format="multipart").status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's disk cannot be filled for one test")
def test_f24_a_database_without_room_is_unavailable_until_there_is_some(
    conversation: Conversation, agent: APIClient
) -> None:
    say = f"/api/v1/conversations/{conversation.pk}/messages/"

    def said(number: int) -> Any:
        return agent.post(say, {"client_msg_id": str(uuid.UUID(int=number)), "body": "x" * 4_000})

    def room(pages: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {pages}")

    room(1)  # SQLite takes the present size for it
    try:
        answers = [said(number) for number in range(1, 40)]
    finally:
        room(2**30)
    stored = [answer for answer in answers if answer.status_code == 201]
    assert len(stored) < len(answers)
    refused(answers[-1])
    conversation.refresh_from_db()
    numbers = list(conversation.messages.order_by("seq").values_list("seq", flat=True))
    assert numbers == list(range(1, conversation.last_seq + 1))
    assert said(39).status_code == 201
    assert conversation.messages.count() == len(numbers) + 1


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.embedded
def test_f26_without_a_free_file_nobody_new_comes_in_and_whoever_is_in_goes_on(tmp_path: Path) -> None:
    with embedded(tmp_path) as (_, server):
        server.start().wait_ready()
        with chat_with(server, "support") as chat:
            assert chat.say("before")["type"] == "ack"
            with all_files_used(server):
                with pytest.raises(httpx.TransportError):
                    started(server, "support")
                answer = chat.say("meanwhile")
                assert answer["type"] == "ack" or answer["code"] == "unavailable"
            wait_until(server.answers, seconds=10, what="it takes new connections again")
            assert started(server, "support").status_code == 201
            assert chat.say("after")["type"] == "ack"


@contextlib.contextmanager
def all_files_used(server: Process) -> Iterator[None]:
    """By connections of somebody who says nothing."""
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    open_files = len(os.listdir(f"/proc/{server.pid}/fd"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (open_files + 20, before[1]))
    with contextlib.ExitStack() as idle:
        for _ in range(60):
            idle.enter_context(socket.create_connection(("127.0.0.1", server.port or 0), timeout=5))
        yield
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
