"""`make screenshots`: starts EML on a fresh folder, plays a scene, and takes the pictures of README and docs.

The server, the logins and the pages are the real ones; the customers and the words are made up (tests.browser.scene).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.server
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen
from zoneinfo import ZoneInfo

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.chromium import CHROMIUM

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "img"
MOST_BYTES = 300_000
DESKTOP = {"width": 1360, "height": 850}
# It is always the middle of the afternoon somewhere; the pictures are taken there.
CITIES = ["Europe/Berlin", "America/New_York", "America/Los_Angeles", "Pacific/Honolulu", "Pacific/Auckland"]
CITIES += [
    "Australia/Perth",
    "Asia/Tokyo",
    "Asia/Karachi",
    "Asia/Dubai",
    "America/Sao_Paulo",
    "Atlantic/Azores",
]
CITIES += ["Europe/London", "America/Denver", "America/Chicago", "America/Anchorage", "Asia/Bangkok"]
CITIES += ["Asia/Dhaka", "Pacific/Guadalcanal", "Pacific/Pago_Pago", "Europe/Helsinki", "America/Halifax"]
RINGING_SECONDS = 60
PATIENCE_MS = 20_000

SHOP = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>North Bank</title><style>
body { margin: 0; font: 17px/1.6 Georgia, serif; color: #22302a; background: #f6f4ee }
header { padding: 22px 48px; background: #24483a; color: #fff; font-size: 22px; letter-spacing: .5px }
main { max-width: 640px; margin: 56px 48px } h1 { font-size: 40px; line-height: 1.15; margin: 0 0 20px }
p { margin: 0 0 18px } .card { width: 300px; height: 180px; margin: 36px 0; border-radius: 16px;
background: linear-gradient(135deg, #24483a, #6f9c83) } </style></head><body><header>North Bank</header><main>
<h1>A card that tells you where your money goes.</h1><p>Free for the first year. No small print: the whole contract
fits on this page.</p><div class="card"></div><p>Questions? Somebody is there, at the lower right.</p></main>
<script src="%s/chat/support/widget.js" data-theme="light" async></script></body></html>"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--into", type=Path, default=IMAGES, help="folder for the pictures (default: %(default)s)"
    )
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="eml-screenshots.") as folder:
        url = _settings(Path(folder))
        _prepare()
        with _server(Path(folder), url), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            Studio(browser, url, into=arguments.into).take_all()
            browser.close()


def _settings(folder: Path) -> str:
    """This process and the server share one fresh folder and no settings of the developer's own."""
    for name in [name for name in os.environ if name.startswith("EML_")]:
        del os.environ[name]
    for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL"):
        os.environ.pop(name, None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Playwright's loop runs in this thread; nothing else does.
    os.environ |= {"EML_ENV_FILE": os.devnull, "EML_VAR": str(folder), "EML_PORT": str(port)}
    os.environ |= {"DJANGO_SETTINGS_MODULE": "eml.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "true"}
    return f"http://127.0.0.1:{port}"


def _prepare() -> None:
    """The demo, and a day that has already happened in it."""
    import django

    django.setup()
    from django.core.management import call_command

    from apps.routing.models import Queue
    from apps.users.models import User
    from eml import demo
    from tests.browser import scene

    call_command("migrate", verbosity=0)
    demo.create_once()
    User.objects.update(time_zone=here())
    scene.play_the_day()
    # Time enough to take several pictures of one ringing offer.
    Queue.objects.update(offer_seconds=RINGING_SECONDS)


def here() -> str:
    def distance(city: str) -> float:
        local = dt.datetime.now(ZoneInfo(city))
        return abs(local.hour + local.minute / 60 - 15.5)

    return min(CITIES, key=distance)


@contextlib.contextmanager
def _server(folder: Path, url: str) -> Iterator[None]:
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=ROOT, stdout=output, stderr=output
        )
    try:
        _wait(lambda: urlopen(f"{url}/health/", timeout=2).status == 200)
        yield
    except BaseException:
        print(log.read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(20)


def _wait(is_true: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if is_true():
                return
        time.sleep(0.1)
    raise TimeoutError("it did not happen in time")


class Studio:
    def __init__(self, browser: Browser, url: str, *, into: Path) -> None:
        self.browser, self.url, self.into = browser, url, into

    def take_all(self) -> None:
        from apps.routing.choices import Chosen
        from tests.browser import scene

        with _shop(self.url) as shop, _staying(["Ben", "Eva"]):
            # Since the day was played nobody was there: the server has signed them out.
            scene.choose("Ben", Chosen.AVAILABLE)
            scene.choose("Eva", Chosen.NOT_READY, "Lunch")
            ana, sofia = self.sign_in("Ana"), self.sign_in("Sofia")
            scene.choose("Ana", Chosen.AVAILABLE)
            self.keep_ben_busy()
            customer = self.open_chat()
            visitor = self.open_widget(shop)
            self.take_talks(customer, visitor)
            self.let_them_wait()
            self.take_desk(ana)
            self.take_admin(sofia)

    # People at their screens

    def context(self, **options: object) -> BrowserContext:
        defaults = {"viewport": DESKTOP, "timezone_id": here(), "locale": "en-GB", "color_scheme": "light"}
        context = self.browser.new_context(**(defaults | options))  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        return context

    def sign_in(self, name: str) -> Page:
        from eml.demo import LOGINS

        login = next(login for login in LOGINS if login["name"].startswith(name))
        page = self.context().new_page()
        page.goto(f"{self.url}/account/login/")
        page.locator("input[name=login]").fill(login["email"])
        page.locator("input[name=password]").fill(login["password"])
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(lambda address: "login" not in address)
        return page

    def keep_ben_busy(self) -> None:
        from tests.browser import scene

        for name, body in (
            ("Luca Romano", "Good afternoon, how do I change the address on my account?"),
            ("Yara Aziz", "I would like to close the old savings account."),
            ("Peter Vogel", "Is the branch in the old town open on Saturday?"),
        ):
            _accept(scene.start_chat("sales", name, body))

    def open_chat(self) -> Page:
        page = self.context(viewport={"width": 900, "height": 800}).new_page()
        page.goto(f"{self.url}/chat/support/")
        self.introduce(
            page, "Maya Patel", "Hi! My card was swallowed by the machine at the station. What now?"
        )
        return page

    def open_widget(self, shop: str) -> Page:
        page = self.context(viewport={"width": 1280, "height": 800}).new_page()
        page.goto(shop)
        page.get_by_role("button", name="Open the chat").click()
        frame = page.frame_locator("#eml-chat-support iframe")
        self.introduce(frame, "Noah Fischer", "Does the free card work abroad as well?")
        return page

    @staticmethod
    def introduce(page: object, name: str, body: str) -> None:
        page.get_by_label("Your name").fill(name)  # type: ignore[attr-defined]
        page.get_by_label("Your message").fill(body)  # type: ignore[attr-defined]
        page.get_by_role("button", name="Start the conversation").click()  # type: ignore[attr-defined]
        expect(page.locator(".bubble:visible").first).to_be_visible(timeout=PATIENCE_MS)  # type: ignore[attr-defined]

    # Scenes

    def take_talks(self, customer: Page, visitor: Page) -> None:
        """Ana has both; the customers' pages catch up by themselves."""
        from apps.messaging.models import Conversation
        from tests.browser import scene

        card = Conversation.objects.get(customer__name="Maya Patel")
        abroad = Conversation.objects.get(customer__name="Noah Fischer")
        for conversation in (card, abroad):
            _accept(conversation)
        answers = (
            (card, "Hello Maya, this is Ana. I have blocked the card, nobody can use it now.", True),
            (card, "Phew. Can I get cash today somehow?", False),
            (
                card,
                "Yes: open the app, choose “Cash code”, and any of our machines pays out up to 200 €.",
                True,
            ),
            (abroad, "Hello Noah! Yes, everywhere, and without a foreign currency fee.", True),
        )
        for conversation, body, by_agent in answers:
            scene.say(conversation, body, by_agent=by_agent)
        expect(customer.get_by_text("Cash code")).to_be_visible(timeout=PATIENCE_MS)
        expect(customer.get_by_text("Talking with you")).to_be_visible(timeout=PATIENCE_MS)
        self.shoot(customer, "chat")
        frame = visitor.frame_locator("#eml-chat-support iframe")
        expect(frame.get_by_text("foreign currency fee")).to_be_visible(timeout=PATIENCE_MS)
        self.shoot(visitor, "widget")
        scene.say(card, "It worked, I have the cash! And the new card?", by_agent=False)
        scene.say(abroad, "And in Switzerland, too?", by_agent=False)

    def let_them_wait(self) -> None:
        from apps.core import dispatch
        from tests.browser import scene

        scene.start_chat("support", "Grace Okoye", "I do not recognise a payment of 89.90 from last night.")
        dispatch.drain()
        for name, body in (
            ("Victor Dahl", "My new card has not arrived yet, it has been nine days."),
            ("Leila Karimi", "How do I raise the limit of my card for a trip?"),
        ):
            scene.start_chat("support", name, body)
        dispatch.drain()
        time.sleep(8)  # nobody is seen to have waited for no time at all

    def take_desk(self, page: Page) -> None:
        page.goto(f"{self.url}/console/")
        page.get_by_role("link", name="Maya Patel").first.click()
        expect(page.locator("#offers article")).to_be_visible()
        expect(page.get_by_text("And the new card?").last).to_be_visible()
        self.shoot(page, "console")
        page.emulate_media(color_scheme="dark")
        self.shoot(page, "console-dark")

    def take_admin(self, page: Page) -> None:
        from apps.messaging.models import Conversation

        page.goto(f"{self.url}/admin/")
        page.wait_for_load_state("networkidle")
        self.shoot(page, "admin-overview")
        talk = Conversation.objects.filter(tags__name="complaint", rating__isnull=False).latest("id")
        page.set_viewport_size({"width": DESKTOP["width"], "height": 1150})
        page.goto(f"{self.url}/admin/messaging/conversation/{talk.pk}/change/")
        page.wait_for_load_state("networkidle")
        self.shoot(page, "admin-conversation")

    def shoot(self, page: Page, name: str) -> None:
        page.mouse.move(0, 0)
        page.wait_for_timeout(700)  # transitions and charts come to rest
        path = self.into / f"{name}.png"
        path.write_bytes(small(page.screenshot()))
        print(
            f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}  {path.stat().st_size // 1000} kB"
        )


def _accept(conversation: object) -> None:
    """By whom the router chose."""
    from django.utils import timezone

    from apps.core import dispatch
    from apps.routing.choices import OfferState
    from apps.routing.models import Offer
    from apps.routing.services import acceptance

    def rings() -> bool:
        dispatch.drain()
        live = Offer.objects.filter(item__conversation=conversation, state=OfferState.OFFERED).first()
        if live is not None:
            acceptance.accept(live.pk, by=live.agent.user, now=timezone.now())
        return live is not None

    _wait(rings, 20)
    conversation.refresh_from_db()  # type: ignore[attr-defined]


@contextlib.contextmanager
def _staying(names: list[str]) -> Iterator[None]:
    """Agents whose screens are not shown: their heartbeat."""
    from django.db import connection
    from django.utils import timezone

    from apps.routing.services import agents
    from tests.browser import scene

    users, done = [scene.person(name).pk for name in names], threading.Event()

    def beat() -> None:
        while not done.wait(8):
            agents.renew_leases(users, now=timezone.now())
        connection.close()

    agents.renew_leases(users, now=timezone.now())
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    yield
    done.set()
    thread.join(10)


@contextlib.contextmanager
def _shop(url: str) -> Iterator[str]:
    """Somebody else's web site, which the inbox lists."""
    from apps.messaging.models import Inbox

    page = SHOP.replace("%s", url).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    Inbox.objects.filter(slug="support").update(allowed_origins=[origin])
    yield origin
    server.shutdown()
    server.server_close()


def small(png: bytes) -> bytes:
    """As it is if it is small enough; else with fewer colours, which costs small marks their own."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (None, 256, 128, 64):
        out = io.BytesIO()
        shown = image.quantize(colours, dither=Image.Dither.NONE) if colours else image
        shown.save(out, "PNG", optimize=True)
        if out.tell() < MOST_BYTES:
            return out.getvalue()
    raise ValueError(f"this picture cannot be made smaller than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
