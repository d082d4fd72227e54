"""Automations: when something happens, somebody is told."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    CheckboxesWidget,
    HistoryAdmin,
    SelectWidget,
    TextWidget,
    display,
    register,
)
from apps.messaging.choices import CloseReason
from apps.messaging.models import Inbox
from apps.routing.models import Queue

from .. import triggers
from ..choices import Audience, ErrorKind, Way
from ..models import Automation

_TRIGGER_CHOICES = [(name, trigger.title) for name, trigger in triggers.TRIGGERS.items()]
_SETTLER_CHOICES = [(name, settler.title) for name, settler in triggers.SETTLERS.items()]
# Under the event that knows them.
_FIELD_CHOICES = [
    (trigger.title, list(trigger.fields.items())) for trigger in triggers.TRIGGERS.values() if trigger.fields
]
# What conditions compare by a code or a number, and people write as they see it elsewhere.
_WORDS: dict[str, type[models.TextChoices]] = {"reason": CloseReason, "way": Way, "error": ErrorKind}
_ROWS: dict[str, type[models.Model]] = {"inbox": Inbox, "queue": Queue}
_LONGEST_MINUTES = 366 * 24 * 60
# Programs of others have subscriptions of their own.
_WAY_CHOICES = [(way.value, way.label) for way in Way if way != Way.WEBHOOK]


class MinutesField(forms.FloatField):
    """Seconds, written in minutes."""

    def __init__(self, **more: Any) -> None:
        widget = TextWidget(attrs={"type": "number", "min": 0, "step": "any"})
        super().__init__(initial=0, min_value=0, max_value=_LONGEST_MINUTES, widget=widget, **more)

    def prepare_value(self, value: Any) -> Any:
        return f"{value / 60:.10g}" if isinstance(value, int) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def clean(self, value: Any) -> int:
        return round(super().clean(value) * 60)


class AutomationForm(forms.ModelForm):
    """One condition at most: who needs more makes two automations, and both stay readable."""

    event_type = forms.ChoiceField(label=_("When"), choices=_TRIGGER_CHOICES, widget=SelectWidget)
    condition_field = forms.ChoiceField(
        label=_("Only if"),
        choices=[("", _("(always)")), *_FIELD_CHOICES],
        required=False,
        widget=SelectWidget,
        help_text=_(
            "What can be compared stands under its event. Write an inbox or a queue by its name, and why, way or error "
            "in the words that you read elsewhere: “Closed by an agent”."
        ),
    )
    condition_how = forms.ChoiceField(
        label=_("compares"),
        choices=list(triggers.COMPARISONS.items()),
        required=False,
        widget=SelectWidget,
    )
    condition_value = forms.CharField(
        label=_("with"),
        max_length=100,
        required=False,
        widget=TextWidget,
    )
    delay_seconds = MinutesField(label=_("After minutes"))
    repeat_seconds = MinutesField(
        label=_("Again every … minutes"), help_text=_("Until something chosen above settles it.")
    )
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
            said = _said(field, value)
            self.initial.update(condition_field=field, condition_how=how or "eq", condition_value=said)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        self.instance.conditions = self._conditions(data)
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

    def _conditions(self, data: dict[str, Any]) -> dict[str, Any]:
        """The condition as it is stored; none where the form says what is wrong with it."""
        name, trigger = data.get("condition_field"), triggers.TRIGGERS.get(data.get("event_type", ""))
        if not name or trigger is None:
            return {}
        if name not in trigger.fields:
            self.add_error("condition_field", _cannot(trigger))
            return {}
        try:
            value = _meant(name, data.get("condition_value", "").strip())
        except forms.ValidationError as error:
            self.add_error("condition_value", error)
            return {}
        return {f"{name}__{data.get('condition_how') or 'eq'}": value}


def _cannot(trigger: triggers.Trigger) -> str:
    told = {"event": trigger.title, "names": ", ".join(map(str, trigger.fields.values()))}
    if not trigger.fields:
        return _now("Nothing can be compared when “%(event)s”; choose “(always)”.") % told
    return _now("When “%(event)s”, this can be compared: %(names)s.") % told


def _meant(name: str, text: str) -> str | int:
    """What an event's payload holds for the words of the form."""
    is_number = text.removeprefix("-").isdecimal() and text.isascii()
    if choices := _WORDS.get(name):
        for choice in choices:
            if text.lower() in (choice.value, str(choice.label).lower()):
                return choice.value
        raise forms.ValidationError(
            _now("Write one of these: %(names)s.") % {"names": ", ".join(map(str, choices.labels))}
        )
    if model := _ROWS.get(name):
        found = model._base_manager.filter(name__iexact=text).first()
        if found is None and is_number:
            found = model._base_manager.filter(pk=int(text[:18])).first()
        if found is None:
            raise forms.ValidationError(_now("There is none with this name."))
        return int(found.pk)
    if not text:
        raise forms.ValidationError(_now("Write what it is compared with."))
    return int(text) if is_number else text


def _said(name: str, value: Any) -> Any:
    """The other way round."""
    if (choices := _WORDS.get(name)) and value in choices.values:
        return choices(value).label
    if model := _ROWS.get(name):
        return model._base_manager.filter(pk=value).values_list("name", flat=True).first() or value
    return value


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
        (_("Again"), {"fields": ["repeat_seconds", "most_repeats"]}),
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
