from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.core.errors import Conflict, Invalid, NotFound


class OfferNotFound(NotFound):
    code = "not_found"
    detail = _("There is no such offer.")


class OfferExpired(Conflict):
    code = "offer_expired"
    detail = _("This offer has expired.")


class OfferAlreadyTaken(Conflict):
    code = "already_taken"
    detail = _("This offer is answered already.")


class OfferCancelledError(Conflict):
    code = "offer_cancelled"
    detail = _("This offer was withdrawn.")


class AgentAtCapacity(Conflict):
    code = "agent_at_capacity"
    detail = _("This agent has no room for it.")


class AgentNotThere(Conflict):
    code = "agent_not_there"
    detail = _("This agent is not signed in.")


class AgentNotInTeam(Invalid):
    code = "agent_not_in_team"
    detail = _("This agent is not in the team of the conversation.")


class NotWithAnAgent(Conflict):
    code = "not_with_an_agent"
    detail = _("No agent has this conversation.")


class NotInLine(Conflict):
    code = "not_in_line"
    detail = _("This conversation neither waits nor is it with an agent.")


class NotInWrapUp(Conflict):
    code = "not_in_wrap_up"
    detail = _("There is no wrap-up to end.")


class ReasonRequired(Invalid):
    code = "reason_required"
    detail = _("Say why: choose a not-ready reason.")
