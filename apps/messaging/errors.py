from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.core.errors import Conflict, Forbidden, Invalid, NotFound


class ConversationNotFound(NotFound):
    code = "not_found"
    detail = _("There is no such conversation.")


class ConversationIsClosed(Conflict):
    code = "conversation_closed"
    detail = _("This conversation is closed.")


class NotYourConversation(Forbidden):
    code = "not_your_conversation"
    detail = _("Another agent has this conversation.")


class ConversationNotWaiting(Conflict):
    code = "not_waiting"
    detail = _("This conversation does not wait any more.")


class AlreadyRated(Conflict):
    code = "already_rated"
    detail = _("This conversation is rated already.")


class NotClosedYet(Conflict):
    code = "not_closed"
    detail = _("A conversation can be rated after its end.")


class InboxNotFound(NotFound):
    code = "not_found"
    detail = _("There is no such chat.")


class MessageEmpty(Invalid):
    code = "message_empty"
    detail = _("Write something or attach a file.")


class MessageTooLong(Invalid):
    code = "message_too_long"
    detail = _("A message has 8,000 characters at most.")


class AttachmentUnknown(Invalid):
    code = "attachment_unknown"
    detail = _("An attachment of this message is not there any more.")
