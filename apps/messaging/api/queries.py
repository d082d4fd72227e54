"""What lists of conversations and messages may be asked by."""

from __future__ import annotations

import re

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from apps.core.api.filters import StrictBooleanFilter, StrictFilterSet
from apps.core.errors import Invalid

from .. import selectors
from ..models import Conversation

MOST_MESSAGES = 200
MOST_SEARCH_CHARACTERS = 200
AFTER_SEQ = OpenApiParameter("after_seq", OpenApiTypes.INT, description="Only messages after this one.")
_SEQ = re.compile(r"[0-9]{1,9}", re.ASCII)


def after_seq_of(request: Request) -> int:
    asked = request.query_params.get(AFTER_SEQ.name, "0")
    if not _SEQ.fullmatch(asked):
        raise Invalid(fields={AFTER_SEQ.name: [str(_("Say a whole number from 0."))]})
    return int(asked)


class ConversationFilter(StrictFilterSet):
    mine = StrictBooleanFilter(method="filter_mine", label="In your hands, or (false) in somebody else's.")
    search = django_filters.CharFilter(
        method="filter_search",
        max_length=MOST_SEARCH_CHARACTERS,
        label="Its number, part of the customer's name, or his whole e-mail address, phone number or external id.",
    )

    class Meta:
        model = Conversation
        fields = ["status", "inbox", "agent", "customer"]

    def filter_mine(
        self, conversations: QuerySet[Conversation], name: str, value: bool
    ) -> QuerySet[Conversation]:
        own = {"agent": self.request.user}
        return conversations.filter(**own) if value else conversations.exclude(**own)

    def filter_search(
        self, conversations: QuerySet[Conversation], name: str, value: str
    ) -> QuerySet[Conversation]:
        return selectors.search_conversations(self.request.user, conversations, value)
