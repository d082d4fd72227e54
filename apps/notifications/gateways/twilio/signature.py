"""X-Twilio-Signature: HMAC-SHA1 of the URL and the sorted form fields with the account's token, base64. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def sign(token: str, url: str, form: Mapping[str, str]) -> str:
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def is_valid(given: str, *, token: str, url: str, form: Mapping[str, str]) -> bool:
    """Twilio signs with or without the port, depending on its mood; its own library tries both as well."""
    if not token or not given:
        return False
    return any(
        hmac.compare_digest(sign(token, written, form).encode(), given.encode(errors="replace"))
        for written in {_without_port(url), _with_port(url)}
    )


def _with_port(url: str) -> str:
    parts = urlsplit(url)
    if parts.port or parts.scheme not in _PORTS:
        return url
    return parts._replace(netloc=f"{parts.netloc}:{_PORTS[parts.scheme]}").geturl()


def _without_port(url: str) -> str:
    parts = urlsplit(url)
    if not parts.port:
        return url
    return parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl()
