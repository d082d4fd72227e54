"""The keys of API tokens: one signs, and each token is checked with the one of ours that it names."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any

import jwt
from django.conf import settings
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError
from rest_framework_simplejwt.settings import api_settings

ALGORITHM = "ES256"


def jwk(public_pem: str) -> dict[str, str]:
    """A public key as RFC 7517 writes it. Its id is its fingerprint (RFC 7638): a key has one name everywhere."""
    curve = ECAlgorithm(ECAlgorithm.SHA256)
    bare: dict[str, str] = curve.to_jwk(curve.prepare_key(public_pem), as_dict=True)
    canonical = json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()
    kid = base64url_encode(hashlib.sha256(canonical).digest()).decode()
    return bare | {"use": "sig", "alg": ALGORITHM, "kid": kid}


class KeyRing(TokenBackend):
    """Signs with the key of the first public one, and accepts what any of them proves.

    A token's header holds what we write there and nothing else: the algorithm is never the token's choice, no key comes
    with it or from an address in it, and no extension is taken for granted.
    """

    def __init__(self, private_pem: str, public_pems: list[str], *, audience: str, issuer: str) -> None:
        super().__init__(ALGORITHM, private_pem, public_pems[0], audience=audience, issuer=issuer)
        self.public_pems = public_pems

    @cached_property
    def jwks(self) -> list[dict[str, str]]:
        return [jwk(pem) for pem in self.public_pems]

    @cached_property
    def keys(self) -> dict[str, Any]:
        return {
            key["kid"]: self._prepare_key(pem) for key, pem in zip(self.jwks, self.public_pems, strict=True)
        }

    def encode(self, payload: dict[str, Any]) -> str:
        claims = payload | {"aud": self.audience, "iss": self.issuer}
        kid = self.jwks[0]["kid"]
        return jwt.encode(claims, self.prepared_signing_key, algorithm=self.algorithm, headers={"kid": kid})

    def get_verifying_key(self, token: Any) -> Any:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        if header != {"alg": self.algorithm, "typ": "JWT", "kid": kid} or kid not in self.keys:
            raise TokenBackendError("Token is invalid")
        return self.keys[kid]


ring = KeyRing(
    settings.JWT_PRIVATE_KEY,
    settings.JWT_PUBLIC_KEYS,
    audience=api_settings.AUDIENCE,
    issuer=api_settings.ISSUER,
)
