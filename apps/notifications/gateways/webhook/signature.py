"""Standard Webhooks 1.0: what is signed is `id.timestamp.body`, HMAC-SHA256, base64, as `v1,…`. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
# Between 24 and 64 bytes, says the scheme.
_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signatures(keys: Iterable[str], *, message_id: str, timestamp: int, body: bytes) -> str:
    """One for each secret that is valid now, separated by spaces: the receiver takes the one he knows."""
    return " ".join(signature(key, message_id=message_id, timestamp=timestamp, body=body) for key in keys)


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("A secret is whsec_ and base64.") from None
