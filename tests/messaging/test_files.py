"""What a file really is (B40-B44): accepted by content, cleaned, named as plain text."""

from __future__ import annotations

import contextlib
import io
import struct
import time
import tracemalloc
import unicodedata
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from apps.messaging import errors, files

pytestmark = pytest.mark.embedded

PDF = b"%PDF-1.7\n1 0 obj << /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >> endobj\n%%EOF"
HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script>1</script></html>'
MHTML = b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n<script>1</script>"
EXE = b"MZ\x90\x00\x03\x00\x00\x00\x04" + b"\x00" * 200
ENTITIES = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a", b"\0" * 10_000_000)
    return out.getvalue()


def _png_of(width: int, height: int, data: bytes = b"\0" * 10) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("image_format", "content_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("GIF", "image/gif"), ("WEBP", "image/webp")],
)
def test_pictures_are_accepted_and_written_anew(picture, image_format, content_type) -> None:
    accepted = files.accept(picture(image_format))
    assert accepted.content_type == content_type
    assert Image.open(io.BytesIO(accepted.content)).size == (8, 4)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_b44_places_and_comments_do_not_survive(picture, image_format) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    exif.get_ifd(0x8825)[1] = "N"
    options = {"comment": b"SECRET comment"} if image_format == "JPEG" else {}
    original = picture(image_format, exif=exif.tobytes(), **options)
    assert b"SECRET" in original
    cleaned = files.accept(original).content
    assert b"SECRET" not in cleaned
    image = Image.open(io.BytesIO(cleaned))
    assert not image.getexif()
    assert "comment" not in image.info


def test_b44_text_chunks_of_png_do_not_survive(picture) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Author", "SECRET")
    assert b"SECRET" not in files.accept(picture("PNG", pnginfo=info)).content


def test_a_picture_is_turned_the_way_it_was_held(picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    cleaned = files.accept(picture("JPEG", exif=exif.tobytes())).content
    assert Image.open(io.BytesIO(cleaned)).size == (4, 8)


def test_animations_stay_animated() -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "green", "blue")]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100, comment=b"SECRET")
    cleaned = files.accept(out.getvalue()).content
    assert Image.open(io.BytesIO(cleaned)).n_frames == 3
    assert b"SECRET" not in cleaned


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_all_kinds_of_pixels_are_kept(mode) -> None:
    out = io.BytesIO()
    Image.new(mode, (3, 3)).save(out, "PNG")
    assert Image.open(io.BytesIO(files.accept(out.getvalue()).content)).size == (3, 3)


def test_print_colours_become_screen_colours() -> None:
    out = io.BytesIO()
    Image.new("CMYK", (3, 3)).save(out, "JPEG")
    assert Image.open(io.BytesIO(files.accept(out.getvalue()).content)).mode == "RGB"


@pytest.mark.parametrize("content", [b"hello", "Grüße ✓\r\n\ttab".encode(), b"a,b\n1,2", b"\xef\xbb\xbfbom"])
def test_plain_text_is_kept_as_it_is(content) -> None:
    assert files.accept(content) == (content, "text/plain")


def test_b42_pdf_is_kept_as_pdf() -> None:
    assert files.accept(PDF) == (PDF, "application/pdf")


@pytest.mark.parametrize(
    "content",
    [
        HTML,
        b"\n\t " + HTML,
        b"\xef\xbb\xbf" + HTML,
        SVG,
        XHTML,
        MHTML,
        ENTITIES,
        EXE,
        _zip(),
        b"\x7fELF\x02\x01\x01" + b"\0" * 60,
        b"{\\rtf1 x}",
        b"\xff\xfeH\x00i\x00",
        b"a\x00b",
        b"\x1b]0;title\x07",
        b"GIF89a<script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n<html>",
    ],
)
def test_b42_everything_else_is_refused_whatever_its_name(content) -> None:
    with pytest.raises((errors.AttachmentRefused, errors.ImageRefused)) as refused:
        files.accept(content)
    assert refused.value.status == 400


def test_b42_a_polyglot_loses_its_other_half(picture) -> None:
    for image_format in ("PNG", "JPEG", "GIF", "WEBP"):
        cleaned = files.accept(picture(image_format) + b"<script>alert(1)</script>").content
        assert b"script" not in cleaned


def test_b40_an_empty_file_is_refused() -> None:
    with pytest.raises(errors.AttachmentEmpty):
        files.accept(b"")


@pytest.mark.parametrize(
    "bomb",
    [_png_of(50_000, 50_000), _png_of(5_001, 5_000, b"\0" * 5_000_000), _png_of(100, 100)[:60]],
    ids=["huge", "just over", "cut"],
)
def test_b43_bombs_and_broken_pictures_are_refused_at_once(bomb) -> None:
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(errors.ImageRefused):
        files.accept(bomb)
    seconds, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 1
    assert peak < 100 * 1024**2


def test_b43_an_animation_of_a_thousand_frames_is_refused() -> None:
    out = io.BytesIO()
    frames = [Image.new("L", (1, 1), n % 256) for n in range(400)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(errors.ImageRefused):
        files.accept(out.getvalue())


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%PDF"])
)
def test_b43_no_bytes_break_it(data, start) -> None:
    with contextlib.suppress(errors.Invalid):
        files.accept(start + data)


# Names (B41)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("photo.PNG", "photo.png"),
        ("../../etc/passwd", "passwd.png"),
        ("/abs/x.png", "x.png"),
        ("C:\\Windows\\x.png", "x.png"),
        ("a\x00b.png", "ab.png"),
        ("", "file.png"),
        ("..", "file.png"),
        ("CON", "_CON.png"),
        ("com1.png", "_com1.png"),
        ("\u202egnp.exe", "gnp.exe.png"),
        ('a"\r\nSet-Cookie: x.png', "a_Set-Cookie_ x.png"),
        ("x.html", "x.html.png"),
        ("x" * 300, "x" * 96 + ".png"),
    ],
)
def test_b41_names_are_harmless_lines(name, cleaned) -> None:
    assert files.clean_name(name, "image/png") == cleaned


@given(st.text(max_size=300))
def test_b41_any_name_becomes_a_short_visible_line(name) -> None:
    cleaned = files.clean_name(name, "text/plain")
    assert cleaned.lower().endswith((".txt", ".csv", ".log", ".md"))
    assert len(cleaned) <= files.MOST_NAME_CHARACTERS
    assert len(cleaned.encode()) <= files.MOST_NAME_BYTES
    assert not set(cleaned) & set('/\\"<>|:*?\r\n\0')
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in cleaned)
