from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.core.errors import EMLError, Invalid


class SignatureWrong(EMLError):
    """Nobody but the provider may call; who else called is not told why he is refused."""

    status = 401
    code = "signature_wrong"
    detail = _("This call is not signed as agreed.")


class CallMalformed(Invalid):
    code = "call_malformed"
    detail = _("This call is not what the provider sends.")
