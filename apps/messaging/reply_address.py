"""The address a customer's mail program answers to: it names the conversation, and nobody else can make one.

support@example.com becomes support+c12.k3v…@example.com. Small letters and digits only, because some mail programs
change the case of what they are given.
"""

from __future__ import annotations

import base64
import re

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

_TAG = re.compile(r"c([1-9][0-9]{0,17})\.([a-z2-7]{16})")


def make(address: str, conversation_id: int) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}+c{conversation_id}.{_mac(conversation_id, settings.SECRET_KEY)}@{domain}"


def split(address: str) -> tuple[str, str]:
    """An address without what stands after its plus sign, and that."""
    local, at, domain = address.strip().lower().rpartition("@")
    name, _, tag = local.partition("+")
    return f"{name}{at}{domain}", tag


def is_reply(tag: str) -> bool:
    """Whether it wants to be one of ours: other tags are the owner's own business (support+shop@…)."""
    return re.match(r"c[0-9]+(?:\.|$)", tag) is not None


def conversation_of(tag: str) -> int | None:
    """Which conversation a tag names; None when it was not made here."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    conversation_id = int(match[1])
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    is_ours = any(constant_time_compare(match[2], _mac(conversation_id, key)) for key in keys)
    return conversation_id if is_ours else None


def _mac(conversation_id: int, key: str) -> str:
    digest = salted_hmac(
        "apps.messaging.reply_address", str(conversation_id), secret=key, algorithm="sha256"
    ).digest()
    return base64.b32encode(digest[:10]).decode().lower()
