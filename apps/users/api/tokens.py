"""Signing in without a browser: e-mail and password for a pair of tokens, a refresh token for the next pair."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from apps.core.api.serializers import LineField, StrictBooleanField, StrictCharField, StrictSerializer
from apps.core.api.throttles import Login

from .. import errors, selectors
from ..lockout import LockedOut
from ..models import User
from ..services import people, second_factor, tokens

_PAIR = {"access": "eyJhbGciOiJFUzI1NiIs…", "refresh": "eyJhbGciOiJFUzI1NiIs…"}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Sign in", value={"email": "ana@demo.example", "password": "demo-agent-1"}, request_only=True
        ),
        OpenApiExample("Tokens", value=_PAIR, response_only=True),
    ]
)
class SignInSerializer(StrictSerializer):
    email = LineField(max_length=254, write_only=True)
    password = StrictCharField(max_length=1000, write_only=True)
    code = LineField(
        max_length=second_factor.MOST_CHARACTERS,
        required=False,
        write_only=True,
        help_text="Of your authenticator app, if you have one; a recovery code will do.",
    )
    access = StrictCharField(read_only=True, help_text="Good for five minutes, as `Authorization: Bearer …`.")
    refresh = StrictCharField(read_only=True, help_text="Good for one day and one use.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # The plain request: that is where the lockout notes its verdict.
        request = self.context["request"]._request
        user = authenticate(request, email=attrs["email"].strip(), password=attrs["password"])
        if getattr(request, "axes_locked_out", False):
            raise LockedOut
        if not isinstance(user, User):
            raise errors.WrongCredentials
        _check_second_factor(user, attrs.get("code"), request=request)
        user_logged_in.send(User, request=request, user=user)
        return tokens.issue(user)._asdict()


def _check_second_factor(user: User, code: str | None, *, request: HttpRequest) -> None:
    if selectors.must_set_up_second_factor(user):
        raise errors.SecondFactorMissing
    if not selectors.has_second_factor(user):
        return
    if code is None:
        raise errors.SecondFactorNeeded
    if not second_factor.check(user, code):
        # Counted like a wrong password: six digits are soon guessed by whoever may try for ever.
        user_login_failed.send(__name__, credentials={"email": user.email}, request=request)
        raise errors.SecondFactorWrong


@extend_schema_serializer(
    examples=[
        OpenApiExample("Refresh", value={"refresh": _PAIR["refresh"]}, request_only=True),
        OpenApiExample("Tokens", value=_PAIR, response_only=True),
    ]
)
class RefreshSerializer(StrictSerializer):
    refresh = StrictCharField(help_text="Good for one use: the answer holds the next one.")
    access = StrictCharField(read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return tokens.rotate(attrs["refresh"])._asdict()


class SignOutSerializer(StrictSerializer):
    refresh = StrictCharField(write_only=True)
    everywhere = StrictBooleanField(
        default=False,
        write_only=True,
        help_text="Also end all other sessions, tokens and sockets of the user.",
    )


class _TokenView(APIView):
    """Whoever asks here has no token yet, and a session must not make a difference."""

    permission_classes = [AllowAny]
    authentication_classes: list = []
    serializer_class: type[BaseSerializer]

    def post(self, request: Request) -> Response:
        serializer = self.serializer_class(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        return Response(serializer.validated_data)


class SignInView(_TokenView):
    throttle_classes = [Login]
    serializer_class = SignInSerializer

    @extend_schema(operation_id="auth_token", request=SignInSerializer, responses=SignInSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Exchange e-mail and password (and the code of the authenticator app) for a pair of tokens.

        After eight wrong tries the address is locked for ten minutes for your network (429 `locked_out`).
        """
        return super().post(request)


class RefreshView(_TokenView):
    throttle_classes = [Login]
    serializer_class = RefreshSerializer

    @extend_schema(
        operation_id="auth_token_refresh", request=RefreshSerializer, responses=RefreshSerializer, auth=[]
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair.

        A refresh token that comes a second time may be stolen: the user is signed out everywhere (401 `token_reused`).
        """
        return super().post(request)


class SignOutView(_TokenView):
    serializer_class = SignOutSerializer

    @extend_schema(operation_id="auth_logout", request=SignOutSerializer, responses={204: None}, auth=[])
    def post(self, request: Request) -> Response:
        """End this sign-in, or all of the user's."""
        data = super().post(request).data
        user = tokens.revoke(data["refresh"])
        if data["everywhere"]:
            people.sign_out_everywhere(user, by=user)
        return Response(status=status.HTTP_204_NO_CONTENT)
