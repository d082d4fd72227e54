"""What a file really is, looked at before it is kept: type by content, images without metadata, names as plain text."""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import warnings
import zlib
from typing import NamedTuple

import filetype
from PIL import Image, ImageOps

from . import errors

MOST_NAME_CHARACTERS, MOST_NAME_BYTES = 100, 200
# A decoded pixel takes up to four bytes: with this a hostile image costs 100 MB at most.
MOST_PIXELS = 25_000_000
MOST_IMAGE_FRAMES = 300

PDF, TEXT = "application/pdf", "text/plain"
IMAGES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
_ENDINGS = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    PDF: (".pdf",),
    TEXT: (".txt", ".csv", ".log", ".md"),
}
# What Pillow needs to write a picture as it was; all else in `info` is metadata (comments, places, programs).
_KEPT_INFO = {"transparency", "duration", "loop", "background", "disposal"}
_MARKUP = re.compile(rb"\s*(?:<[!?a-z]|mime-version:|from:|content-type:|\{\\rtf)", re.IGNORECASE)
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, MemoryError)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning, struct.error, zlib.error)


class Accepted(NamedTuple):
    content: bytes
    content_type: str


def accept(content: bytes) -> Accepted:
    """The file as it may be stored. Raises AttachmentEmpty, AttachmentRefused or ImageRefused."""
    if not content:
        raise errors.AttachmentEmpty
    kind = filetype.guess(content)
    if kind is None:
        return Accepted(_plain_text(content), TEXT)
    if kind.mime in IMAGES:
        return Accepted(_clean_image(content, IMAGES[kind.mime]), kind.mime)
    if kind.mime == PDF:
        return Accepted(content, PDF)
    raise errors.AttachmentRefused


def _plain_text(content: bytes) -> bytes:
    """UTF-8 without controls, and nothing a browser or mail program would take for a document of its own."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise errors.AttachmentRefused from None
    if _MARKUP.match(text.encode()[:1000]) or any(c < " " and c not in "\t\n\r\f" for c in text):
        raise errors.AttachmentRefused
    return content


def _clean_image(content: bytes, image_format: str) -> bytes:
    """Decoded and written anew, so that only pixels survive; turned the way its metadata says first."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=[image_format]) as image:
            warnings.simplefilter("ignore")
            _check_size(image)
            return _rewritten(image, image_format)
    except (*_BROKEN, *_BOMBS):
        raise errors.ImageRefused from None


def _check_size(image: Image.Image) -> None:
    # From the headers, before anything is decoded.
    frames = getattr(image, "n_frames", 1)
    if frames > MOST_IMAGE_FRAMES or image.width * image.height * frames > MOST_PIXELS:
        raise errors.ImageRefused


def _rewritten(image: Image.Image, image_format: str) -> bytes:
    out = io.BytesIO()
    is_animated = getattr(image, "n_frames", 1) > 1
    if not is_animated:
        image = ImageOps.exif_transpose(image)
    image.load()
    image.info = {name: value for name, value in image.info.items() if name in _KEPT_INFO}
    if image_format == "JPEG":
        if image.mode not in ("L", "RGB"):
            image = image.convert("RGB")
        image.save(out, "JPEG", quality=90)
    elif is_animated:
        image.save(out, image_format, save_all=True, exif=b"", comment=b"")
    else:
        image.save(out, image_format)
    return out.getvalue()


def clean_name(name: str, content_type: str) -> str:
    """A sender's file name as a harmless line of text, with an ending that fits what the file is."""
    name = re.split(r"[/\\]", name)[-1]
    # Cc: controls; Cf: invisible marks, among them those that turn "gpj.exe" into "exe.jpg"; Cs: broken characters.
    name = "".join(c for c in name if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
    name = re.sub(r'["<>|:*?]', "_", name).strip(" .") or "file"
    if _RESERVED.match(name):
        name = f"_{name}"
    endings = _ENDINGS[content_type]
    ending = next((e for e in endings if name.lower().endswith(e)), "")
    stem = name[: len(name) - len(ending)] if ending else name
    ending = ending or endings[0]
    stem = stem[: MOST_NAME_CHARACTERS - len(ending)]
    while len(stem.encode()) > MOST_NAME_BYTES - len(ending):
        stem = stem[:-1]
    return stem + ending
