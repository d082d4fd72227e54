"""Addresses of ours that go out in messages: the preference page, unsubscribing, a conversation for staff."""

from __future__ import annotations

import functools
import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any, NamedTuple

from django.conf import settings
from django.core import signing

from .choices import Way
from .models import Delivery

# Part of every signature: a token made for another use is no good here.
SALT = "notifications.preferences"


class Wish(NamedTuple):
    """What a token is about: this customer, and the purpose and way of the message that it came with (0: none)."""

    customer_id: int
    purpose_id: int = 0
    way: str = ""


def token(wish: Wish) -> str:
    """Signed, bound to one customer, good for as long as the secret key (or its fallback) is."""
    return _token(wish, settings.SECRET_KEY)


@functools.lru_cache(maxsize=1024)
def _token(wish: Wish, secret_key: str) -> str:
    """What `_signer` would make of it, at a tenth of the price. Kept for a moment: a mail says it in its text and
    in its headers."""
    text = f"{wish.customer_id}-{wish.purpose_id}-{wish.way}"
    signature = urlsafe_b64encode(hmac.digest(_key(secret_key), text.encode(), "sha256"))
    return f"{text}.{signature.rstrip(b'=').decode()}"


@functools.lru_cache(maxsize=4)
def _key(secret_key: str) -> bytes:
    """The signer derives it anew for each signature."""
    return hashlib.sha256(f"{SALT}signer{secret_key}".encode()).digest()


def wish(token: str) -> Wish | None:
    """What a token is about; None when it is not one of ours."""
    try:
        customer_id, purpose_id, way = _signer().unsign(token).split("-")
        return Wish(int(customer_id), int(purpose_id), way)
    except (signing.BadSignature, ValueError):
        return None


def _signer() -> signing.Signer:
    return signing.Signer(salt=SALT, sep=".")


def preferences_path(wish: Wish) -> str:
    return _path("preferences", token(wish))


def preferences_url(wish: Wish) -> str:
    return settings.BASE_URL + preferences_path(wish)


def unsubscribe_url(wish: Wish) -> str:
    return settings.BASE_URL + _path("unsubscribe", token(wish))


def conversation_path(pk: int) -> str:
    return _path("console:conversation", pk)


# As the address tables have them. To ask those would load every page of the program into the role that only sends.
PATHS = {
    "preferences": "/preferences/{}/",
    "unsubscribe": "/preferences/{}/unsubscribe/",
    "console:conversation": "/console/c/{}/",
}


def _path(name: str, value: Any) -> str:
    return PATHS[name].format(value)


def unsubscribe_headers(row: Delivery) -> dict[str, str]:
    """RFC 8058: one click in the mail program ends it. For whatever a customer may decline; not for staff."""
    if row.way != Way.EMAIL or not row.customer_id or not row.purpose_id:
        return {}
    address = unsubscribe_url(Wish(row.customer_id, row.purpose_id, row.way))
    return {"List-Unsubscribe": f"<{address}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def link(name: str, *, row: Delivery, conversation: Any = None) -> str:
    """A link in the text of `row`, empty where the recipient has none."""
    if name == "conversation" and conversation is not None and row.user_id:
        return settings.BASE_URL + conversation_path(conversation.pk)
    if not row.customer_id:
        return ""
    about = Wish(row.customer_id, row.purpose_id or 0, row.way)
    if name == "preferences":
        return preferences_url(about)
    return unsubscribe_url(about) if name == "unsubscribe" else ""
