from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.core.errors import Conflict, Invalid, NotFound


class ReminderNotFound(NotFound):
    detail = _("There is no such reminder.")


class ReminderOver(Conflict):
    code = "reminder_over"
    detail = _("This reminder is over.")


class NonexistentTime(Invalid):
    code = "nonexistent_time"
    detail = _("%(time)s does not exist in %(zone)s: the clocks go forward that night.")


class AmbiguousTime(Invalid):
    code = "ambiguous_time"
    detail = _("%(time)s exists twice in %(zone)s that night. Say which one with fold 0 or 1.")


class TimeOutOfRange(Invalid):
    code = "time_out_of_range"
    detail = _("The time must lie in the future, and within the next ten years.")


class TextsInvalid(Invalid):
    """`fields` says where: "email.en.body"."""

    code = "texts_invalid"
    detail = _("The texts cannot be saved as they are.")


class PlaceholderUnknown(Invalid):
    code = "placeholder_unknown"
    detail = _(
        "“%(where)s” cannot be filled in. Only these placeholders may be used: %(names)s. A fallback follows a bar: "
        "{customer.name|friend}."
    )


class TextTooLong(Invalid):
    code = "text_too_long"
    detail = _("At most %(most)s characters and %(placeholders)s placeholders.")


class TemplateStale(Conflict):
    code = "template_stale"
    detail = _(
        "Somebody else has changed this template meanwhile. Open it again and look at the new version."
    )


class VersionNotFound(NotFound):
    detail = _("There is no such version.")


class ReminderInvalid(Invalid):
    code = "reminder_invalid"
    detail = _("This reminder cannot be set up.")


class AppointmentInvalid(Invalid):
    code = "appointment_invalid"
    detail = _("This appointment cannot be made.")


class AppointmentNotFound(NotFound):
    detail = _("There is no such appointment.")


class AppointmentCancelled(Conflict):
    code = "appointment_cancelled"
    detail = _("This appointment is cancelled.")


class TestNotPossible(Invalid):
    code = "test_not_possible"
    detail = _("A test goes to yourself by e-mail or in the console; you have no number for SMS.")


class SegmentInvalid(Invalid):
    """`fields` says which part of the filter: "languages"."""

    code = "segment_invalid"
    detail = _("This filter cannot be used.")


class CampaignNotFound(NotFound):
    detail = _("There is no such campaign.")


class CampaignInvalid(Invalid):
    code = "campaign_invalid"
    detail = _("This campaign cannot be saved as it is.")


class CampaignNotReady(Conflict):
    code = "campaign_not_ready"
    detail = _("This campaign cannot be started yet.")


class CampaignHasBegun(Conflict):
    code = "campaign_has_begun"
    detail = _("This campaign has been started; what it says and who gets it is fixed.")


class CampaignNotRunning(Conflict):
    code = "campaign_not_running"
    detail = _("This campaign is not running.")


class CampaignNotPaused(Conflict):
    code = "campaign_not_paused"
    detail = _("This campaign is not paused.")


class CampaignOver(Conflict):
    code = "campaign_over"
    detail = _("This campaign is over.")


class ListInvalid(Invalid):
    """`fields` says where: "line 7"."""

    code = "list_invalid"
    detail = _("Nothing of this list was taken over.")
