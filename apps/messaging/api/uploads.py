"""How one file comes in by form."""

from __future__ import annotations

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from apps.core.api.serializers import StrictSerializer

from .. import errors

# Boundary, headers and the field's name around the file.
_FORM_BYTES = 16 * 1024

PARSERS = [MultiPartParser]


class UploadInput(StrictSerializer):
    """For the description only: `uploaded_file` reads the form."""

    file = serializers.FileField()


def uploaded_file(request: Request) -> UploadedFile:
    """The only file of the form. What is too large is refused by its length, before it is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if int(length) > settings.ATTACHMENT_MAX_BYTES + _FORM_BYTES:
        raise errors.AttachmentTooLarge(megabytes=settings.ATTACHMENT_MAX_BYTES // 1024**2)
    found = request.FILES.getlist("file")
    if len(found) != 1 or set(request.data) != {"file"}:
        raise errors.AttachmentMissing
    return found[0]
