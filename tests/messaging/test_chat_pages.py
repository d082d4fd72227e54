"""The customer's pages: who may show them, what is cached, and that a name of an inbox is only a name."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from apps.messaging import policy
from tests.factories import make_inbox

pytestmark = pytest.mark.django_db

SITE = "https://shop.example.com"
NASTY = '</script><img src=x onerror=alert(1)>"; alert(1); //'


def directives(response) -> dict[str, list[str]]:
    parts = (part.split() for part in response["Content-Security-Policy"].split(";"))
    return {name: values for name, *values in parts}


def test_page_names_inbox_and_greets(client: Client) -> None:
    make_inbox(slug="support", name="Shop support", greeting="Good morning!")
    response = client.get("/chat/support/")
    assert response.status_code == 200
    assert "Good morning!" in response.text
    assert "<title>Shop support</title>" in response.text


@pytest.mark.parametrize("path", ["", "frame/", "widget.js"])
def test_unknown_or_closed_inbox_is_not_found(client: Client, path: str) -> None:
    make_inbox(slug="closed", is_active=False)
    assert client.get(f"/chat/closed/{path}").status_code == 404
    assert client.get(f"/chat/nowhere/{path}").status_code == 404


@pytest.mark.parametrize("path", ["", "frame/", "widget.js"])
def test_pages_are_only_read(client: Client, path: str) -> None:
    make_inbox(slug="support")
    assert client.post(f"/chat/support/{path}").status_code == 405


@pytest.mark.parametrize("path", ["", "frame/", "widget.js"])
def test_pages_set_no_cookies(client: Client, path: str) -> None:
    make_inbox(slug="support", allowed_origins=[SITE])
    assert not client.get(f"/chat/support/{path}").cookies


def test_page_may_not_be_framed(client: Client) -> None:
    make_inbox(slug="support", allowed_origins=[SITE])
    response = client.get("/chat/support/")
    assert directives(response)["frame-ancestors"] == ["'none'"]
    assert response["X-Frame-Options"] == "DENY"


def test_frame_may_be_shown_by_listed_origins_only(client: Client) -> None:
    make_inbox(slug="support", allowed_origins=[SITE, "http://localhost:8080"])
    response = client.get("/chat/support/frame/")
    assert directives(response)["frame-ancestors"] == [SITE, "http://localhost:8080"]
    assert "X-Frame-Options" not in response


def test_frame_without_list_is_shown_by_nobody(client: Client) -> None:
    make_inbox(slug="support")
    assert directives(client.get("/chat/support/frame/"))["frame-ancestors"] == ["'none'"]


def test_frame_keeps_the_rest_of_the_policy(client: Client) -> None:
    make_inbox(slug="support", allowed_origins=[SITE])
    frame = directives(client.get("/chat/support/frame/"))
    page = directives(client.get("/chat/support/"))
    nonces = re.compile(r"'nonce-.*'")
    for name in page.keys() - {"frame-ancestors"}:
        assert [nonces.sub("nonce", value) for value in frame[name]] == [
            nonces.sub("nonce", value) for value in page[name]
        ]


def test_bad_origin_cannot_write_the_policy(client: Client) -> None:
    make_inbox(slug="support", allowed_origins=["https://a.example; script-src *", SITE])
    found = directives(client.get("/chat/support/frame/"))
    assert found["frame-ancestors"] == [SITE]
    assert "*" not in found["script-src"]


@pytest.mark.parametrize("path", ["", "frame/"])
def test_every_inline_script_carries_the_nonce(client: Client, path: str) -> None:
    make_inbox(slug="support", allowed_origins=[SITE])
    response = client.get(f"/chat/support/{path}")
    inline = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", response.text)
    nonce = re.search(r"'nonce-([^']+)'", response["Content-Security-Policy"])
    assert len(inline) == 1
    assert f'nonce="{nonce[1]}"' in inline[0]
    assert not re.findall(r"\son\w+=", response.text)
    assert " style=" not in response.text


def test_import_map_names_every_module(client: Client) -> None:
    make_inbox(slug="support")
    text = client.get("/chat/support/").text
    for name in ("api", "client", "socket", "view"):
        assert f'"/static/js/chat/{name}.js": "/static/js/chat/{name}' in text


def test_name_of_inbox_is_escaped_everywhere(client: Client) -> None:
    make_inbox(slug="support", name=NASTY, greeting=NASTY, away_text=NASTY, allowed_origins=[SITE])
    for path in ("", "frame/", "widget.js"):
        text = client.get(f"/chat/support/{path}").text
        assert "<img" not in text.replace('<img data-ref="', "")
        assert '"; alert(1)' not in text


def test_page_speaks_the_language_of_the_inbox(client: Client) -> None:
    make_inbox(slug="support", language="de")
    response = client.get("/chat/support/", headers={"accept-language": "fr"})
    assert '<html lang="de"' in response.text
    assert 'data-language="de"' in response.text


@pytest.mark.parametrize(("theme", "shown"), [("dark", True), ("light", True), ('x" onload="', False)])
def test_theme_is_one_of_two(client: Client, theme: str, shown: bool) -> None:
    make_inbox(slug="support", allowed_origins=[SITE])
    text = client.get("/chat/support/frame/", {"theme": theme}).text
    assert (f'data-theme="{theme}"' in text) is shown
    assert ("data-theme=" in text) is shown


def test_caches_keep_the_script_and_not_the_pages(client: Client) -> None:
    make_inbox(slug="support", allowed_origins=[SITE])
    script = client.get("/chat/support/widget.js")
    assert "public" in script["Cache-Control"]
    assert script["Content-Type"] == "text/javascript; charset=utf-8"
    assert script["Cross-Origin-Resource-Policy"] == "cross-origin"
    for path in ("", "frame/"):
        assert {"private", "no-cache"} <= set(
            client.get(f"/chat/support/{path}")["Cache-Control"].split(", ")
        )


def test_widget_knows_its_inbox_and_its_pages(client: Client) -> None:
    make_inbox(slug="support", allowed_origins=[SITE])
    text = client.get("/chat/support/widget.js").text
    assert 'inbox: "support"' in text
    assert "https://shop.example.com" in text


def test_pages_ask_the_database_once(client: Client, django_assert_num_queries) -> None:
    make_inbox(slug="support", allowed_origins=[SITE])
    for path in ("", "frame/", "widget.js"):
        with django_assert_num_queries(1):
            client.get(f"/chat/support/{path}")


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        (["https://A.example/"], ["https://a.example"]),
        (["http://[::1]:8000"], ["http://[::1]:8000"]),
        (["https://*.example", "null", "*", "'self'", "data:", "https://", "a.example", 7, None], []),
        (["https://a.example/path", "https://user@a.example", "https://a.example b.example"], []),
        (["https://a.example\nX-Evil: 1", "javascript:alert(1)"], []),
    ],
)
def test_framing_origins(listed: list, kept: list[str]) -> None:
    assert policy.framing_origins(listed) == kept
