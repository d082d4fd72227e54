"""Who would get it now: a page that asks the policy about a contact that does not exist."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core.admin_base import SelectWidget, TextWidget, site
from apps.users.models import Customer
from apps.users.permissions import user_of
from apps.users.selectors import customers_visible_to, search_customers

from .. import errors, policy_drafts, selectors
from ..models import Queue
from ..services import clock, trial
from .decisions import TERMS

LONGEST_WAIT_SECONDS = 86_400


class TrialForm(forms.Form):
    queue = forms.ModelChoiceField(Queue.objects.none(), label=_("Queue"), widget=SelectWidget)
    priority = forms.CharField(
        label=_("Priority level"),
        required=False,
        max_length=50,
        widget=TextWidget,
        help_text=_("One of the queue's levels, like “vip”. Empty: the customer's own, if he has one."),
    )
    customer = forms.CharField(
        label=_("Customer"),
        required=False,
        max_length=254,
        widget=TextWidget,
        help_text=_("His number, name, e-mail address or phone number. Empty: a stranger."),
    )
    waited = forms.IntegerField(
        label=_("Has waited"),
        required=False,
        min_value=0,
        max_value=LONGEST_WAIT_SECONDS,
        widget=TextWidget(attrs={"inputmode": "numeric"}),
        help_text=_("Seconds. Empty: comes in now."),
    )
    needs = forms.CharField(
        label=_("Needs besides"),
        required=False,
        max_length=500,
        widget=TextWidget(attrs={"placeholder": "cards 3, de 2"}),
        help_text=_("Skills and levels that this contact needs on top of what the queue asks."),
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user_of(request)
        self.fields["queue"].queryset = selectors.queues_visible_to(self._user)  # type: ignore[attr-defined]

    def clean_customer(self) -> Customer | None:
        """The one customer who is meant; a sentence when it is none or several."""
        asked = self.cleaned_data["customer"].strip()
        if not asked:
            return None
        if asked.isascii() and asked.isdigit() and len(asked) <= 18:
            found = list(customers_visible_to(self._user).filter(pk=int(asked)))
        else:
            found = list(search_customers(self._user, asked)[:2])
        if len(found) == 1:
            return found[0]
        raise ValidationError(
            _("Several customers match. Give the number.") if found else _("There is no such customer.")
        )

    def clean_needs(self) -> policy_drafts.Needs:
        try:
            return policy_drafts.read_needs(self.cleaned_data["needs"])
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def wish(self) -> trial.Wish:
        given = self.cleaned_data
        return trial.Wish(
            queue=given["queue"],
            priority=given["priority"].strip(),
            customer=given["customer"],
            waited_seconds=given["waited"] or 0,
            needs=given["needs"],
        )


@require_safe
def page(request: HttpRequest) -> TemplateResponse:
    """Nothing is changed, so the whole question stands in the address: it can be sent to a colleague."""
    form = TrialForm(request.GET if "queue" in request.GET else None, request=request)
    tried = None
    if form.is_valid():
        try:
            tried = trial.run(form.wish(), now=clock.now())
        except errors.NoSuchLevel as error:
            form.add_error("priority", str(error))
        except errors.NoSuchSkill as error:
            form.add_error("needs", str(error))
    context = site.each_context(request) | {"title": _("Who would get it now?"), "form": form, "trial": tried}
    if tried and tried.winner:
        context["terms"] = [(TERMS.get(term.name, term.name), term) for term in tried.winner.terms]
    return TemplateResponse(request, "admin/routing/queue/try.html", context)
