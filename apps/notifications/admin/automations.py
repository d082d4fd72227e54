"""Automations: when something happens, somebody is told."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    CheckboxesWidget,
    HistoryAdmin,
    SelectWidget,
    TextWidget,
    display,
    register,
)

from .. import triggers
from ..choices import Audience, Way
from ..models import Automation

_TRIGGER_CHOICES = [(name, trigger.title) for name, trigger in triggers.TRIGGERS.items()]
_SETTLER_CHOICES = [(name, settler.title) for name, settler in triggers.SETTLERS.items()]
_FIELD_CHOICES = list(
    {name: text for row in triggers.TRIGGERS.values() for name, text in row.fields.items()}.items()
)
# Programs of others have subscriptions of their own.
_WAY_CHOICES = [(way.value, way.label) for way in Way if way != Way.WEBHOOK]


class AutomationForm(forms.ModelForm):
    """One condition at most: who needs more makes two automations, and both stay readable."""

    event_type = forms.ChoiceField(label=_("When"), choices=_TRIGGER_CHOICES, widget=SelectWidget)
    condition_field = forms.ChoiceField(
        label=_("Only if"),
        choices=[("", _("(always)")), *_FIELD_CHOICES],
        required=False,
        widget=SelectWidget,
    )
    condition_how = forms.ChoiceField(
        label=_("compares"),
        choices=list(triggers.COMPARISONS.items()),
        required=False,
        widget=SelectWidget,
    )
    condition_value = forms.CharField(label=_("with"), max_length=50, required=False, widget=TextWidget)
    ways = forms.MultipleChoiceField(label=_("Ways"), choices=_WAY_CHOICES, widget=CheckboxesWidget)
    unless = forms.MultipleChoiceField(
        label=_("Unless meanwhile"),
        choices=_SETTLER_CHOICES,
        required=False,
        widget=CheckboxesWidget,
        help_text=_("In the same conversation (or incident), before it is sent."),
    )

    class Meta:
        model = Automation
        fields = (
            "name",
            "is_active",
            "event_type",
            "delay_seconds",
            "unless",
            "template",
            "audience",
            "ways",
            "repeat_seconds",
            "most_repeats",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in (self.instance.conditions or {}).items():
            field, _sep, how = name.partition("__")
            shown = {"condition_field": field, "condition_how": how or "eq", "condition_value": value}
            self.initial.update(shown)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        self.instance.conditions = _conditions(data)
        unless = data.get("unless", [])
        for problem in triggers.problems(data.get("event_type", ""), self.instance.conditions, unless):
            self.add_error(None, problem)
        if bool(data.get("repeat_seconds")) != bool(data.get("most_repeats")):
            self.add_error(
                "repeat_seconds", _("To repeat, say how often and how many times; else leave both 0.")
            )
        if data.get("audience") == Audience.CUSTOMER and set(data.get("ways", [])) == {Way.IN_APP}:
            self.add_error("ways", _("Customers have no console; choose another way."))
        return data


def _conditions(data: dict[str, Any]) -> dict[str, Any]:
    name, value = data.get("condition_field"), data.get("condition_value", "").strip()
    if not name:
        return {}
    digits = value.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit()
    return {f"{name}__{data.get('condition_how') or 'eq'}": int(value) if is_number else value}


@register(Automation)
class AutomationAdmin(HistoryAdmin):
    form = AutomationForm
    list_display = ["name", "when", "to", "template", "is_active"]
    list_filter = ["is_active"]
    list_select_related = ["template"]
    search_fields = ["name"]
    empty_hint = _("When something happens, somebody is told: the customer, an agent, the supervisors.")
    fieldsets = [
        (None, {"fields": ["name", "is_active"]}),
        (
            _("When"),
            {
                "fields": [
                    "event_type",
                    "condition_field",
                    ("condition_how", "condition_value"),
                    "delay_seconds",
                    "unless",
                ]
            },
        ),
        (_("What"), {"fields": ["template", "audience", "ways"]}),
        (_("Again"), {"fields": [("repeat_seconds", "most_repeats")]}),
    ]

    def save_model(self, request: HttpRequest, obj: Automation, form: forms.ModelForm, change: bool) -> None:
        obj.ways, obj.unless = form.cleaned_data["ways"], form.cleaned_data["unless"]
        super().save_model(request, obj, form, change)

    @display(description=_("when"))
    def when(self, automation: Automation) -> Any:
        trigger = triggers.TRIGGERS.get(automation.event_type)
        return trigger.title if trigger else automation.event_type

    @display(description=_("to"))
    def to(self, automation: Automation) -> str:
        return automation.get_audience_display()
