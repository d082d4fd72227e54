from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from apps.users.choices import Role
from apps.users.models import User
from apps.users.services import tokens
from tests.factories import make_user

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick_and_clean(settings) -> Iterator[None]:
    """Cheap hashes, no second factor unless a test wants it, no limits or used codes left from another test."""
    settings.REQUIRE_MFA = False
    # In this process: another one that tests at the same time must not empty it.
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "users"}
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def admin(db) -> User:
    return make_user(Role.ADMIN)


@pytest.fixture
def api_as() -> Callable[[User], APIClient]:
    """A client of the API that carries an access token of this user."""

    def client(user: User) -> APIClient:
        api = APIClient()
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(user).access}")
        return api

    return client
