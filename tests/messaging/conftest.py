from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from apps.messaging.models import Attachment
from apps.messaging.services import attachments


@pytest.fixture(autouse=True)
def no_limits_left_over():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def upload() -> Callable[..., Attachment]:
    """Store a small text file, or `content` as `name`, in a conversation."""

    def store(conversation, *, by, content: bytes = b"some words", name: str = "words.txt", now=None):
        file = SimpleUploadedFile(name, content)
        return attachments.store(conversation, file, by=by, now=now or timezone.now())

    return store


@pytest.fixture
def picture() -> Callable[..., bytes]:
    def draw(image_format: str = "PNG", size: tuple[int, int] = (8, 4), **options) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", size, "red").save(out, image_format, **options)
        return out.getvalue()

    return draw
