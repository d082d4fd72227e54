"""The keys of API tokens: H16, Z31, and how a key is changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings
from rest_framework.test import APIClient

from apps.users.models import User
from apps.users.services import signing, tokens
from eml.settings import env
from tests.factories import make_user

pytestmark = pytest.mark.django_db
ME = "/api/v1/me/"
JWKS = "/.well-known/jwks.json"


@pytest.fixture
def user(db) -> User:
    return make_user()


@pytest.fixture
def sign_with(monkeypatch) -> Callable[..., signing.KeyRing]:
    """As after a restart with this key, and these accepted besides."""

    def change(private: str, *accepted: str) -> signing.KeyRing:
        public = [env.public_half(private), *accepted]
        monkeypatch.setattr(
            signing, "ring", signing.KeyRing(private, public, audience="eml-api", issuer="eml")
        )
        return signing.ring

    return change


def status(token: str) -> int:
    return APIClient().get(ME, headers={"authorization": f"Bearer {token}"}).status_code


def refreshed(token: str) -> int:
    return APIClient().post("/api/v1/auth/token/refresh/", {"refresh": token}).status_code


def claims_of(user: User) -> dict:
    return jwt.decode(tokens.issue(user).access, options={"verify_signature": False})


def our_kid() -> str:
    return signing.ring.jwks[0]["kid"]


def forged(claims: dict, key: str | None = None, algorithm: str = "ES256", **headers: object) -> str:
    key = key or settings.JWT_PRIVATE_KEY
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": our_kid()} | headers)


def by_hand(head: dict, claims: dict, signed: Callable[[bytes], bytes]) -> str:
    """What no library would write."""
    message = f"{part(json.dumps(head).encode())}.{part(json.dumps(claims).encode())}"
    return f"{message}.{part(signed(message.encode()))}"


def part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def test_a_token_made_as_ours_is_taken(user):
    """So that the refusals below are for the reason they name."""
    assert status(forged(claims_of(user))) == 200


# Z31: only tokens of ours, as we make them

HOUR = 3600
TAMPERED = {
    "expired": lambda claims: claims | {"exp": claims["iat"] - 1},
    "no_exp": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    "not_yet": lambda claims: claims | {"nbf": claims["iat"] + HOUR},
    "from_the_future": lambda claims: claims | {"iat": claims["iat"] + HOUR},
    "other_audience": lambda claims: claims | {"aud": "eml"},
    "no_audience": lambda claims: {name: value for name, value in claims.items() if name != "aud"},
    "other_issuer": lambda claims: claims | {"iss": "eml2"},
    "issuer_as_substring": lambda claims: claims | {"iss": "em"},
    "refresh_as_access": lambda claims: claims | {"token_type": "refresh"},
    "no_user": lambda claims: {name: value for name, value in claims.items() if name != "user_id"},
    "unknown_user": lambda claims: claims | {"user_id": "999999"},
    "user_as_text": lambda claims: claims | {"user_id": "abc"},
    "user_as_list": lambda claims: claims | {"user_id": [1]},
    "no_epoch": lambda claims: {name: value for name, value in claims.items() if name != "epoch"},
    "old_epoch": lambda claims: claims | {"epoch": -1},
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED.keys())
def test_z31_wrong_claims_are_refused_even_with_our_signature(tamper, user):
    assert status(forged(tamper(claims_of(user)))) == 401


def test_z31_other_signatures_are_refused(user):
    claims, public = claims_of(user), settings.SIMPLE_JWT["VERIFYING_KEY"]
    signed = forged(claims)
    bad = [
        jwt.encode(claims, None, algorithm="none", headers={"kid": our_kid()}),
        forged(claims, env.ec_private_key()),
        signed[:-8] + "AAAAAAAA",
        ".".join([signed.split(".")[0], part(public.encode()), signed.split(".")[2]]),
        tokens.issue(user).refresh,
    ]
    for token in bad:
        assert status(token) == 401, token[:40]


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", ""])
def test_z31_without_a_signature_nobody_is_known(algorithm, user):
    head = {"alg": algorithm, "typ": "JWT", "kid": our_kid()}
    assert status(by_hand(head, claims_of(user), lambda message: b"")) == 401


@pytest.mark.parametrize("form", ["pem", "der", "point"])
def test_z31_our_public_key_is_no_shared_secret(form, user):
    pem = settings.SIMPLE_JWT["VERIFYING_KEY"].encode()
    public = serialization.load_pem_public_key(pem)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    key = {"pem": pem, "der": der, "point": point}[form]
    head = {"alg": "HS256", "typ": "JWT", "kid": our_kid()}
    token = by_hand(head, claims_of(user), lambda message: hmac.new(key, message, hashlib.sha256).digest())
    assert status(token) == 401


KEY_HEADERS = {
    "jku": "https://evil.example/keys",
    "x5u": "https://evil.example/cert",
    "jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "x5c": ["AA"],
}


@pytest.mark.parametrize("name", KEY_HEADERS)
def test_z31_a_token_brings_no_key_along(name, user):
    """Neither with a foreign signature nor with ours: nothing in a header is looked up or ignored."""
    more = {name: KEY_HEADERS[name]}
    assert status(forged(claims_of(user), env.ec_private_key(), **more)) == 401
    assert status(forged(claims_of(user), **more)) == 401


@pytest.mark.parametrize(
    "head",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": True},
        {"typ": "at+jwt"},
        {"typ": None},
        {"kid": "unknown"},
        {"kid": ""},
        {"kid": None},
        {"kid": ["x"]},
        {"kid": {}},
        {"kid": "../../dev/null"},
        {"kid": "https://evil.example/keys"},
        {"alg": "ES384"},
        {"alg": ["ES256"]},
    ],
    ids=str,
)
def test_z31_other_headers_are_refused_even_with_our_signature(head, user):
    prepared = signing.ring.prepared_signing_key
    signed = jwt.get_algorithm_by_name("ES256")
    right = {"alg": "ES256", "typ": "JWT", "kid": our_kid()}
    claims = claims_of(user)
    assert status(by_hand(right, claims, lambda message: signed.sign(message, prepared))) == 200
    assert status(by_hand(right | head, claims, lambda message: signed.sign(message, prepared))) == 401


def test_z31_a_token_must_name_its_key(user):
    assert status(jwt.encode(claims_of(user), settings.JWT_PRIVATE_KEY, algorithm="ES256")) == 401


def test_z31_a_huge_token_is_refused_before_it_is_looked_at(user):
    assert status(forged(claims_of(user) | {"x": "y" * 100_000})) == 401


# H16: keys have names, and can be changed


def test_h16_a_token_names_its_key_which_the_list_holds(user):
    pair = tokens.issue(user)
    answer = APIClient().get(JWKS)
    assert answer["Content-Type"] == "application/jwk-set+json"
    assert answer["Cache-Control"] == "public, max-age=300"
    (key,) = jwt.PyJWKSet.from_dict(answer.json()).keys
    for token, kind in ((pair.access, "access"), (pair.refresh, "refresh")):
        assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT", "kid": key.key_id}
        claims = jwt.decode(token, key, algorithms=["ES256"], audience="eml-api", issuer="eml")
        assert claims["token_type"] == kind
        assert claims["user_id"] == str(user.pk)
    access = jwt.decode(pair.access, options={"verify_signature": False})
    assert access["exp"] - access["iat"] == 300


def test_h16_the_list_holds_no_private_part():
    (key,) = APIClient().get(JWKS).json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


def test_a_key_is_named_by_its_fingerprint():
    """RFC 7638, written out: required members in order, no blanks."""
    key = signing.jwk(settings.JWT_PUBLIC_KEYS[0])
    canonical = f'{{"crv":"{key["crv"]}","kty":"{key["kty"]}","x":"{key["x"]}","y":"{key["y"]}"}}'
    assert key["kid"] == part(hashlib.sha256(canonical.encode()).digest())


def test_h16_a_key_is_changed_without_ending_anything(user, sign_with):
    old = tokens.issue(user)
    former = settings.JWT_PUBLIC_KEYS[0]
    ring = sign_with(env.ec_private_key(), former)
    listed = [key["kid"] for key in APIClient().get(JWKS).json()["keys"]]
    assert listed == [ring.jwks[0]["kid"], signing.jwk(former)["kid"]]
    new = tokens.issue(user)
    assert jwt.get_unverified_header(new.access)["kid"] == listed[0]
    assert [status(new.access), status(old.access), refreshed(old.refresh)] == [200, 200, 200]


def test_h16_what_the_former_key_signed_ends_with_it(user, sign_with):
    old = tokens.issue(user)
    sign_with(env.ec_private_key())
    assert [status(old.access), refreshed(old.refresh)] == [401, 401]


def test_h16_the_next_key_is_accepted_before_it_signs(user, sign_with):
    """So that processes can be restarted one after the other."""
    following = env.ec_private_key()
    sign_with(following, env.public_half(settings.JWT_PRIVATE_KEY))
    early = tokens.issue(user).access
    sign_with(settings.JWT_PRIVATE_KEY, env.public_half(following))
    assert status(early) == 200


def test_h16_the_name_of_an_accepted_key_helps_no_other_signature(user, sign_with):
    former = settings.JWT_PUBLIC_KEYS[0]
    claims = claims_of(user)
    sign_with(env.ec_private_key(), former)
    assert status(forged(claims, env.ec_private_key(), kid=signing.jwk(former)["kid"])) == 401
    assert status(forged(claims, settings.JWT_PRIVATE_KEY)) == 401  # the new key's name
    assert status(forged(claims, settings.JWT_PRIVATE_KEY, kid=signing.jwk(former)["kid"])) == 200


def start(tmp_path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The settings, read by a process of its own."""
    # With servers it asks for a secret key first, which is not what these are about.
    servers = {"DATABASE_URL", "REDIS_URL", "BROKER_URL"}
    surroundings = {name: value for name, value in os.environ.items() if name not in servers}
    return subprocess.run(
        [sys.executable, "-c", "from eml.settings import JWT_PUBLIC_KEYS; print(''.join(JWT_PUBLIC_KEYS))"],
        env=surroundings | {"EML_ENV_FILE": "/dev/null", "EML_VAR": str(tmp_path)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_h16_accepted_keys_come_from_the_environment(tmp_path):
    mine, first, second = (env.ec_private_key() for _ in range(3))
    public = [env.public_half(key) for key in (mine, first, second)]
    accepted = ",".join(pem.strip().replace("\n", "\\n") for pem in public[1:])
    done = start(tmp_path, EML_JWT_PRIVATE_KEY=mine, EML_JWT_ACCEPTED_KEYS=accepted)
    assert done.stdout == "".join(public) + "\n", done.stderr


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, lock: bytes = b"") -> str:
    hidden = serialization.BestAvailableEncryption(lock) if lock else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden).decode()


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


WRONG = {
    "another curve": ("EML_JWT_PRIVATE_KEY", lambda: private_pem(ec.generate_private_key(ec.SECP384R1()))),
    "rsa": ("EML_JWT_PRIVATE_KEY", lambda: private_pem(rsa_key())),
    "encrypted": ("EML_JWT_PRIVATE_KEY", lambda: private_pem(ec.generate_private_key(ec.SECP256R1()), b"x")),
    "accepted: text": ("EML_JWT_ACCEPTED_KEYS", lambda: "secret"),
    "accepted: private": ("EML_JWT_ACCEPTED_KEYS", env.ec_private_key),
}


@pytest.mark.parametrize(("name", "make"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_key_stops_the_start_with_one_sentence(name, make, tmp_path):
    done = start(tmp_path, **{name: make()})
    assert done.returncode == 1
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith(f"EML cannot start: {name} must ")
    assert "BEGIN" not in sentence
