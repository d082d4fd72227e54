"""Reads the environment. A wrong value stops the start with one sentence that names it."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parents[2]

_env = environ.Env()
# Another file for another installation on the same machine; the tests read none at all.
environ.Env.read_env(os.environ.get("EML_ENV_FILE", BASE_DIR / ".env"))


def _stop(name: str, why: str) -> NoReturn:
    sys.exit(f"EML cannot start: {name} {why}")


def _read(reader: Callable[..., Any], name: str, default: Any, expected: str) -> Any:
    try:
        return reader(name, default=default)
    except (ValueError, ImproperlyConfigured):
        _stop(name, f"must be {expected}, not {_env.str(name, default='')!r}.")


def text(name: str, default: str = "") -> str:
    return _read(_env.str, name, default, "text")


def flag(name: str, default: bool) -> bool:
    value = text(name, "true" if default else "false").strip().lower()
    if value not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        _stop(name, f"must be true or false, not {value!r}.")
    return value in {"true", "1", "yes", "on"}


def number(name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
    value = _read(_env.int, name, default, "a whole number")
    if not least <= value <= most:
        _stop(name, f"must be between {least} and {most}, not {value}.")
    return value


def words(name: str, default: list[str] | None = None) -> list[str]:
    """A list separated by commas."""
    return [word.strip() for word in _read(_env.list, name, default or [], "a list") if word.strip()]


def one_of(name: str, default: str, choices: set[str]) -> str:
    value = text(name, default)
    if value not in choices:
        _stop(name, f"must be one of {', '.join(sorted(choices))}, not {value!r}.")
    return value


def url(name: str, default: str, schemes: set[str]) -> str:
    value = text(name, default)
    if value and urlsplit(value).scheme not in schemes:
        _stop(name, f"must start with {' or '.join(sorted(f'{s}://' for s in schemes))}.")
    return value


def database(name: str, default: str) -> dict[str, Any]:
    value = url(name, default, {"sqlite", "postgres", "postgresql"})
    try:
        config = environ.Env.db_url_config(value)
    except (ValueError, ImproperlyConfigured):
        config = {}
    if not config.get("NAME"):
        _stop(name, "is not a database address like postgres://user:password@host:5432/name.")
    return config


def mail(name: str, default: str) -> dict[str, Any]:
    """Django's EMAIL_* settings from one address."""
    try:
        return _env.email_url(name, default=default)
    except (ValueError, ImproperlyConfigured):
        _stop(name, "is not a mail server's address like smtp+tls://user:password@host:587.")


def rate(name: str, default: str) -> str:
    value = text(name, default)
    if not re.fullmatch(r"[1-9][0-9]*/(s|sec|second|m|min|minute|h|hour|d|day)", value):
        _stop(name, f"must be a number per second, minute, hour or day like 600/min, not {value!r}.")
    return value


def folder(name: str, default: str) -> Path:
    """A folder that can be written to; made if need be."""
    path = Path(text(name, default))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _stop(name, f"must be a folder that can be written to, not {str(path)!r} ({error.strerror}).")
    return path


def zone(name: str, default: str) -> str:
    from zoneinfo import available_timezones

    value = text(name, default)
    if value not in available_timezones():
        _stop(name, f"must be a time zone like Europe/Berlin, not {value!r}.")
    return value


def kept_secret(name: str, path: Path, *, may_create: bool, make: Callable[[], str]) -> str:
    """The value of `name`; else what `path` holds; else, where a single process owns `path`, a new one kept there."""
    if value := text(name):
        return value
    if path.exists():
        return path.read_text()
    if not may_create:
        _stop(name, "must be set when a database server is used.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(made := make())
    return made


def random_key() -> str:
    return secrets.token_urlsafe(50)


def ec_private_key() -> str:
    """A fresh P-256 private key in PEM, for ES256 tokens."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_half(private_pem: str) -> str:
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if key is None or not _is_p256(key):
        _stop("EML_JWT_PRIVATE_KEY", "must be an EC P-256 private key in PEM.")
    return _public_pem(key.public_key())


def public_keys(name: str) -> list[str]:
    """P-256 public keys in PEM, separated by commas, with real line ends or \\n."""
    from cryptography.hazmat.primitives import serialization

    pems = []
    for word in words(name):
        try:
            key = serialization.load_pem_public_key(word.replace("\\n", "\n").encode())
        except ValueError:
            key = None
        if not _is_p256(key):
            _stop(name, "must hold EC P-256 public keys in PEM (openssl ec -in private.pem -pubout).")
        pems.append(_public_pem(key))
    return pems


def _is_p256(key: Any) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec

    return isinstance(getattr(key, "curve", None), ec.SECP256R1)


def _public_pem(key: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()
