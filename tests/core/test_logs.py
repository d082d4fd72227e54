"""H23: log lines are readable, ECS where asked, and hold no secret whatever the path it came by."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from apps.core import logs
from apps.core.logs import PrivacyFilter, console_formatter, ecs_formatter, mask, mask_value

SECRETS = {
    "email": "alice.o'hara+shop@mail.example.co.uk",
    "encoded email": "alice%40example.org",
    "international phone": "+49 (0)30 123-4567",
    "plain phone": "+4915112345678",
    "national phone": "0171 2345678",
    "american phone": "(555) 123-4567",
    "digits": "15551234567",
    "jwt": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-x_y",
    "bearer": "Bearer s3cr3t-t0ken-value",
    "ticket": "ticket=aB3dE6gH9",
    "password": "password='hunter2'",
    "cookie": "sessionid=8jh2k3h4kjh23k4",
    "random key": "x8Jk29dLmQ_wEr45TyUi09-PaSdFgHjKlZx",
}
HARMLESS = [
    "2026-11-22T14:57:01.123Z", "2026-11-22 14:57:01", "127.0.0.1:8000", "10.20.30.40", "conversation 12345678",
    "123e4567-e89b-12d3-a456-426614174000", "0123456789abcdef0123456789abcdef", "0.123456789012 s", "took 12.5 ms",
    "token_not_valid", "CSRF token missing.", "core.drain", "offer 5 of agent 7 expired", "v1.2.3", "é日本😀",
]  # fmt: skip
# The part of each secret that must not be found anywhere.
CORES = {name: secret.split("=")[-1].strip("'").removeprefix("Bearer ") for name, secret in SECRETS.items()}


@pytest.fixture(params=[console_formatter, ecs_formatter], ids=["console", "ecs"])
def log(request: Any) -> Iterator[tuple[logging.Logger, Callable[[], str]]]:
    """A logger set up as the settings do it, and what it wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    handler.addFilter(PrivacyFilter())
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger, stream.getvalue
    logger.removeHandler(handler)
    logger.propagate = True
    structlog.contextvars.clear_contextvars()


class Customer:
    def __str__(self) -> str:
        return f"customer {SECRETS['email']}"


def fail(text: str) -> None:
    raise ValueError(f"Key (email)=({text}) already exists")


@pytest.mark.parametrize("name", SECRETS)
def test_h23_secret_is_masked_on_every_path(log: tuple[logging.Logger, Callable[[], str]], name: str) -> None:
    logger, written = log
    secret, ours = SECRETS[name], structlog.stdlib.get_logger("tests.logs")
    logger.info(f"before {secret} after")
    logger.warning("say %s and %r", secret, {"deep": [secret]})
    logger.info("named %(who)s", {"who": secret})
    ours.info(f"event {secret}", text=secret, nested={"list": [secret, (secret,)]})
    ours.info("positional %s", secret)
    with structlog.contextvars.bound_contextvars(bound=secret):
        ours.info("bound")
        logger.info("bound")
    try:
        fail(secret)
    except ValueError:
        logger.exception("failed %s", secret)
        ours.exception("failed")
    logger.info("arguments do not fit %s %s", secret)
    assert written().count("\n") >= 9
    assert CORES[name] not in written()


def test_h23_values_under_telling_names_are_hidden(log: tuple[logging.Logger, Callable[[], str]]) -> None:
    _, written = log
    ours = structlog.stdlib.get_logger("tests.logs")
    ours.info(
        "x", password="plain", customer_phone=5551234, body="my story", nested={"access_token": "short"}
    )
    for value in ("plain", "5551234", "my story", "short"):
        assert value not in written()


def test_h23_objects_are_masked_as_what_they_say(log: tuple[logging.Logger, Callable[[], str]]) -> None:
    logger, written = log
    logger.info("of %s", Customer())
    structlog.stdlib.get_logger("tests.logs").info("of", customer=Customer())
    assert "customer [email]" in written()
    assert "alice" not in written()


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays(text: str) -> None:
    assert mask(f"at {text} ok") == f"at {text} ok"


@given(st.text())
def test_mask_is_done_after_one_pass_for_addresses(text: str) -> None:
    masked = mask(f"{text} bob@example.org")
    assert "bob@example.org" not in masked
    assert "bob@example.org" not in mask(masked)


def test_mask_of_hostile_text_is_quick() -> None:
    started = time.process_time()
    for part in (
        "a",
        "eyJ-",
        "session",
        "token ",
        "+1",
        "A1b-",
        "a.b@",
        "@",
        "0",
        "a@b",
        "token=",
        "%40",
        "(0 ",
    ):
        mask(part * 100_000)
    # A quadratic pattern would take minutes.
    assert time.process_time() - started < 10


def test_mask_value_keeps_numbers_and_names() -> None:
    assert mask_value({"a": 1, "b": None, "c": True, "d": 1.5}) == {"a": 1, "b": None, "c": True, "d": 1.5}


def test_ecs_line_is_json_with_the_names_of_ecs() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ecs_formatter())
    logger = logging.getLogger("tests.ecs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with structlog.contextvars.bound_contextvars(request_id="r1"):
            labels = {"n": 3, "a.b": {"c.d": [1], "c": 2}}
            ours = structlog.stdlib.get_logger("tests.ecs")
            ours.info("request", method="GET", status=200, ms=1.5, route="x/", user_id=7, **labels)
            logger.warning("plain\nsecond line")
            try:
                fail("x")
            except ValueError:
                logger.exception("broken")
    finally:
        logger.removeHandler(handler)
    access, plain, broken = map(json.loads, stream.getvalue().splitlines())
    assert access["message"] == "request"
    assert access["http"] == {
        "request": {"id": "r1", "method": "GET"},
        "response": {"status_code": 200},
        "route": "x/",
    }
    assert access["event"] == {"duration": 1_500_000}
    assert access["user"] == {"id": "7"}
    assert access["labels"] == {"n": 3, "a_b": '{"c.d": [1], "c": 2}'}
    assert (access["log.level"], access["log"]) == ("info", {"logger": "tests.ecs"})
    assert access["@timestamp"].startswith("20")
    assert "ecs.version" in access or "ecs" in access
    assert plain["message"] == "plain\nsecond line"
    assert plain["http"]["request"]["id"] == "r1"
    assert "ValueError" in broken["error"]["stack_trace"]


def test_settings_name_what_exists(settings: Any) -> None:
    logging_config = settings.LOGGING
    assert logging_config["filters"]["private"]["()"] == f"{logs.__name__}.PrivacyFilter"
    for name, factory in (("console", console_formatter), ("json", ecs_formatter)):
        assert logging_config["formatters"][name]["()"] == f"{logs.__name__}.{factory.__name__}"
        assert isinstance(factory(), logging.Formatter)
