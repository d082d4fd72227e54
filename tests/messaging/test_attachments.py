"""Files in conversations: kept, counted, served as downloads, swept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from apps.messaging import downloads, errors
from apps.messaging.models import Attachment
from apps.messaging.services import attachments, conversations
from apps.messaging.tasks import sweep
from tests.factories import make_conversation, make_message, make_user, make_visitor


@pytest.fixture
def conversation(db):
    return make_conversation()


@pytest.fixture
def visitor(conversation):
    return make_visitor(conversation)[0]


def _stored() -> list[str]:
    root = Path(default_storage.location)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_file_lies_under_a_random_name(conversation, visitor, upload) -> None:
    file = upload(conversation, by=visitor, name="../../evil.txt")
    assert _stored() == [f"attachments/{file.pk.hex[:2]}/{file.pk.hex}"]
    assert (file.name, file.content_type, file.size) == ("evil.txt", "text/plain", 10)
    assert file.uploaded_by == visitor.actor_ref
    assert len(file.sha256) == 64


def test_b47_ids_are_random(conversation, visitor, upload) -> None:
    assert upload(conversation, by=visitor).pk.version == 4


def test_b40_the_limit_and_one_byte_more(conversation, visitor, upload, settings) -> None:
    settings.ATTACHMENT_MAX_BYTES = 100
    assert upload(conversation, by=visitor, content=b"x" * 100)
    with pytest.raises(errors.AttachmentTooLarge) as refused:
        upload(conversation, by=visitor, content=b"x" * 101)
    assert refused.value.status == 413
    assert len(_stored()) == 1


def test_what_is_refused_leaves_no_file(conversation, visitor, upload) -> None:
    with pytest.raises(errors.AttachmentRefused):
        upload(conversation, by=visitor, content=b"<html>")
    conversations.close(conversation.pk, by=make_user(), now=timezone.now())
    with pytest.raises(errors.ConversationIsClosed):
        upload(conversation, by=visitor)
    assert _stored() == []
    assert not Attachment.objects.exists()


def test_nothing_sent_is_no_file(conversation, visitor) -> None:
    with pytest.raises(errors.AttachmentMissing):
        attachments.store(conversation, None, by=visitor, now=timezone.now())


def test_b46_ten_files_in_an_hour(conversation, visitor, upload) -> None:
    now = timezone.now()
    for minute in range(10):
        upload(conversation, by=visitor, now=now + timedelta(minutes=minute))
    late = now + timedelta(minutes=59)
    with pytest.raises(errors.UploadQuotaReached) as refused:
        upload(conversation, by=visitor, now=late)
    assert (refused.value.status, refused.value.retry_after) == (429, 60)
    assert upload(conversation, by=visitor, now=now + timedelta(minutes=61))


def test_b46_bytes_in_a_day(conversation, visitor, upload, monkeypatch) -> None:
    monkeypatch.setattr(attachments, "BYTES_PER_DAY", 250)
    now = timezone.now()
    for hour in (0, 2):
        upload(conversation, by=visitor, content=b"x" * 100, now=now + timedelta(hours=hour))
    with pytest.raises(errors.UploadQuotaReached):
        upload(conversation, by=visitor, content=b"x" * 51, now=now + timedelta(hours=4))
    assert upload(conversation, by=visitor, content=b"x" * 50, now=now + timedelta(hours=4))


def test_agents_have_no_quota(db, upload) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent)
    for _ in range(12):
        upload(conversation, by=agent)


def test_b42_a_file_leaves_as_a_download_and_nothing_else(conversation, visitor, upload) -> None:
    answer = downloads.response(upload(conversation, by=visitor, name='Grüße "1".txt'))
    assert answer.content == b"some words"
    assert answer["Content-Disposition"].startswith("attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe")
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "private, no-store"


def test_a_file_that_is_gone_is_not_found(conversation, visitor, upload) -> None:
    file = upload(conversation, by=visitor)
    default_storage.delete(file.file.name)
    with pytest.raises(errors.AttachmentNotFound):
        downloads.response(file)


def test_unused_files_are_swept_after_a_day(conversation, visitor, upload, monkeypatch) -> None:
    monkeypatch.setattr(attachments, "SWEPT_AT_ONCE", 2)
    long_ago = timezone.now() - timedelta(hours=25)
    named, fresh = upload(conversation, by=visitor, now=long_ago), upload(conversation, by=visitor)
    make_message(conversation, attachment_ids=(named.pk,))
    for _ in range(5):
        upload(conversation, by=visitor, now=long_ago)
    sweep()
    assert set(Attachment.objects.all()) == {named, fresh}
    assert len(_stored()) == 2
