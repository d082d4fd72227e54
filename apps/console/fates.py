"""What became of an answer that went out by e-mail or SMS, in words for the agent who wrote it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.notifications.choices import DeliveryState, ErrorKind, Reason, Way

Words = tuple[str | Promise, str | Promise]


@dataclasses.dataclass(frozen=True, slots=True)
class Fate:
    """`tone` is quiet, good, warning or danger; `why` and `todo` are sentences, or empty."""

    label: str
    tone: str
    icon: str
    why: str = ""
    todo: str = ""
    # What the provider said, word for word.
    detail: str = ""

    @property
    def icon_path(self) -> str:
        return f"icons/{self.icon}.svg"


_LATER = gettext_lazy("A supervisor can send it again, on the page of deliveries.")
_OTHER_ADDRESS = gettext_lazy("Ask the customer for another address, or call.")
_ERRORS: dict[str, Words] = {
    ErrorKind.BAD_ADDRESS: (gettext_lazy("The address does not work."), _OTHER_ADDRESS),
    ErrorKind.PERMANENT: (
        gettext_lazy("It was refused for good."),
        gettext_lazy("Write it differently, or tell a supervisor what stands here."),
    ),
    ErrorKind.TEMPORARY: (gettext_lazy("The provider could not take it."), _LATER),
    ErrorKind.RATE_LIMITED: (gettext_lazy("The provider asks to slow down."), _LATER),
    ErrorKind.UNREACHABLE: (gettext_lazy("The provider does not answer."), _LATER),
    ErrorKind.UNKNOWN: (gettext_lazy("Nobody knows whether it went out."), _LATER),
}
_CAME_BACK: dict[str, Words] = {
    "bounced": (gettext_lazy("It came back: the address does not work."), _OTHER_ADDRESS),
    "failed": (
        gettext_lazy("It came back: the phone or mailbox could not take it."),
        gettext_lazy("Try again later, or call."),
    ),
}
_NOT_SENT: dict[str, Words] = {
    Reason.OPTED_OUT: (
        gettext_lazy("The customer asked that nothing is sent to this address."),
        gettext_lazy("Only the customer can take that back; call instead."),
    ),
    Reason.BOUNCED: (
        gettext_lazy("An earlier message to this address came back."),
        gettext_lazy("Ask the customer for another address; a supervisor can release this one."),
    ),
    Reason.NO_ADDRESS: (gettext_lazy("There is no address it could go to."), _OTHER_ADDRESS),
}
_HINDRANCES: dict[str, Words] = {
    "no_gateway": (
        gettext_lazy("No gateway is switched on for it."),
        gettext_lazy("It goes out once an administrator has set one up."),
    ),
    "paused": (
        gettext_lazy("A supervisor has paused the sending queue."),
        gettext_lazy("It goes out when the queue is resumed."),
    ),
    "resting": (
        gettext_lazy("The provider does not answer at the moment."),
        gettext_lazy("It goes out by itself when it does."),
    ),
}


def fate(row: Any, *, hindrance: str, clock: Callable[[datetime], str]) -> Fate:
    """`row` is a delivery with `last_error`, `last_detail` and `came_back`, or None while none is made yet;
    `hindrance` is why nothing goes out by its way at the moment; `clock` writes a time of day."""
    if row is None:
        return _waits("", hindrance, clock)
    return _SHOWN[row.state](row, hindrance, clock)


def _waits(row: Any, hindrance: str, clock: Callable[[datetime], str]) -> Fate:
    if row and row.last_error:
        why = _ERRORS[row.last_error][0]
        text = _("It is tried again at %(time)s.") % {"time": clock(row.due_at)}
        return Fate(_("Not sent yet"), "warning", "clock", str(why), text, row.last_detail)
    if hindrance:
        why, todo = _HINDRANCES[hindrance]
        return Fate(_("Waits"), "warning", "clock", str(why), str(todo))
    return Fate(_("Queued"), "quiet", "clock")


def _dead(row: Any, _hindrance: str, _clock: Callable[[datetime], str]) -> Fate:
    why, todo = _CAME_BACK.get(row.came_back) or _ERRORS.get(row.last_error) or ("", _LATER)
    label = _("Bounced") if row.came_back == "bounced" else _("Not delivered")
    return Fate(label, "danger", "circle-alert", str(why), str(todo), row.last_detail)


def _in_doubt(row: Any, _hindrance: str, _clock: Callable[[datetime], str]) -> Fate:
    why = _("Nobody knows whether it went out.")
    todo = _("A supervisor looks and decides whether it is sent again.")
    return Fate(_("In doubt"), "warning", "circle-alert", why, todo, row.last_detail)


def _not_sent(row: Any, _hindrance: str, _clock: Callable[[datetime], str]) -> Fate:
    known = _NOT_SENT.get(row.reason)
    otherwise = _("Not sent because: %(reason)s.") % {"reason": row.get_reason_display()}
    why, todo = known or (otherwise if row.reason else "", "")
    return Fate(_("Not sent"), "danger", "circle-alert", str(why), str(todo))


def _delivered(row: Any, _hindrance: str, clock: Callable[[datetime], str]) -> Fate:
    text = (
        _("Delivered at %(time)s") % {"time": clock(row.delivered_at)} if row.delivered_at else _("Delivered")
    )
    return Fate(text, "good", "check-check")


_SENT = {
    Way.EMAIL: gettext_lazy("Sent; the mail server has taken it"),
    Way.SMS: gettext_lazy("Sent; the provider has taken it"),
}


def _sent(row: Any, _hindrance: str, _clock: Callable[[datetime], str]) -> Fate:
    return Fate(str(_SENT.get(row.way, _("Sent"))), "quiet", "check")


_SHOWN: dict[str, Callable[[Any, str, Callable[[datetime], str]], Fate]] = {
    DeliveryState.DUE: _waits,
    DeliveryState.SENDING: lambda row, hindrance, clock: Fate(_("Being sent"), "quiet", "send"),
    DeliveryState.SENT: _sent,
    DeliveryState.DELIVERED: _delivered,
    DeliveryState.DEAD: _dead,
    DeliveryState.REVIEW: _in_doubt,
    DeliveryState.SUPPRESSED: _not_sent,
    DeliveryState.CANCELLED: _not_sent,
}
