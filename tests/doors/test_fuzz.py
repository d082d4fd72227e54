"""B01–B30 over every operation of the OpenAPI description, as every actor.

Whatever is sent, there is an answer of the one shape and never a 5xx, and what is refused has changed nothing. The
examples are the same in every run; a failure shows the smallest request that makes it.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from apps.users.services import tokens

from .harm import Harm, harms
from .payloads import payload
from .rows import Rows
from .test_matrix import value_of
from .walk import Address, addresses
from .world import Actor, Whose, World

pytestmark = pytest.mark.django_db

BODY_KEYS = {"type", "code", "detail", "fields", "request_id"}
SECRETS = ("Traceback", "SELECT ", "/apps/", "django", "psycopg", "sqlite")
EXAMPLES_OF_READS = 4
EXAMPLES_OF_WRITES = 8


@dataclasses.dataclass(frozen=True)
class Operation:
    """One verb at one address, and what its description says it takes."""

    address: Address
    verb: str
    fields: tuple[str, ...]
    parameters: tuple[str, ...]
    has_body: bool

    def __str__(self) -> str:
        return f"{self.verb} {self.address.route}"

    @property
    def harms(self) -> st.SearchStrategy[Harm]:
        return harms(
            fields=list(self.fields),
            parameters=list(self.parameters),
            has_segment=bool(self.address.parameters),
            has_body=self.has_body,
        )


def _described() -> list[Operation]:
    schema = SchemaGenerator().get_schema(public=True)
    by_path = {re.sub(r"%\(\w+\)s", "{}", address.path): address for address in addresses()}
    return [
        _operation(by_path[re.sub(r"{\w+}", "{}", path)], verb.upper(), said, schema["components"]["schemas"])
        for path, verbs in schema["paths"].items()
        for verb, said in verbs.items()
    ]


def _operation(address: Address, verb: str, said: dict[str, Any], schemas: dict[str, Any]) -> Operation:
    content = said.get("requestBody", {}).get("content", {}).values()
    names = [part["schema"].get("$ref", "").rpartition("/")[2] for part in content]
    fields = {field for name in names if name for field in schemas[name].get("properties", {})}
    queries = [given["name"] for given in said.get("parameters", ()) if given["in"] == "query"]
    return Operation(address, verb, tuple(sorted(fields)), tuple(queries), verb != "GET")


OPERATIONS = _described()


@pytest.fixture(scope="module")
def rows(world: World) -> Rows:
    """The world as it is before anything is sent. Its tokens live as long as these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens.Access, "lifetime", timedelta(hours=1))
        for actor in world.clients:
            world.renew(actor)
    return Rows()


def ask(world: World, operation: Operation, actor: Actor, harm: Harm) -> Any:
    client, address = world.clients[actor], operation.address
    own = world.keys(actor, Whose.OWN)
    values = {name: value_of(address, name, own) for name in address.parameters}
    if harm.segment is not None:
        values[address.parameters[-1]] = harm.segment
    sent = harm.of(payload(address.route, operation.verb, own))
    verb, path = harm.verb or operation.verb, address.to(values) + harm.query_string
    cookies, client.cookies = client.cookies, SimpleCookie(client.cookies)
    try:
        return client.generic(verb, path, sent.body, sent.content_type, headers=sent.headers)
    finally:
        client.cookies = cookies


def faults(answer: Any) -> list[str]:
    """What an answer must not be, whatever was asked."""
    if answer.status_code >= 500:
        return [f"{answer.status_code}: {answer.content[:300]!r}"]
    if answer.status_code < 400 or answer.request["REQUEST_METHOD"] == "HEAD":
        return []
    if not answer.headers["Content-Type"].startswith("application/json"):
        return [f"{answer.status_code} in {answer.headers['Content-Type']}: {answer.content[:300]!r}"]
    body = answer.json()
    found = [] if set(body) == BODY_KEYS and body["detail"] else [f"another shape: {body}"]
    if body.get("request_id") != answer["X-Request-Id"]:
        found.append("another request's id")
    text = answer.content.decode()
    return found + [f"it tells {secret!r}: {text[:300]}" for secret in SECRETS if secret in text]


def test_every_operation_is_described_and_asked() -> None:
    assert len(OPERATIONS) > 60
    routes = {operation.address.route for operation in OPERATIONS}
    ours = {address.route for address in addresses() if address.path.startswith("/api/v1/")}
    assert ours - routes == {"api-root", "api-schema"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_b01_to_b30_whatever_is_sent(operation: Operation, world: World, rows: Rows) -> None:
    @seed(zlib.crc32(str(operation).encode()))
    @settings(
        max_examples=EXAMPLES_OF_WRITES if operation.has_body else EXAMPLES_OF_READS,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(harm=operation.harms)
    def send(harm: Harm) -> None:
        for actor in Actor:
            with rows.taken_back():
                answer = ask(world, operation, actor, harm)
                found = faults(answer)
                if answer.status_code >= 400 and rows.have_changed():
                    found.append(f"{answer.status_code}, and yet something was changed")
            assert not found, (actor, *found)

    send()
