"""What the desk's POSTs may say."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.errors import Invalid
from apps.messaging.models import Disposition, Tag
from apps.notifications import selectors as notifications
from apps.notifications.choices import Way
from apps.notifications.models import Template
from apps.routing.choices import Chosen
from apps.routing.models import Agent, NotReadyReason, Queue


def cleaned(form: forms.Form) -> dict[str, Any]:
    """The form's data; Invalid with the first thing that is wrong."""
    if form.is_valid():
        return form.cleaned_data
    fields = {name: [str(error) for error in found] for name, found in form.errors.items()}
    raise Invalid(next(iter(fields.values()))[0], fields=fields)


class PresenceForm(forms.Form):
    """`available`, or `not_ready:<reason>`."""

    choice = forms.CharField(max_length=40)

    def clean(self) -> dict[str, Any]:
        chosen, _colon, reason = self.cleaned_data.get("choice", "").partition(":")
        if chosen == Chosen.AVAILABLE and not reason:
            return {"chosen": Chosen.AVAILABLE, "reason": None}
        row = (
            NotReadyReason.objects.filter(pk=int(reason), is_active=True).first()
            if reason.isdecimal()
            else None
        )
        if chosen != Chosen.NOT_READY or row is None:
            raise forms.ValidationError(_("Choose Available or one of the reasons."))
        return {"chosen": Chosen.NOT_READY, "reason": row}


class AfterForm(forms.Form):
    """Where the reader's thread ends."""

    after = forms.IntegerField(min_value=0, required=False)
    note = forms.IntegerField(min_value=0, required=False)


class MessageForm(AfterForm):
    body = forms.CharField(max_length=8000, required=False, strip=False)
    client_msg_id = forms.UUIDField(required=False)

    def clean(self) -> dict[str, Any]:
        attachments = self.data.getlist("attachments") if hasattr(self.data, "getlist") else []
        try:
            self.cleaned_data["attachments"] = tuple(UUID(value) for value in attachments)
        except ValueError as error:
            raise forms.ValidationError(_("An attachment of this message is not there any more.")) from error
        return self.cleaned_data


class NoteForm(AfterForm):
    body = forms.CharField(max_length=4000)


class ReadForm(forms.Form):
    seq = forms.IntegerField(min_value=0)


class TagsForm(forms.Form):
    """All tags the conversation is to have."""

    tags = forms.ModelMultipleChoiceField(Tag.objects.all(), required=False)


class TransferForm(forms.Form):
    """One of both."""

    queue = forms.ModelChoiceField(Queue.objects.filter(is_active=True), required=False)
    agent = forms.ModelChoiceField(Agent.objects.select_related("user"), required=False)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if bool(data.get("queue")) == bool(data.get("agent")):
            raise forms.ValidationError(_("Choose a queue or an agent."))
        return data


class CallbackForm(forms.Form):
    """How a call went."""

    outcome = forms.ChoiceField(choices=[("reached", _("Reached")), ("not_reached", _("Not reached"))])


class CloseForm(forms.Form):
    """A disposition is required as soon as the call center has any."""

    disposition = forms.ModelChoiceField(
        Disposition.objects.none(),
        required=False,
        error_messages={"required": _("Say what it came to.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast(forms.ModelChoiceField, self.fields["disposition"])
        field.queryset = dispositions = Disposition.objects.filter(is_active=True)
        field.required = dispositions.exists()


class LaterForm(forms.Form):
    """When to come back to a conversation, and what happens then. Times are those of the agent's clock."""

    OTHER = "other"
    ME, CUSTOMER, NOBODY = "me", "customer", "nobody"

    when = forms.CharField(max_length=40)
    date = forms.DateField(required=False)
    time = forms.TimeField(required=False)
    whom = forms.ChoiceField(choices=[(ME, ""), (CUSTOMER, ""), (NOBODY, "")])
    way = forms.ChoiceField(choices=[(Way.EMAIL, ""), (Way.SMS, "")], required=False)
    template = forms.ModelChoiceField(Template.objects.none(), required=False)
    text = forms.CharField(max_length=500, required=False)
    snooze = forms.BooleanField(required=False)

    def __init__(self, *args: Any, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = zone
        cast(forms.ModelChoiceField, self.fields["template"]).queryset = notifications.follow_up_templates()

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        data["wall"], data["fold"] = self._time()
        if data.get("whom") == self.NOBODY and not data.get("snooze"):
            raise forms.ValidationError(_("Choose whom to remind, or take the conversation off your list."))
        if data.get("whom") == self.CUSTOMER and not data.get("way"):
            raise forms.ValidationError(
                _("There is neither an e-mail address nor a number of this customer.")
            )
        return data

    def _time(self) -> tuple[datetime, int | None]:
        """The wall time; which of two equal ones is only known of a preset."""
        chosen = self.cleaned_data.get("when", "")
        day, clock = self.cleaned_data.get("date"), self.cleaned_data.get("time")
        if chosen == self.OTHER:
            if day is None or clock is None:
                raise forms.ValidationError(_("Say the day and the time."))
            return datetime.combine(day, clock), None
        try:
            moment = datetime.fromisoformat(chosen)
            local = moment.astimezone(self._zone) if moment.tzinfo else None
        except (ValueError, OverflowError):
            local = None
        if local is None:
            raise forms.ValidationError(_("Choose when."))
        return local.replace(tzinfo=None, fold=0), local.fold
