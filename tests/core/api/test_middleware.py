"""Cases B20, B25, B26, B28, B30, H05, H07: requests as such, before any view."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncClient, Client
from rest_framework.test import APIClient

from apps.core.middleware import ip_behind_proxies

from .conftest import refused

CONTROLS = ["%00", "%01", "%0a", "%0d%0aSet-Cookie:x=y", "%1f", "%7f"]


def access_line(caplog: Any) -> dict[str, Any]:
    lines = [record.msg for record in caplog.records if record.name == "eml.access"]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture
def user(db: None) -> Any:
    return get_user_model().objects.create_user("a@example.org", "x", name="A")


def test_request_id_is_ours_and_new_each_time(api: APIClient) -> None:
    answers = [api.get("/stranger/", HTTP_X_REQUEST_ID="forged") for _ in range(2)]
    ids = {answer["X-Request-Id"] for answer in answers}
    assert len(ids) == 2
    assert all(len(request_id) == 32 and request_id.isalnum() for request_id in ids)


def test_h23_one_line_without_path_query_or_name(api: APIClient, caplog: Any) -> None:
    response = api.get("/api/v1/fails/?q=alice@example.org")
    line = next(record.msg for record in caplog.records if record.name == "eml.access")
    assert line["route"] == "api/v1/fails/"
    assert (line["method"], line["status"], line["user_id"]) == ("GET", response.status_code, None)
    assert line["request_id"] == response["X-Request-Id"]
    assert "alice" not in str(line)


@pytest.mark.parametrize("path", ["/page/", "/stranger/"])
def test_log_line_names_who_asked_only_if_somebody_looked(user: Any, caplog: Any, path: str) -> None:
    client = Client()
    client.force_login(user)
    client.get(path)
    assert access_line(caplog)["user_id"] == (user.pk if path == "/page/" else None)


def test_log_line_of_an_api_caller(api: APIClient, caplog: Any) -> None:
    api.get("/api/v1/limited/", HTTP_X_TEST_CALLER="7")
    assert access_line(caplog)["user_id"] == "7"


def test_probes_and_strange_methods_in_the_log(api: APIClient, caplog: Any, db: None) -> None:
    api.get("/health/live/")
    assert not [
        record for record in caplog.records if record.name == "eml.access" and record.levelname == "INFO"
    ]
    caplog.clear()
    api.generic("X" * 5_000, "/stranger/")
    assert access_line(caplog)["method"] == "other"


def test_h05_private_answers_stay_out_of_caches(user: Any) -> None:
    client = Client()
    anonymous = client.get("/page/")
    assert "Cache-Control" not in anonymous
    client.force_login(user)
    private = client.get("/page/")
    assert private["Cache-Control"] == "no-store"
    assert "Cookie" in private["Vary"]
    assert "Cache-Control" not in client.get("/stranger/")


def test_h05_api_answers_too(api: APIClient) -> None:
    assert api.get("/api/v1/limited/", HTTP_X_TEST_CALLER="7")["Cache-Control"] == "no-store"


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("address", ["/api/v1/{}/", "/api/v1/events/?a={}", "/api/v1/events/?{}=a"])
def test_b20_control_characters_in_the_address(api: APIClient, control: str, address: str) -> None:
    refused(api.get(address.format(control)), 400, "bad_character")


def test_b20_control_characters_on_a_page(api: APIClient) -> None:
    page = api.get("/page/%00")
    assert page.status_code == 400
    assert page["Content-Type"].startswith("text/html")


def test_tab_in_a_search_is_fine(api: APIClient) -> None:
    assert api.get("/stranger/?q=a%09b").status_code == 200


@pytest.mark.parametrize("extra", [{}, {"CONTENT_LENGTH": "2"}])
def test_b25_transfer_encoding(api: APIClient, extra: dict[str, str]) -> None:
    response = api.generic("POST", "/api/v1/fields/", b"{}", HTTP_TRANSFER_ENCODING="chunked", **extra)
    refused(response, 400, "length_required")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "testserver,testserver", "test server", "[::1", "<script>", "a" * 5_000, "testserver:x"],
)
def test_b26_host(api: APIClient, settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    response = api.get("/api/v1/limited/", HTTP_HOST=host)
    refused(response, 400, "bad_host")
    assert "evil" not in response.content.decode()


def test_b26_forwarded_host_is_ignored(api: APIClient, db: None) -> None:
    response = api.get("/api/v1/events/", HTTP_X_FORWARDED_HOST="evil.example")
    assert response.status_code == 200
    assert "evil" not in response.content.decode()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, None, "192.0.2.1"),
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (2, "1.1.1.1, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1"),
        (1, "<script>", "192.0.2.1"),
        (1, "1.1.1.1,", "192.0.2.1"),
        (1, "unknown", "192.0.2.1"),
        (1, "2001:DB8::1", "2001:db8::1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "fe80::1%eth0", "192.0.2.1"),
        (1, "9" * 100_000, "192.0.2.1"),
        (1, "x," * 50_000 + "203.0.113.9", "203.0.113.9"),
        (1, "٢٠٣.0.113.9", "192.0.2.1"),
    ],
)
def test_h07_only_our_own_proxies_are_believed(
    settings: Any, proxies: int, forwarded: str, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    assert ip_behind_proxies("192.0.2.1", forwarded) == expected


def test_h07_unix_socket_has_no_address() -> None:
    assert ip_behind_proxies("", None) == ip_behind_proxies(None, None) == "0.0.0.0"


def test_b30_long_language(api: APIClient) -> None:
    for language in ("de-" * 33_000, "x" * 100_000, "*;q=" + "9" * 90_000, "../../etc"):
        assert api.get("/page/", HTTP_ACCEPT_LANGUAGE=language).content.startswith(b"en ")


async def test_asynchronous_stack_answers_the_same() -> None:
    client = AsyncClient(raise_request_exception=False)
    response = await client.get("/stranger/")
    assert (response.status_code, len(response["X-Request-Id"])) == (200, 32)
    refused(await client.get("/api/v1/x%00/"), 400, "bad_character")
    refused(await client.get("/api/plain/"), 500, "server_error")


async def exchange(headers: list[tuple[bytes, bytes]]) -> int:
    """The status for a GET with exactly these headers, as an ASGI server passes them on."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/stranger/",
        "raw_path": b"/stranger/", "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    first = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        try:
            return next(first)
        except StopIteration:
            await asyncio.sleep(30)
            return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await ASGIHandler()(scope, receive, send)
    return sent[0]["status"]


async def test_b26_two_hosts_and_b28_strange_headers_over_asgi(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
    assert await exchange([(b"host", b"testserver")]) == 200
    assert await exchange([(b"host", b"testserver"), (b"host", b"evil.example")]) == 400
    assert await exchange([(b"host", b"testserver"), (b"host", b"testserver")]) == 400
    strange = [(b"upgrade", b"x\x0b\x0c\x1c\x85"), (b"x_forwarded_for", b"1.2.3.4"), (b"x_user_id", b"1")]
    assert await exchange([(b"host", b"testserver"), *strange]) == 200
