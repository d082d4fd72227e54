"""The commands of docs/api.md and README.md work as they stand there, and answer what the pages show."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from drf_spectacular.generators import SchemaGenerator

from eml import demo
from tests.docs import shell
from tests.docs.pages import ROOT, differences, lines, prose

API = ROOT / "docs" / "api.md"
README = ROOT / "README.md"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the examples use curl")


@pytest.fixture(autouse=True)
def as_in_the_demo(settings) -> None:
    """Without second factors on either profile; and five passwords need not be safe here."""
    settings.REQUIRE_MFA = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@needs_curl
@pytest.mark.timeout(200)
def test_commands_of_the_api_page_answer_what_it_shows(live_server_ws, tmp_path: Path) -> None:
    ran = shell.run(API, server=live_server_ws, folder=tmp_path)
    compared = [one for one in ran if one.answer is not None]
    for one in compared:
        found = differences(json.loads(one.answer.text), one.sent)
        assert not found, f"line {one.block.line}: {found}\n{one.output}"
    assert len(compared) > 20


@needs_curl
@pytest.mark.timeout(200)
def test_commands_of_the_readme_print_what_it_says(live_server_ws, tmp_path: Path) -> None:
    (ran,) = shell.run(README, server=live_server_ws, folder=tmp_path)
    said = re.search(r"It prints `(.+)`", README.read_text())
    assert said is not None
    assert ran.output.strip() == said[1]


def test_every_call_stands_in_the_table_and_no_other() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    there = {
        f"{method.upper()} {path.removeprefix('/api/v1/')}"
        for path, operations in schema["paths"].items()
        for method in operations
        if method != "parameters"
    }
    rows = [line.text for line in lines(API) if line.headings[-1:] == ("All calls",)]
    written = {call for row in rows for call in re.findall(r"`([A-Z]+ [^`]+/)`", row)}
    assert written == there


def test_readme_names_the_logins_of_the_demo() -> None:
    text = prose(README)
    for login in demo.LOGINS:
        assert f"`{login['email']}`" in text
    for password in ("demo-agent-1", "demo-boss-1", "demo-admin-1"):
        assert f"`{password}`" in text
        assert password in {login["password"] for login in demo.LOGINS}


def test_limits_are_those_of_the_settings() -> None:
    from django.conf import settings

    text, rates = prose(API), settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    for scope, words in (
        ("caller", "`EML_API_RATE`, {} a minute"),
        ("chat-start", "`EML_CHAT_START_RATE`, {} a minute"),
        ("chat-write", "| visitor | {} a minute |"),
        ("upload", "| visitor | {} an hour, 100 MB a day |"),
        ("login", "| network | {} a minute; after eight wrong"),
    ):
        assert words.format(rates[scope].partition("/")[0]) in text, scope
    assert settings.AXES_FAILURE_LIMIT == 8
