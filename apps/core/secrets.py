"""Secrets in the database: readable only with EML_SECRET_KEY (or one of its fallbacks, while it is rotated)."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models


def encrypt(text: str) -> str:
    return _fernet(*_keys()).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Raises SecretUnreadable when neither the key nor a fallback fits."""
    try:
        return _fernet(*_keys()).decrypt(token.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable from None


class SecretUnreadable(Exception):
    """Written with a secret key that is not known any more."""


def _keys() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@functools.cache
def _fernet(*keys: str) -> MultiFernet:
    return MultiFernet([Fernet(_derived(key)) for key in keys])


def _derived(key: str) -> bytes:
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"apps.core.secrets")
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))


_EMPTY = {"{}", "[]"}


class SecretJSONField(models.TextField):
    """JSON that is encrypted on its way to the database and back in clear in Python. What is empty is no secret and
    stays readable whatever becomes of the key."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        return json.loads(value if value in _EMPTY else decrypt(value))

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        text = json.dumps(value)
        return text if text in _EMPTY else encrypt(text)

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj))
