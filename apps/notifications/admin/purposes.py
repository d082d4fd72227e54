"""Why customers are written to, and when that may be: purposes with a rule for each way."""

from __future__ import annotations

from typing import Any

import holidays
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    CheckboxesWidget,
    HistoryAdmin,
    SelectWidget,
    StackedInline,
    display,
    register,
)

from .. import rule_words
from ..choices import Way
from ..models import Purpose, SendingRule
from ..models.texts import every_weekday

RULED_WAYS = [(way.value, way.label) for way in (Way.EMAIL, Way.SMS, Way.IN_APP)]
WEEKDAYS = [
    (0, _("Monday")), (1, _("Tuesday")), (2, _("Wednesday")), (3, _("Thursday")),
    (4, _("Friday")), (5, _("Saturday")), (6, _("Sunday")),
]  # fmt: skip


class SendingRuleForm(forms.ModelForm):
    way = forms.ChoiceField(label=_("Way"), choices=RULED_WAYS, widget=SelectWidget)
    weekdays = forms.TypedMultipleChoiceField(
        label=_("Allowed days"), choices=WEEKDAYS, coerce=int, widget=CheckboxesWidget, initial=every_weekday
    )

    class Meta:
        model = SendingRule
        fields = [
            "way", "weekdays", "quiet_from", "quiet_until", "holidays_country", "holidays_region",
            "most_per_day", "most_per_week",
        ]  # fmt: skip

    def clean_holidays_country(self) -> str:
        country = self.cleaned_data["holidays_country"].strip().upper()
        if country and country not in holidays.list_supported_countries():
            raise ValidationError(_("The public holidays of this country are not known. Write DE, US, BR …"))
        return country

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        start, end = data.get("quiet_from"), data.get("quiet_until")
        if (start is None) != (end is None):
            self.add_error("quiet_until", _now("Quiet hours need a beginning and an end."))
        if start is not None and start == end:
            self.add_error("quiet_until", _now("They begin and end at the same time."))
        self._check_region(data.get("holidays_country") or "", data)
        return data

    def _check_region(self, country: str, data: dict[str, Any]) -> None:
        region = (data.get("holidays_region") or "").strip().upper()
        if region and region not in holidays.list_supported_countries().get(country, ()):
            self.add_error("holidays_region", _now("This country has no such region."))
        data["holidays_region"] = region


class SendingRuleInline(StackedInline):
    model = SendingRule
    form = SendingRuleForm
    extra = 0
    readonly_fields = ["words"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "words",
                    "way",
                    "weekdays",
                    ("quiet_from", "quiet_until"),
                    ("holidays_country", "holidays_region"),
                    ("most_per_day", "most_per_week"),
                ]
            },
        )
    ]

    @display(description=_("goes out"))
    def words(self, rule: SendingRule) -> str:
        return rule_words.in_words(rule) if rule.pk else _now("Said in words after saving.")


@register(Purpose)
class PurposeAdmin(HistoryAdmin):
    list_display = ["name", "slug", "kind", "is_for_staff", "rules_in_words"]
    list_filter = ["kind", "is_for_staff"]
    search_fields = ["name", "slug"]
    fieldsets = [(None, {"fields": [("name", "slug"), "description", ("kind", "is_for_staff")]})]
    inlines = [SendingRuleInline]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("rules")

    def get_prepopulated_fields(self, request: HttpRequest, obj: Purpose | None = None) -> dict:
        return {} if obj else {"slug": ["name"]}

    def has_delete_permission(self, request: HttpRequest, obj: Purpose | None = None) -> bool:
        return False  # what customers said about it would be lost

    @display(description=_("rules"))
    def rules_in_words(self, purpose: Purpose) -> str:
        rules = [f"{rule.get_way_display()}: {rule_words.in_words(rule)}" for rule in purpose.rules.all()]
        return "; ".join(rules) or _now("at any time")
