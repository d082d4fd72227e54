from __future__ import annotations

import io
import json
import sys

import pytest
from django.core.management import CommandError, call_command

from apps.users.choices import Role
from apps.users.models import User
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def run(*args: str) -> dict:
    out = io.StringIO()
    call_command("user", *args, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_user_is_added_with_role_teams_and_password(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    told = run(
        "add", "Ana@example.com", "--name", "Ana", "--role", "supervisor", "--team", "A", "--password-stdin"
    )
    user = User.objects.get()
    assert told == {
        "id": user.pk,
        "email": "ana@example.com",
        "name": "Ana",
        "is_active": True,
        "teams": ["A"],
        "role": "supervisor",
    }
    assert user.check_password("correct horse battery")


def test_a_user_is_promoted_switched_off_and_on(admin):
    make_user(email="ana@example.com")
    assert run("role", "ana@example.com", "admin")["role"] == "admin"
    assert run("role", "ana@example.com", "none")["role"] is None
    assert run("deactivate", "ana@example.com")["is_active"] is False
    assert run("activate", "ana@example.com")["is_active"] is True


def test_a_user_is_signed_out():
    user = make_user(email="ana@example.com")
    run("sign-out", "ANA@example.com")
    user.refresh_from_db()
    assert user.sign_in_epoch == 1


def test_what_cannot_be_done_is_said_in_one_sentence():
    user = make_user(Role.ADMIN)
    with pytest.raises(CommandError, match="last administrator"):
        call_command("user", "deactivate", user.email)
    with pytest.raises(CommandError, match=r"no user nobody@example\.com"):
        call_command("user", "sign-out", "nobody@example.com")


def test_without_json_the_result_is_a_line_for_people(capsys):
    make_user(email="ana@example.com")
    call_command("user", "role", "ana@example.com", "supervisor")
    assert capsys.readouterr().out == "ana@example.com: Supervisor, active\n"
