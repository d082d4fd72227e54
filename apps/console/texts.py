"""The words that scripts show, in the language of who looks."""

from __future__ import annotations

from django.utils.translation import gettext as _


def for_scripts() -> dict[str, str]:
    return {
        "offline": _("Connection lost. Trying again …"),
        "online": _("Connected again. Everything is up to date."),
        "sending": _("Sending …"),
        "waiting": _("Goes as soon as the connection is back"),
        "failed": _("Not sent"),
        "typing": _("%(name)s is typing …"),
        "new_offer": _("New conversation for you"),
        "new_message": _("New message"),
        "sound_on": _("Sound is on"),
        "sound_off": _("Sound is off"),
        "notifications_on": _("Desktop notifications are on"),
        "notifications_off": _("Desktop notifications are off"),
        "notifications_blocked": _(
            "Your browser blocks notifications for this page. Allow them in its settings."
        ),
        "server_away": _("The server did not answer. Please try again."),
        "no_files": _("An SMS carries no files."),
        "upload_failed": _("The file could not be uploaded."),
    }
