"""The parts of a queue's page: its forms, and the rows of steps, levels and routes. `queues` puts them together."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import SelectWidget, TabularInline, TextWidget
from apps.users.permissions import user_of
from apps.users.selectors import teams_visible_to

from .. import policy_drafts, policy_starts, selectors
from ..models import InboxRoute, PriorityLevel, Queue, Step
from ..policy_drafts import LevelDraft, PolicyDraft, StepDraft
from ..services import policies

RANGE = (MinValueValidator, MaxValueValidator)


def started_with(request: HttpRequest) -> PolicyDraft:
    """The ready-made policy a new queue begins with: `?start=bullseye` on its page. Only what is shown first."""
    start = policy_starts.find(request.GET.get("start", "")) if request.method == "GET" else None
    return start.draft(selectors.crew_of(user_of(request))) if start else PolicyDraft()


class QueueForm(forms.ModelForm):
    # Which version was on the screen: whoever saves an older one would undo somebody else's change.
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Queue
        fields = list(policies.SETTINGS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Of numbers below 0 the fields complain themselves, before the model does in these words.
        for field in Queue._meta.fields:
            if field.name in self.fields:
                words = {rule.code: rule.message for rule in field.validators if isinstance(rule, RANGE)}
                self.fields[field.name].error_messages |= words
        if self.instance.pk:
            self.fields["seen"].initial = self.instance.version


class StepForm(forms.ModelForm):
    needs = forms.CharField(
        label=_("needs"),
        required=False,
        max_length=500,
        widget=TextWidget(attrs={"placeholder": "cards 3, de 2"}),
        help_text=_("Skills and their minimum levels (1 to 5), separated by commas. Empty: the whole team."),
    )
    kept_for = forms.TypedChoiceField(
        label=_("kept for"),
        required=False,
        coerce=int,
        empty_value=None,
        widget=SelectWidget,
        help_text=_("One person, who must have the skills too."),
    )
    # Agent id → name, of those whom the viewer may choose.
    people: dict[int, str] = {}

    class Meta:
        model = Step
        fields = ["after", "if_nobody"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = dict(self.people)
        if self.instance.pk:
            needs = self.instance.needs.all()
            asked = sorted((need.key, need.level) for need in needs if need.skill)
            self.fields["needs"].initial = policy_drafts.write_needs(tuple(asked))
            kept = {need.agent_id: str(need.agent) for need in needs if need.agent}
            self.fields["kept_for"].initial = next(iter(kept), None)
            # Somebody who may not be chosen any more stays on the page until somebody else is.
            choices |= kept
        self.fields["kept_for"].choices = [("", _("everybody")), *choices.items()]  # type: ignore[attr-defined]

    def clean_needs(self) -> policy_drafts.Needs:
        try:
            return policy_drafts.read_needs(self.cleaned_data["needs"])
        except ValueError as error:
            raise ValidationError(str(error), code="needs") from None

    def draft(self) -> StepDraft:
        given = self.cleaned_data
        kept = (policy_drafts.person(given["kept_for"]),) if given["kept_for"] else ()
        return StepDraft(given["after"], (*given["needs"], *kept), given["if_nobody"])


class PolicyFormSet(BaseInlineFormSet):
    """Rows that are saved by `policies`, as a part of the whole."""

    def kept(self) -> list[Any]:
        """The rows, without empty and deleted ones."""
        return [
            form
            for form in self.forms
            if (form.has_changed() or form.instance.pk) and not form.cleaned_data.get("DELETE")
        ]

    def draft(self) -> PolicyDraft:
        raise NotImplementedError

    def clean(self) -> None:
        super().clean()
        if not any(self.errors) and (found := policies.problems(self.draft())):
            raise ValidationError([ValidationError(text, code="policy") for text in found])

    def save(self, commit: bool = True) -> list:
        self.new_objects, self.changed_objects, self.deleted_objects = [], [], []
        return []


class StepFormSet(PolicyFormSet):
    def draft(self) -> PolicyDraft:
        team = {"team": self.instance.team} if self.instance.team_id else {}
        return PolicyDraft(steps=tuple(row.draft() for row in self.kept()), settings=team)


class LevelFormSet(PolicyFormSet):
    def draft(self) -> PolicyDraft:
        rows = (row.cleaned_data for row in self.kept())
        return PolicyDraft(levels=tuple(LevelDraft(row["name"], row["credit"]) for row in rows))


class PolicyInline(TabularInline):
    """Shown with the weights, as a part of the policy."""

    is_policy = True
    extra = 0


class StepInline(PolicyInline):
    model = Step
    form = StepForm
    formset = StepFormSet
    fields = ["after", "needs", "kept_for", "if_nobody"]
    verbose_name_plural = _("Steps: who may take it, after how long")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        return super().get_queryset(request).prefetch_related("needs__skill", "needs__agent__user")

    def get_formset(self, request: HttpRequest, obj: Queue | None = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        # One list for all rows: each of them would ask for it anew.
        people = {agent.pk: str(agent) for agent in selectors.agents_to_keep_for(user_of(request))}
        formset.form = type("StepFormOfViewer", (formset.form,), {"people": people})
        return formset

    def get_extra(self, request: HttpRequest, obj: Queue | None = None, **kwargs: Any) -> int:
        return len(started_with(request).steps) if obj is None else 0


class LevelInline(PolicyInline):
    model = PriorityLevel
    formset = LevelFormSet
    fields = ["name", "credit"]
    verbose_name_plural = _("Priority levels: head starts by name")

    def get_extra(self, request: HttpRequest, obj: Queue | None = None, **kwargs: Any) -> int:
        return len(started_with(request).levels) if obj is None else 0


class RouteInline(TabularInline):
    model = InboxRoute
    fields = ["inbox"]
    extra = 0
    verbose_name_plural = _("Inboxes that lead here")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        field.queryset = field.queryset.filter(team__in=teams_visible_to(user_of(request)))
        return field


def row_of(step: StepDraft) -> dict[str, Any]:
    """What a row of the page shows of this step."""
    people = [policy_drafts.agent_of(name) for name, _level in step.needs]
    skills = tuple(need for need, agent in zip(step.needs, people, strict=True) if agent is None)
    return {
        "after": step.after,
        "needs": policy_drafts.write_needs(skills),
        "kept_for": next(filter(None, people), None),
        "if_nobody": step.if_nobody,
    }
