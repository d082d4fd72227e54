"""What docs/webhooks.md tells receivers is what they get."""

from __future__ import annotations

import re
import time

from apps.notifications import published
from apps.notifications.gateways import Outgoing
from apps.notifications.gateways.webhook import gateway, signature
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "webhooks.md").read_text()


def test_example_accepts_what_we_sign_and_nothing_else() -> None:
    code = re.search(r"```python\n(.+?)```", PAGE, re.DOTALL)
    assert code is not None
    space: dict = {}
    exec(code[1], space)
    secret, body = signature.new_secret(), b'{"type": "ping"}'
    secrets = (signature.new_secret(), secret)
    headers = gateway.headers(
        Outgoing(1, "eml-1", "https://x/", extra={"secrets": secrets}), body, at=int(time.time())
    )
    assert space["is_ours"](secret, headers, body)
    assert not space["is_ours"](secret, headers, body + b" ")
    assert not space["is_ours"](signature.new_secret(), headers, body)
    old = headers | {"webhook-timestamp": str(int(time.time()) - 1000)}
    assert not space["is_ours"](secret, old, body)


def test_table_names_the_events_and_their_fields() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", PAGE, re.MULTILINE)
    written = {name: tuple(re.findall(r"`(\w+)`", fields)) for name, fields in rows}
    assert written == {name: one.fields for name, one in published.PUBLISHED.items()}
