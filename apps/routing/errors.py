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


class AgentNotAvailable(Conflict):
    code = "agent_not_available"
    detail = _("This agent takes nothing at the moment.")


class CapacityTooLow(Conflict):
    code = "capacity_too_low"
    detail = _("This agent has work of %(load)s units in hand. Lower the capacity when he has less.")


class AgentNotInTeam(Invalid):
    code = "agent_not_in_team"
    detail = _("This agent is not in the team of the conversation.")


class InOtherHands(Conflict):
    code = "in_other_hands"
    detail = _("Somebody else is moving this conversation at the same moment. Look where it is now.")


class NotInLine(Conflict):
    code = "not_in_line"
    detail = _("This conversation neither waits nor is it with an agent.")


class NotInWrapUp(Conflict):
    code = "not_in_wrap_up"
    detail = _("There is no wrap-up to end.")


class ReasonRequired(Invalid):
    code = "reason_required"
    detail = _("Say why: choose a not-ready reason.")


class QueueSwitchedOff(Invalid):
    code = "queue_switched_off"
    detail = _("This queue is switched off.")


class CallbackNotOffered(Conflict):
    code = "callback_not_offered"
    detail = _("A callback is not offered at the moment.")


class CallbackNotPossible(Conflict):
    code = "callback_not_possible"
    detail = _("Only who waits in line can be called back.")


class NoCallback(Conflict):
    code = "no_callback"
    detail = _("No callback is open for this conversation.")


class PhoneRequired(Invalid):
    code = "phone_required"
    detail = _("Which number shall we call?")


class PolicyStale(Conflict):
    status = 412
    code = "stale_version"
    detail = _("Somebody changed this queue meanwhile. Load it again, then repeat your change.")


class PolicyInvalid(Invalid):
    """`fields[""]` would say nothing about a policy that is wrong as a whole: the detail holds all sentences."""

    code = "policy_invalid"


class NoSuchLevel(Invalid):
    code = "no_such_level"
    detail = _("This queue has no priority level called “%(name)s”.")


class NoSuchSkill(Invalid):
    code = "no_such_skill"
    detail = _("There is no skill called “%(name)s”.")


class SnoozeTimeWrong(Invalid):
    code = "snooze_time_wrong"
    detail = _("Choose a time in the future, within the next 90 days.")


class NotSnoozed(Conflict):
    code = "not_snoozed"
    detail = _("This conversation is not snoozed.")
