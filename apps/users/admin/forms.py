"""Forms of the people's admin pages. They check; services save."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import password_validation
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import PasswordWidget, SelectWidget
from apps.core.errors import EMLError

from .. import contacts, policy
from ..choices import Role
from ..forms import keep_zone, zone_choices
from ..models import ContactPoint, Customer, User


class UserForm(forms.ModelForm):
    """A new user or a changed one. `by` is who fills it in (set by the admin page)."""

    by: User

    role = forms.ChoiceField(
        label=_("Role"),
        required=False,
        widget=SelectWidget,
        help_text=_("A higher role includes the lower ones. A change signs the user out everywhere."),
    )
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES, widget=SelectWidget)
    time_zone = forms.ChoiceField(label=_("Time zone"), choices=zone_choices, widget=SelectWidget)
    new_password = forms.CharField(
        label=_("Password"),
        required=False,
        strip=False,
        widget=PasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_(
            "Leave it empty to keep the present one, or to let a new user choose one by “forgot password”."
        ),
    )

    class Meta:
        model = User
        fields = ["email", "name", "teams", "language", "time_zone", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_zone(self, "time_zone", self.instance.time_zone)
        own = policy.rank(policy.highest(self.by.roles))
        grantable = [(role.value, role.label) for role in Role if policy.rank(role) <= own]
        self.fields["role"].choices = [  # type: ignore[attr-defined]
            ("", _("None: may not work here")),
            *grantable,
        ]
        if self.instance.pk:
            self.fields["role"].initial = policy.highest(self.instance.roles) or ""
        else:
            self.fields["role"].initial = Role.AGENT
        if self.instance.pk == self.by.pk:
            self.fields["role"].disabled = self.fields["is_active"].disabled = True

    def clean_email(self) -> str:
        return self.cleaned_data["email"].strip().lower()

    def clean_new_password(self) -> str:
        password = self.cleaned_data["new_password"]
        if password:
            password_validation.validate_password(password, self.instance)
        return password

    @property
    def chosen_role(self) -> Role | None:
        return Role(self.cleaned_data["role"]) if self.cleaned_data["role"] else None


class CustomerForm(forms.ModelForm):
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=lambda: [("", "—"), *zone_choices()],
        required=False,
        widget=SelectWidget,
    )

    class Meta:
        model = Customer
        fields = ["name", "external_id", "time_zone", "language", "attributes", "teams"]
        help_texts = {
            "language": _("A code like en or pt-br."),
            "attributes": _('Facts from other systems as JSON, for example {"plan": "gold"}.'),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["attributes"].widget.attrs["rows"] = 4
        keep_zone(self, "time_zone", self.instance.time_zone)

    def clean_attributes(self) -> dict[str, Any]:
        # Django's field makes nothing out of an empty box; the column wants an object.
        return self.cleaned_data["attributes"] or {}


class ContactForm(forms.ModelForm):
    class Meta:
        model = ContactPoint
        fields = ["kind", "value", "is_verified"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("kind") and data.get("value"):
            try:
                data["value"] = contacts.normalised(data["kind"], data["value"])
            except EMLError as error:
                self.add_error("value", str(error))
        return data
