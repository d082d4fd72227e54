"""The form of a template: its own fields, and one small form for each of its texts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import site
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import SelectWidget, TextareaWidget, TextWidget
from apps.users import selectors as people
from apps.users.models import Customer, User

from .. import errors, texts
from ..choices import Way
from ..models import Delivery, Template
from ..services import templates

WAYS = [(way.value, way.label) for way in texts.PARTS]
MOST_TEXTS = 60


class TextForm(forms.Form):
    way = forms.ChoiceField(label=_("Way"), choices=WAYS, widget=SelectWidget)
    language = forms.CharField(
        label=_("Language"), max_length=10, widget=TextWidget(attrs={"placeholder": "en"})
    )
    subject = forms.CharField(
        label=_("Subject"), max_length=texts.MOST["subject"], required=False, widget=TextWidget
    )
    body = forms.CharField(label=_("Text"), required=False, widget=TextareaWidget(attrs={"rows": 8}))
    html = forms.CharField(
        label=_("HTML (may stay empty)"),
        required=False,
        widget=TextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
    )


TextFormSet = forms.formset_factory(
    TextForm, extra=0, can_delete=True, max_num=MOST_TEXTS, absolute_max=MOST_TEXTS
)


class TemplateForm(forms.ModelForm):
    """`by` is who fills it in (set by the admin page)."""

    by: User

    # The version somebody saw when he began to write.
    seen = forms.IntegerField(widget=forms.HiddenInput, required=False, label="")
    # Only for the preview beside the texts.
    customer = forms.ModelChoiceField(
        Customer.objects.none(),
        required=False,
        label=_("Preview for (empty: a made-up Ada Lovelace)"),
        widget=AutocompleteSelect(Delivery._meta.get_field("customer"), site),
    )

    class Meta:
        model = Template
        fields = ["name", "slug", "purpose", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer"].queryset = people.customers_visible_to(self.by)  # type: ignore[attr-defined]
        self.initial["seen"] = self.instance.version
        self.texts = TextFormSet(self.data if self.is_bound else None, prefix="texts", initial=self._flat())

    def _flat(self) -> list[dict[str, str]]:
        version = templates.current(self.instance) if self.instance.pk else None
        if version is None:
            return [{"way": Way.EMAIL, "language": "en"}]
        return [
            {"way": way, "language": language, **text}
            for way, languages in version.texts.items()
            for language, text in sorted(languages.items())
        ]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and data.get("seen") != Template.objects.get(pk=self.instance.pk).version:
            raise ValidationError(str(errors.TemplateStale.detail))
        if not self.texts.is_valid():
            raise ValidationError(_now("Please look at the texts."))
        try:
            data["texts"] = texts.checked(self._gathered())
        except errors.TextsInvalid as error:
            self._tell(error)
            raise ValidationError(_now("Please look at the texts.")) from None
        return data

    def _gathered(self) -> dict[str, dict[str, dict[str, str]]]:
        said: dict[str, dict[str, dict[str, str]]] = {}
        for form in self._kept():
            languages = said.setdefault(form.cleaned_data["way"], {})
            language = form.cleaned_data["language"].strip().lower()
            if language in languages:
                form.add_error("language", _now("There is a text for this way and language already."))
                raise ValidationError(_now("Please look at the texts."))
            languages[language] = {
                part: form.cleaned_data[part] for part in texts.MOST if form.cleaned_data[part]
            }
        return said

    def _kept(self) -> list[Any]:
        return [
            form for form in self.texts if form.cleaned_data and not form.cleaned_data.get("DELETE", False)
        ]

    def _tell(self, error: errors.TextsInvalid) -> None:
        """Each fault beside the text it is about."""
        by_place = {
            (form.cleaned_data["way"], form.cleaned_data["language"].strip().lower()): form
            for form in self._kept()
        }
        for where, said in error.fields.items():
            way, _dot, rest = where.partition(".")
            language, _dot, part = rest.rpartition(".")
            form = by_place.get((way, language))
            if form is None:
                self.add_error(None, said)
            else:
                form.add_error(part if part in form.fields else None, said)


class PreviewForm(forms.Form):
    way = forms.TypedChoiceField(choices=WAYS, coerce=Way)
    language = forms.CharField(max_length=10)
    customer = forms.ModelChoiceField(Customer.objects.none(), required=False)
    subject = forms.CharField(required=False, max_length=1000, strip=False)
    body = forms.CharField(required=False, max_length=100_000, strip=False)
    html = forms.CharField(required=False, max_length=100_000, strip=False)

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer"].queryset = people.customers_visible_to(by)  # type: ignore[attr-defined]
