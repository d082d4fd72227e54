"""Who calls the API: the bearer of an access token, or somebody signed in with a browser."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.tokens import Token

from ..models import User
from ..services import tokens


class TokenAuthentication(JWTAuthentication):
    """`Authorization: Bearer …`, and nowhere else: what stands in an address ends up in logs.

    Algorithm, issuer and audience are fixed by the settings. The epoch in the token must be the user's, so signing
    out everywhere ends access tokens at once.
    """

    def get_validated_token(self, raw_token: bytes) -> Token:
        if len(raw_token) > tokens.MOST_CHARACTERS:
            raise InvalidToken
        try:
            return tokens.Access(raw_token)  # type: ignore[arg-type]  # annotated as Token, meant as its text
        except TokenError:
            raise InvalidToken from None

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override]
        user = tokens.user_of(validated_token).first()
        if user is None:
            raise InvalidToken
        return user


class SessionAuthentication(authentication.SessionAuthentication):
    """The session of a browser, with CSRF protection. Whoever has none is asked to sign in (401)."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"


class _TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class _SessionScheme(OpenApiAuthenticationExtension):
    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        from django.conf import settings

        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
