"""People from the command line: `manage.py user add|deactivate|activate|role|sign-out`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.users import policy
from apps.users.choices import Role
from apps.users.models import Team, User
from apps.users.services import people, roles


class Command(BaseCommand):
    help = "Add, switch off or on, promote and sign out users."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name in ("add", "deactivate", "activate", "role", "sign-out"):
            action = actions.add_parser(name)
            action.add_argument("email")
            action.add_argument("--json", action="store_true", help="print the result as JSON")
        add = actions.choices["add"]
        add.add_argument("--name", required=True)
        add.add_argument("--role", choices=Role.values, default=Role.AGENT)
        add.add_argument("--team", action="append", default=[], help="name of a team; made if there is none")
        add.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input"
        )
        actions.choices["role"].add_argument("role", choices=[*Role.values, "none"])

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            user = getattr(self, f"_{action.replace('-', '_')}")(**options)
        except EMLError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_as_json(user) if options["json"] else f"{user.email}: {_as_text(user)}")

    def _add(
        self, *, email: str, name: str, role: str, team: list[str], password_stdin: bool, **_: Any
    ) -> User:
        password = sys.stdin.readline().rstrip("\n") if password_stdin else None
        teams = [Team.objects.get_or_create(name=name)[0] for name in team]
        return people.create(
            email=email, name=name, password=password, role=Role(role), teams=teams, by=SYSTEM
        )

    def _deactivate(self, *, email: str, **_: Any) -> User:
        return people.deactivate(_user(email), by=SYSTEM)

    def _activate(self, *, email: str, **_: Any) -> User:
        return people.activate(_user(email), by=SYSTEM)

    def _role(self, *, email: str, role: str, **_: Any) -> User:
        return roles.assign(_user(email), None if role == "none" else Role(role), by=SYSTEM)

    def _sign_out(self, *, email: str, **_: Any) -> User:
        return people.sign_out_everywhere(_user(email), by=SYSTEM)


def _user(email: str) -> User:
    try:
        return User.objects.get_by_natural_key(email)
    except User.DoesNotExist:
        raise CommandError(f"There is no user {email}.") from None


def _as_text(user: User) -> str:
    role = policy.highest(user.roles)
    return f"{role.label if role else 'no role'}, {'active' if user.is_active else 'switched off'}"


def _as_json(user: User) -> str:
    teams = list(user.teams.values_list("name", flat=True))
    facts = {
        "id": user.pk,
        "email": user.email,
        "name": user.name,
        "is_active": user.is_active,
        "teams": teams,
    }
    return json.dumps(facts | {"role": policy.highest(user.roles)})
