"""How a stored file leaves the house: always as a download, never as a page."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from .errors import AttachmentNotFound
from .models import Attachment


def response(attachment: Attachment) -> HttpResponse:
    """The file, with headers under which no browser shows or runs it. Who may have it is the caller's question."""
    try:
        with attachment.file.open("rb") as file:
            # At most ATTACHMENT_MAX_BYTES; a streamed file would be read in the event loop under ASGI.
            answer = HttpResponse(file.read(), content_type=attachment.content_type)
    except FileNotFoundError:
        raise AttachmentNotFound from None
    answer["Content-Disposition"] = content_disposition_header(True, attachment.name)
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "private, no-store"
    return answer
