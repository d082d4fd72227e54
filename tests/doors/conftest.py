from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import override_settings

from . import world as worlds
from .world import World

# Nothing is counted, so that thousands of requests in a minute are no flood.
NO_LIMITS = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
QUICK_HASHES = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def own_media() -> None:
    """Files belong to the world, which lives longer than one test."""


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Built once, and taken back at the end; each request of a test is taken back by itself."""
    media: Path = tmp_path_factory.mktemp("media")
    settings = override_settings(
        MEDIA_ROOT=media, CACHES=NO_LIMITS, REQUIRE_MFA=False, PASSWORD_HASHERS=QUICK_HASHES
    )
    with settings, django_db_blocker.unblock(), transaction.atomic():
        cache.clear()
        yield worlds.build()
        transaction.set_rollback(True)
