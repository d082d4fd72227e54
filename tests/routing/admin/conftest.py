"""A queue, its supervisor and an administrator."""

from __future__ import annotations

import pytest

from apps.users.choices import Role
from tests.factories import make_queue, make_user
from tests.routing.admin.pages import as_


@pytest.fixture
def queue():
    return make_queue([(0, {"cards": 3}), (20, {"cards": 1})], levels={"vip": 90})


@pytest.fixture
def boss(queue):
    return make_user(Role.SUPERVISOR, [queue.team])


@pytest.fixture
def as_boss(boss):
    return as_(boss)


@pytest.fixture
def as_admin():
    return as_(make_user(Role.ADMIN))
