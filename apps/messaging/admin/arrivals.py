"""What came by e-mail or SMS and is in no conversation: to be read, taken in, or dropped."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    InfinitePaginator,
    ReadOnlyAdmin,
    SelectWidget,
    TextWidget,
    action,
    display,
    prose,
    register,
    short,
)
from apps.core.errors import EMLError
from apps.users.models import User
from apps.users.permissions import user_of

from .. import selectors
from ..errors import ArrivalNotFound, ConversationElsewhere
from ..models import Arrival, Conversation, Inbox
from ..services import accepting, arrivals


class StateFilter(SimpleListFilter):
    """Those that wait for a decision, unless somebody asks for the others."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("settled", _("Decided")), ("all", _("All"))]

    def choices(self, changelist: Any) -> Any:
        shown = [(None, _("Waiting for a decision")), *self.lookup_choices]
        for value, title in shown:
            yield {
                "selected": self.value() == value,
                "query_string": changelist.get_query_string(
                    {self.parameter_name: value} if value else {}, [] if value else [self.parameter_name]
                ),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "all":
                return queryset
            case "settled":
                return queryset.filter(settled_at__isnull=False)
        return queryset.filter(settled_at=None)


class InboxChoice(forms.ModelChoiceField):
    def label_from_instance(self, inbox: Inbox) -> str:
        return f"{inbox.name} ({inbox.address})"


class AcceptForm(forms.Form):
    inbox = InboxChoice(Inbox.objects.none(), label=_("Inbox"), widget=SelectWidget)
    conversation = forms.IntegerField(
        label=_("Conversation"),
        required=False,
        min_value=1,
        max_value=10**15,
        widget=TextWidget(attrs={"inputmode": "numeric"}),
        help_text=_(
            "The number of an open one. Empty: the open one of this sender, or a new one that waits in line."
        ),
    )

    def __init__(self, *args: Any, arrival: Arrival, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by
        if arrival.inbox_id:
            del self.fields["inbox"]
        else:
            own = selectors.written_inboxes_of(by).filter(kind=arrival.kind)
            self.fields["inbox"].queryset = own  # type: ignore[attr-defined]

    def clean_conversation(self) -> int | None:
        """Another team's is as little there as none."""
        number: int | None = self.cleaned_data["conversation"]
        if number and not selectors.conversations_visible_to(self.by).filter(pk=number).exists():
            raise forms.ValidationError(str(ConversationElsewhere.detail))
        return number


@register(Arrival)
class ArrivalAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = ["moment", "kind_name", "sender", "shown_subject", "place", "because", "state"]
    list_filter = [StateFilter, "kind", "quarantined_because"]
    list_select_related = ["inbox", "message", "settled_by"]
    search_fields = ["sender", "subject"]
    ordering = ["-id"]
    empty_hint = _("Nothing is held back: whatever came by e-mail or SMS is in a conversation.")
    actions = ["accept_all", "drop_all"]
    fields = [
        ("at", "state_name"),
        "because",
        ("sender", "sender_name"),
        ("place", "to"),
        "subject",
        "body",
        "file_names",
    ]
    list_before_template = "admin/messaging/arrival/note.html"
    change_form_outer_after_template = "admin/messaging/arrival/decide.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Arrival]:
        return selectors.arrivals_visible_to(user_of(request)).order_by("-id")

    def has_act_permission(self, request: HttpRequest) -> bool:
        return user_of(request).has_perm("messaging.change_arrival")

    def render_change_form(self, request: HttpRequest, context: dict, **kwargs: Any) -> HttpResponse:
        arrival = kwargs["obj"]
        if arrival.is_held and self.has_act_permission(request):
            context |= {
                "accept_form": AcceptForm(arrival=arrival, by=user_of(request)),
                "accept_path": reverse("admin:messaging_arrival_accept", args=[arrival.pk]),
                "drop_path": reverse("admin:messaging_arrival_drop", args=[arrival.pk]),
            }
        return super().render_change_form(request, context, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/accept/", view(self.accept), name="messaging_arrival_accept"),
            path("<int:pk>/drop/", view(self.drop), name="messaging_arrival_drop"),
            *super().get_urls(),
        ]

    def accept(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        arrival = self._mine(request, pk)
        form = AcceptForm(request.POST, arrival=arrival, by=user_of(request))
        if not form.is_valid():
            for text in {str(text) for field in form.errors.values() for text in field}:
                messages.error(request, text)
            return redirect("admin:messaging_arrival_change", pk)
        try:
            conversation = accepting.accept(
                pk,
                inbox=form.cleaned_data.get("inbox"),
                conversation_id=form.cleaned_data["conversation"],
                by=user_of(request),
                now=timezone.now(),
            )
        except EMLError as error:
            messages.error(request, str(error))
            return redirect("admin:messaging_arrival_change", pk)
        messages.success(request, _now("It is in conversation %(id)s now.") % {"id": conversation.pk})
        return redirect("admin:messaging_arrival_changelist")

    def drop(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._mine(request, pk)
        try:
            arrivals.drop(pk, by=user_of(request), now=timezone.now())
        except EMLError as error:
            messages.error(request, str(error))
            return redirect("admin:messaging_arrival_change", pk)
        messages.success(request, _now("Dropped."))
        return redirect("admin:messaging_arrival_changelist")

    def _mine(self, request: HttpRequest, pk: int) -> Arrival:
        if not self.has_act_permission(request):
            raise PermissionDenied
        arrival = self.get_queryset(request).filter(pk=pk).first()
        if arrival is None:
            raise Http404(ArrivalNotFound.detail)
        return arrival

    @action(description=_("Take into conversations"), permissions=["act"])
    def accept_all(self, request: HttpRequest, queryset: QuerySet[Arrival]) -> None:
        """Where the inbox is unknown somebody has to choose one, on the page of the arrival."""

        def accept(pk: int) -> Conversation:
            return accepting.accept(pk, by=user_of(request), now=timezone.now())

        self._each(request, queryset, accept, _("Taken in: %(count)s."))

    @action(description=_("Drop"), permissions=["act"])
    def drop_all(self, request: HttpRequest, queryset: QuerySet[Arrival]) -> None:
        def drop(pk: int) -> None:
            arrivals.drop(pk, by=user_of(request), now=timezone.now())

        self._each(request, queryset, drop, _("Dropped: %(count)s."))

    def _each(self, request: HttpRequest, queryset: QuerySet[Arrival], act: Any, told: Any) -> None:
        done, refused = 0, set()
        for pk in queryset.order_by("id").values_list("pk", flat=True):
            try:
                act(pk)
                done += 1
            except EMLError as error:
                refused.add(str(error))
        if done:
            self.message_user(request, told % {"count": done}, messages.SUCCESS)
        for text in sorted(refused):
            self.message_user(request, text, messages.WARNING)

    @display(description=_("arrived at"), ordering="at")
    def moment(self, arrival: Arrival) -> SafeString | str:
        return short(arrival.at)

    @display(description=_("kind"), ordering="kind")
    def kind_name(self, arrival: Arrival) -> SafeString:
        return format_html('<span class="whitespace-nowrap">{}</span>', arrival.get_kind_display())

    @display(description=_("state"))
    def state_name(self, arrival: Arrival) -> Any:
        return self.state(arrival)[1]

    @display(description=_("subject"))
    def shown_subject(self, arrival: Arrival) -> str:
        return arrival.subject or arrival.text[:60] or "–"

    @display(description=_("for"))
    def place(self, arrival: Arrival) -> str:
        return arrival.inbox.name if arrival.inbox else arrival.to or "–"

    @display(description=_("held because"))
    def because(self, arrival: Arrival) -> str:
        return arrival.get_quarantined_because_display()

    @display(description=_("state"), label={"waits": "warning", "in": "success", "out": "info"})
    def state(self, arrival: Arrival) -> tuple[str, Any]:
        if arrival.is_held:
            return "waits", _("Waits")
        if arrival.message:
            return "in", _("In conversation %(id)s") % {"id": arrival.message.conversation_id}
        return "out", _("Dropped")

    @display(description=_("text"))
    def body(self, arrival: Arrival) -> SafeString | str:
        return prose(arrival.text)

    @display(description=_("files"))
    def file_names(self, arrival: Arrival) -> str:
        return ", ".join(held.name for held in arrival.files.all()) or "–"
