"""The words that scripts show, in the language of who looks."""

from __future__ import annotations

from django.utils.translation import gettext as _


def for_scripts() -> dict[str, str]:
    return {
        "offline": _("Connection lost. Trying again …"),
        "online": _("Connected again. Everything is up to date."),
        "sending": _("Sending …"),
        "failed": _("Not sent"),
        "retry": _("Try again"),
        "discard": _("Discard"),
        "typing": _("%(name)s is typing …"),
        "new_offer": _("New conversation for you"),
        "new_message": _("New message"),
        "read": _("Seen"),
        "sound_on": _("Sound is on"),
        "sound_off": _("Sound is off"),
        "notifications_on": _("Desktop notifications are on"),
        "notifications_off": _("Desktop notifications are off"),
        "notifications_blocked": _(
            "Your browser blocks notifications for this page. Allow them in its settings."
        ),
        "theme_system": _("Theme: like the system"),
        "theme_light": _("Theme: light"),
        "theme_dark": _("Theme: dark"),
        "server_away": _("The server did not answer. Please try again."),
        "upload_failed": _("The file could not be uploaded."),
        "no_match": _("No canned reply starts with this."),
        "seconds_left": _("%(seconds)s s left"),
    }
