"""The widget on somebody else's page, which is on another origin."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

from tests.browser.talking import Desk, Visitor, open_place
from tests.conftest import LiveServer

PAGE = """<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width">
<title>Shop</title><style>
* {{ color: red !important; font-size: 40px; display: block }} button {{ display: none !important }}
iframe {{ display: none }} div {{ position: static; opacity: 0.5 }}
</style></head><body><h1>A shop</h1><input aria-label="Search">{body}</body></html>"""


class Site:
    """A foreign web site with one page."""

    def __init__(self) -> None:
        self.body = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = PAGE.format(body=site.body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                # The strictest a page can be and still load the widget.
                self.send_header("Content-Security-Policy", site.policy)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self.policy = "default-src *; style-src 'unsafe-inline'"
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def site(server: LiveServer) -> Iterator[Site]:
    found = Site()
    found.body = f'<script src="{server.url}/chat/support/widget.js" async></script>'
    found.policy = (
        f"default-src 'none'; script-src {server.url}; frame-src {server.url}; style-src 'unsafe-inline'"
    )
    yield found
    found.http.shutdown()
    found.http.server_close()


def launcher(page: Page):
    return page.get_by_role("button", name="Open the chat")


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("#eml-chat-support iframe")


def test_widget_talks_on_a_listed_page(page: Page, site: Site) -> None:
    place = open_place(allowed_origins=[site.origin])
    page.goto(site.origin)
    launcher(page).click()
    customer = Visitor(frame(page))
    expect(frame(page).get_by_label("Your name")).to_be_focused()
    desk = Desk(place, customer.start("Hello from the shop")).accept()
    desk.say("Welcome!")
    customer.expect_said("Hello from the shop", "Welcome!")
    customer.say("Thanks")
    customer.expect_said("Hello from the shop", "Welcome!", "Thanks")
    assert page.context.cookies() == []


def test_unlisted_page_gets_no_launcher_and_no_frame(page: Page, site: Site, server: LiveServer) -> None:
    open_place(allowed_origins=["https://somebody.example"])
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(site.origin)
    page.wait_for_function("performance.getEntriesByName(document.scripts[0].src).length")
    expect(launcher(page)).to_have_count(0)
    assert any("does not list" in text for text in said)
    # And without our script, by hand:
    site.body = f'<iframe id="bare" src="{server.url}/chat/support/frame/"></iframe>'
    page.goto(site.origin)
    expect(page.frame_locator("#bare").get_by_role("heading")).to_have_count(0)
    assert any("frame-ancestors" in text for text in said)


def test_page_itself_cannot_be_framed_even_when_listed(page: Page, site: Site, server: LiveServer) -> None:
    open_place(allowed_origins=[site.origin])
    site.body = f'<iframe id="bare" src="{server.url}/chat/support/"></iframe>'
    page.goto(site.origin)
    page.wait_for_load_state("networkidle")
    expect(page.frame_locator("#bare").get_by_role("heading")).to_have_count(0)


def test_style_of_the_page_does_not_reach_the_widget(page: Page, site: Site) -> None:
    open_place(allowed_origins=[site.origin])
    page.goto(site.origin)
    box = launcher(page).bounding_box()
    size = page.viewport_size
    assert (round(box["width"]), round(box["height"])) == (60, 60)
    assert round(size["width"] - box["x"] - box["width"]) == 20
    assert round(size["height"] - box["y"] - box["height"]) == 20
    assert launcher(page).evaluate("(button) => getComputedStyle(button).color") == "rgb(255, 255, 255)"
    assert page.locator("h1").evaluate("(title) => getComputedStyle(title).color") == "rgb(255, 0, 0)"


def test_escape_closes_and_focus_returns(page: Page, site: Site) -> None:
    open_place(allowed_origins=[site.origin])
    page.goto(site.origin)
    launcher(page).focus()
    page.keyboard.press("Enter")
    expect(frame(page).get_by_label("Your name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#eml-chat-support .panel")).to_be_hidden()
    expect(launcher(page)).to_be_focused()
    launcher(page).click()
    frame(page).get_by_role("button", name="Close the chat").click()
    expect(launcher(page)).to_be_focused()


def test_unread_is_counted_on_the_launcher_also_after_a_reload(page: Page, site: Site) -> None:
    place = open_place(allowed_origins=[site.origin])
    page.goto(site.origin)
    launcher(page).click()
    desk = Desk(place, Visitor(frame(page)).start("Hello")).accept()
    expect(frame(page).get_by_role("heading", level=1)).to_have_text("Ana")
    page.keyboard.press("Escape")
    expect(page.locator("#eml-chat-support .panel")).to_be_hidden()
    desk.say("one")
    badge = page.locator("#eml-chat-support .badge")
    expect(badge).to_have_text("1")
    expect(page.get_by_role("button", name="Open the chat. New messages: 1")).to_be_visible()
    page.reload()
    expect(launcher(page)).to_be_visible()
    expect(badge).to_have_text("1")
    desk.say("two")
    expect(badge).to_have_text("2")
    launcher(page).click()
    expect(badge).to_be_hidden()
    Visitor(frame(page)).expect_said("Hello", "one", "two")


def test_open_panel_stays_open_on_the_next_page(page: Page, site: Site) -> None:
    open_place(allowed_origins=[site.origin])
    page.goto(site.origin)
    launcher(page).click()
    expect(frame(page).get_by_label("Your name")).to_be_visible()
    page.goto(f"{site.origin}/another-page")
    expect(frame(page).get_by_label("Your name")).to_be_visible()


def test_it_fills_a_phone(new_context: Callable[..., BrowserContext], site: Site) -> None:
    context = new_context(viewport={"width": 390, "height": 780}, is_mobile=True, has_touch=True)
    page = context.new_page()
    open_place(allowed_origins=[site.origin])
    page.goto(site.origin)
    launcher(page).tap()
    panel = page.locator("#eml-chat-support .panel")
    expect(panel).to_be_visible()
    expect(frame(page).get_by_label("Your name")).to_be_visible()
    page.wait_for_timeout(300)  # the panel rises
    box = panel.bounding_box()
    assert (box["x"], box["y"]) == (0, 0)
    frame(page).get_by_role("button", name="Close the chat").tap()
    expect(panel).to_be_hidden()
    expect(launcher(page)).to_be_visible()


def test_messages_from_others_are_not_believed(page: Page, site: Site) -> None:
    """The page around the frame may be listed and still hold foreign frames."""
    place = open_place(allowed_origins=[site.origin])
    page.goto(site.origin)
    launcher(page).click()
    desk = Desk(place, Visitor(frame(page)).start("Hello")).accept()
    expect(frame(page).get_by_role("heading", level=1)).to_have_text("Ana")
    page.evaluate("window.postMessage({ type: 'eml:close' }, '*')")
    page.evaluate("window.postMessage({ type: 'eml:unread', value: 7 }, '*')")
    desk.say("still open?")
    Visitor(frame(page)).expect_said("Hello", "still open?")
    expect(page.locator("#eml-chat-support .panel")).to_be_visible()
    heard: list[str] = page.evaluate(
        """() => new Promise((resolve) => {
          const heard = [];
          window.addEventListener("message", (event) => heard.push(JSON.stringify(event.data)));
          setTimeout(() => resolve(heard), 500);
        })"""
    )
    assert not any("Hello" in text or "still" in text for text in heard)


def test_it_says_so_when_the_chat_cannot_be_reached(page: Page, site: Site) -> None:
    open_place(allowed_origins=[site.origin])
    page.clock.install()
    page.route("**/frame/**", lambda route: route.abort())
    page.goto(site.origin)
    launcher(page).click()
    page.clock.run_for(13_000)
    link = page.get_by_role("link", name="Open it in a window of its own")
    expect(link).to_be_visible()
    assert link.get_attribute("href").endswith("/chat/support/")


def test_two_script_tags_make_one_launcher(page: Page, site: Site) -> None:
    open_place(allowed_origins=[site.origin])
    site.body *= 2
    page.goto(site.origin)
    page.wait_for_load_state("networkidle")
    expect(launcher(page)).to_have_count(1)
