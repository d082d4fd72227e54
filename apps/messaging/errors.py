from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.core.errors import Conflict, Forbidden, Invalid, NotFound, TooMany


class ConversationNotFound(NotFound):
    code = "not_found"
    detail = _("There is no such conversation.")


class ConversationIsClosed(Conflict):
    code = "conversation_closed"
    detail = _("This conversation is closed.")


class NotYourConversation(Forbidden):
    code = "not_your_conversation"
    detail = _("Another agent has this conversation.")


class NotYourTeam(Forbidden):
    code = "not_your_team"
    detail = _("This conversation belongs to a team you are not in.")


class FilesNotSent(Invalid):
    code = "files_not_sent"
    detail = _("An SMS carries no files: write what they say.")


class FilesTooLargeForMail(Invalid):
    code = "files_too_large_for_mail"
    detail = _("The files of one e-mail have %(megabytes)s MB together at most: send them in several.")


class TooLongForSMS(Invalid):
    code = "too_long_for_sms"
    detail = _("An SMS has 1,600 characters at most.")


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


class MessageIdTaken(Conflict):
    code = "client_msg_id_taken"
    detail = _("Somebody else sent a message under this client_msg_id.")


class TooManyAttachments(Invalid):
    code = "too_many_attachments"
    detail = _("A message has 10 attachments at most.")


class AttachmentNotFound(NotFound):
    code = "not_found"
    detail = _("There is no such file.")


class AttachmentMissing(Invalid):
    code = "file_missing"
    detail = _("Send one file in the field “file”, and nothing else.")


class AttachmentEmpty(Invalid):
    code = "file_empty"
    detail = _("This file is empty.")


class AttachmentTooLarge(Invalid):
    status = 413
    code = "file_too_large"
    detail = _("A file has %(megabytes)s MB at most.")


class AttachmentRefused(Invalid):
    code = "file_refused"
    detail = _("Only pictures (PNG, JPEG, GIF, WebP), PDF and plain text can be attached.")


class ImageRefused(Invalid):
    code = "image_refused"
    detail = _("This picture is damaged or has too many pixels.")


class UploadQuotaReached(TooMany):
    code = "upload_quota"
    detail = _("That is enough files for now. Please try again later.")


class ArrivalNotFound(NotFound):
    code = "not_found"
    detail = _("There is no such arrival.")


class ArrivalSettled(Conflict):
    code = "arrival_settled"
    detail = _("Somebody has decided about this already.")


class ArrivalWithoutInbox(Invalid):
    code = "arrival_without_inbox"
    detail = _("Say which inbox it belongs to.")


class ConversationElsewhere(Invalid):
    code = "conversation_elsewhere"
    detail = _("Only an open conversation of the same inbox can take it in.")
