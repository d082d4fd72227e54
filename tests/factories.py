"""Rows for tests, as plain keyword functions: what a test does not name gets a sensible value."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from django.contrib.auth.models import Group

from apps.users.choices import Role
from apps.users.models import Customer, Team, User

_numbers = count(1)

# People


def make_team(name: str | None = None) -> Team:
    return Team.objects.create(name=name or f"Team {next(_numbers)}")


def make_user(role: Role | None = Role.AGENT, teams: Iterable[Team] = (), **fields: Any) -> User:
    """A user with this role; he has a password only if the test names one (hashing takes its time)."""
    number = next(_numbers)
    fields = {"email": f"person{number}@example.com", "name": f"Person {number}"} | fields
    is_staff = role in (Role.SUPERVISOR, Role.ADMIN)
    user = User.objects.create_user(**fields, is_staff=is_staff)
    user.teams.set(teams)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def make_customer(teams: Iterable[Team] = (), **fields: Any) -> Customer:
    customer = Customer.objects.create(**{"name": f"Customer {next(_numbers)}"} | fields)
    customer.teams.set(teams)
    return customer
