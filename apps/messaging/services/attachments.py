"""Files in conversations: looked at, stored under a random name, named by a message or swept away."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Min, Sum

from apps.core import events
from apps.core.errors import Unavailable
from apps.core.events import Actor

from .. import errors, files
from ..events import AttachmentStored
from ..models import Attachment, Conversation
from .visitors import Visitor

logger = logging.getLogger(__name__)

# A visitor is anybody: so much per hour and day and not more.
FILES_PER_HOUR = 10
BYTES_PER_DAY = 100 * 1024 * 1024
# Uploaded, but no message named it.
UNUSED_PERIOD = timedelta(days=1)
SWEPT_AT_ONCE = 200


def store(conversation: Conversation, upload: UploadedFile | None, *, by: Actor, now: datetime) -> Attachment:
    """Keep a file for the uploader's next message in this conversation.

    Raises AttachmentMissing, AttachmentEmpty, AttachmentTooLarge, AttachmentRefused, ImageRefused, UploadQuotaReached,
    ConversationIsClosed; Unavailable when the disk takes nothing.
    """
    if upload is None:
        raise errors.AttachmentMissing
    if upload.size is None or upload.size > settings.ATTACHMENT_MAX_BYTES:
        raise errors.AttachmentTooLarge(megabytes=settings.ATTACHMENT_MAX_BYTES // 1024**2)
    # Before the work of looking at it, and again under the lock.
    _check_quota(by, size=upload.size, now=now)
    accepted = files.accept(upload.read())
    attachment = Attachment(
        conversation=conversation,
        uploaded_by=by.actor_ref,
        name=files.clean_name(upload.name or "", accepted.content_type),
        content_type=accepted.content_type,
        size=len(accepted.content),
        sha256=hashlib.sha256(accepted.content).hexdigest(),
        created_at=now,
    )
    # Written before the transaction: a slow disk must not hold a row lock.
    _write(attachment, accepted.content)
    try:
        return _insert(attachment, by=by, now=now)
    except BaseException:
        attachment.file.delete(save=False)
        raise


def _write(attachment: Attachment, content: bytes) -> None:
    try:
        attachment.file.save("", ContentFile(content), save=False)
    except OSError as error:
        # A full disk, or one that is away: it passes by waiting, and is no mistake of the program.
        logger.error("attachment not stored: %s", error.strerror)
        raise Unavailable from None


def _insert(attachment: Attachment, *, by: Actor, now: datetime) -> Attachment:
    with transaction.atomic():
        locked = Conversation.objects.select_for_update(no_key=True).get(pk=attachment.conversation_id)
        if not locked.is_open:
            raise errors.ConversationIsClosed
        _check_quota(by, size=attachment.size, now=now)
        attachment.save(force_insert=True)
        fact = AttachmentStored(conversation=locked.pk, attachment=str(attachment.pk))
        events.record(fact, stream=locked.stream, actor=by)
        return attachment


def _check_quota(by: Actor, *, size: int, now: datetime) -> None:
    if not isinstance(by, Visitor):
        return
    own = Attachment.objects.filter(uploaded_by=by.actor_ref)
    this_hour = own.filter(created_at__gt=now - timedelta(hours=1))
    if this_hour.count() >= FILES_PER_HOUR:
        raise _quota_reached(this_hour.aggregate(at=Min("created_at"))["at"] + timedelta(hours=1), now=now)
    today = own.filter(created_at__gt=now - timedelta(days=1)).aggregate(
        size=Sum("size"), at=Min("created_at")
    )
    if (today["size"] or 0) + size > BYTES_PER_DAY:
        raise _quota_reached((today["at"] or now) + timedelta(days=1), now=now)


def _quota_reached(until: datetime, *, now: datetime) -> errors.UploadQuotaReached:
    return errors.UploadQuotaReached(retry_after=max(1, int((until - now).total_seconds())))


def sweep_unused(*, now: datetime) -> int:
    """Delete files that no message named within a day. Safe to repeat."""
    swept = 0
    while portion := _sweep_portion(before=now - UNUSED_PERIOD):
        swept += portion
    return swept


def _sweep_portion(*, before: datetime) -> int:
    with transaction.atomic():
        unused = Attachment.objects.filter(message=None, created_at__lt=before).order_by("created_at")
        # A locked one is being named by a message right now.
        rows = list(unused.select_for_update(skip_locked=True)[:SWEPT_AT_ONCE])
        Attachment.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for row in rows:
        row.file.delete(save=False)
    return len(rows)
