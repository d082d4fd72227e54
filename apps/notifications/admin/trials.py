"""Trying a gateway: where the test goes, and what came of it in words."""

from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import TextWidget
from apps.core.errors import EMLError
from apps.users import contacts
from apps.users.models import User

from ..choices import ErrorKind, Way
from ..models import Gateway
from ..services import gateways

TRIED = (Way.EMAIL, Way.SMS, Way.IN_APP)
_WHAT_TO_DO: dict[ErrorKind, str | Promise] = {
    ErrorKind.UNREACHABLE: _("Nobody answered there. Look at address, port and encryption."),
    ErrorKind.TEMPORARY: _("It was not taken. Look at the name and the password or key, or try again later."),
    ErrorKind.RATE_LIMITED: _("The provider asks to slow down. Try again later."),
    ErrorKind.PERMANENT: _("It was refused. Look at the sender and at what the provider allows."),
    ErrorKind.BAD_ADDRESS: _("The provider says that this recipient does not exist."),
    ErrorKind.UNKNOWN: _("It was handed over, and no answer came: it may have gone out."),
}


class TrialForm(forms.Form):
    """Nobody but oneself is written to; users have no number, so for an SMS it is asked for."""

    to = forms.CharField(
        label=_("Your mobile number"),
        help_text=_("With the country, like +49 151 12345678. The provider charges for one SMS."),
        max_length=40,
        widget=TextWidget(attrs={"inputmode": "tel", "autocomplete": "tel"}),
    )

    def __init__(self, *args: Any, gateway: Gateway, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_address = by.email if gateway.way == Way.EMAIL else by.actor_ref
        if gateway.way != Way.SMS:
            self.fields["to"].required = False
            self.fields["to"].widget = forms.HiddenInput()

    @property
    def asks(self) -> bool:
        return self.fields["to"].required

    def clean_to(self) -> str:
        if not self.asks:
            return self.own_address
        try:
            number = contacts.phone(self.cleaned_data["to"])
            contacts.check_dialled(number)
        except EMLError as error:
            raise forms.ValidationError(str(error)) from None
        return number


def trial(gateway: Gateway, *, to: str, by: User) -> dict[str, Any]:
    """Send it, and say what came of it: `is_accepted`, `said`, `todo` and where to look later."""
    delivery, outcome = gateways.send_trial(gateway, to=to, by=by, now=timezone.now())
    found = {
        "is_tried": True,
        "delivery_path": reverse("admin:notifications_delivery_change", args=[delivery.pk]),
    }
    if outcome.error is None:
        return found | {"is_accepted": True, "said": _accepted(gateway, to)}
    return found | {
        "is_accepted": False,
        "said": outcome.detail,
        "todo": _WHAT_TO_DO[ErrorKind(outcome.error)],
    }


def _accepted(gateway: Gateway, to: str) -> str:
    if gateway.kind == gateways.OUTBOX:
        return _now("It lies in the outbox: nothing left this machine.")
    if gateway.way == Way.IN_APP:
        return _now("It stands in your notification centre, under the bell of the console.")
    return _now("Accepted, and on its way to %(to)s.") % {"to": to}
