"""The forms of a campaign: what it is, and the list that is uploaded for it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import CheckboxesWidget, FileWidget, SelectWidget
from apps.users.choices import Role
from apps.users.forms import keep_zone, zone_choices
from apps.users.models import User

from .. import campaign_csv
from ..errors import CampaignInvalid
from ..models import Campaign
from ..services import campaigns

_WAYS = [(way.value, way.label) for way in campaigns.WAYS]


def _zones() -> list[tuple[str, Any]]:
    return [("", _("each recipient's own")), *zone_choices()]


class CampaignForm(forms.ModelForm):
    """`by` is who fills it in (set by the admin page)."""

    by: User

    ways = forms.MultipleChoiceField(
        label=_("Ways"),
        choices=_WAYS,
        widget=CheckboxesWidget,
        help_text=_("Each way is a message of its own."),
    )
    zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=_zones,
        widget=SelectWidget,
    )

    class Meta:
        model = Campaign
        fields = (
            "name", "template", "ways", "team", "segment", "date", "time", "zone", "local_from", "local_until",
            "per_minute",
        )  # fmt: skip
        help_texts = {
            "date": _("Empty, like the time: it begins when it is started."),
            "per_minute": _("Spread evenly; the sending queue and the gateway may be slower."),
            "local_from": _(
                "Between these hours only, by each recipient's own clock. Quiet hours hold besides."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.by.has_role(Role.ADMIN) and "team" in self.fields:
            self.fields["team"].required = True
        keep_zone(self, "zone", self.instance.zone)

    def plan(self) -> campaigns.Plan:
        data = dict(self.cleaned_data)
        return campaigns.Plan(**data)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                # The row as it is stored: the form's own is half changed already.
                row = Campaign.objects.filter(pk=self.instance.pk).first() or Campaign()
                campaigns.check(row, self.plan())
            except CampaignInvalid as error:
                for name, said in error.fields.items():
                    self.add_error(name if name in self.fields else None, said)
        return data


class ListForm(forms.Form):
    """Its lines are read already when it is valid; those that cannot be read are in `mistakes`."""

    file = forms.FileField(
        label=_("List (CSV)"),
        widget=FileWidget(attrs={"accept": ".csv,text/csv"}),
        allow_empty_file=True,
        help_text=_(
            "A first line with the names of the columns, UTF-8, commas, semicolons or tabs; at most 20,000 lines and "
            "5 MB. One column named email, phone or external_id says who is meant; every other column can be written "
            "in the text, like {list.amount}."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mistakes = campaign_csv.Mistakes()

    def clean_file(self) -> list[campaign_csv.Line]:
        file = self.cleaned_data["file"]
        if file.size > campaign_csv.MOST_BYTES:
            raise ValidationError(_now("A list has at most 5 MB."))
        return campaign_csv.read(file.read(), self.mistakes)
