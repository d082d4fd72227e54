"""The second factor of a sign-in that has no page to ask for it."""

from __future__ import annotations

from allauth.mfa.models import Authenticator

from ..models import User

MOST_CHARACTERS = 20


def check(user: User, code: str) -> bool:
    """Whether `code` is of the user's authenticator app, or one of his recovery codes. It is used up by this."""
    if not 0 < len(code) <= MOST_CHARACTERS:
        return False
    # The app first: trying a code there costs nothing.
    for authenticator in Authenticator.objects.filter(user=user, type__in=_BY_CODE).order_by("-type"):
        if authenticator.wrap().validate_code(code):
            authenticator.record_usage()
            return True
    return False


_BY_CODE = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
