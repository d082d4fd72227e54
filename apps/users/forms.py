"""Forms about people: what one may say about oneself."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from allauth.account import forms as account_forms
from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from .models import User


def zone_choices() -> list[tuple[str, str]]:
    """Named places only: "Etc/GMT+2" and "EST5EDT" mislead more than they help."""
    places = sorted(
        zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/"))
    )
    return [("UTC", "UTC"), *((zone, zone.replace("_", " ")) for zone in places)]


def keep_zone(form: forms.BaseForm, name: str, zone: str) -> None:
    """Programs may name zones that nobody is offered here; saving the rest does not take them away."""
    field = form.fields.get(name)
    if zone and isinstance(field, forms.ChoiceField) and not field.valid_value(zone):
        offered: Any = field.choices
        field.choices = [*offered, (zone, zone)]


class ProfileForm(forms.ModelForm):
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=zone_choices, help_text=_("Times are shown to you as they are there.")
    )

    class Meta:
        model = User
        fields = ["name", "language", "time_zone"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_zone(self, "time_zone", self.instance.time_zone)


class LoginForm(account_forms.LoginForm):
    """Its fields named as everywhere else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("E-mail")
        self.fields["remember"].label = _("Keep me signed in")
