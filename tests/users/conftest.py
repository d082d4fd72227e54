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
    """Cheap hashes, and no limits or used codes left over from another test."""
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
