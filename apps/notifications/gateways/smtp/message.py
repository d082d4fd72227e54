"""A mail as bytes, put together by hand: the standard library's way costs ten times as much. Pure.

Lines end in CRLF and are dot-stuffed for DATA; headers cannot be broken out of, because whatever is not plain is
encoded and line breaks are refused.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from email.header import Header
from email.utils import encode_rfc2231, parseaddr

from ..contract import File, Outgoing

LONGEST_LINE = 900
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
# Not to be sent as it is: what is no text, and what looks like the end of a part.
_ODD = ("\0", "--=_")
_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,255}")
# Ours to say.
_OWN = frozenset(
    {
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    }
)


class Unsendable(ValueError):
    """Nobody would take this mail; the text says why, without personal data."""


def envelope(address: str) -> str:
    """An address for MAIL and RCPT. Unsendable when it is none."""
    if not _ADDRESS.fullmatch(address):
        raise Unsendable("not an address")
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise Unsendable("the address needs SMTPUTF8")
    try:
        return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    except UnicodeError:
        raise Unsendable("not a domain") from None


def message_id(outgoing: Outgoing, *, domain: str) -> str:
    """The same for every attempt; a cause may say it itself."""
    given = next((value for name, value in outgoing.headers.items() if name.lower() == "message-id"), "")
    return given or f"<{outgoing.key}@{domain}>"


def build(outgoing: Outgoing, *, sender: str, to: str, date: str, domain: str) -> bytes:
    """The whole mail, dot-stuffed, without the final dot. `sender` may have a name, `to` is an envelope's address."""
    headers = outgoing.headers
    lines = [
        _frame(sender, date),
        f"To: {_value(to)}",
        f"Subject: {_value(outgoing.subject)}",
        f"Message-ID: {_value(message_id(outgoing, domain=domain))}",
        *(f"{name}: {_value(headers[name])}" for name in _others(tuple(headers))),
    ]
    body = _alternatives(outgoing) if outgoing.html else _part("plain", outgoing.text)
    lines += _mixed(outgoing, body) if outgoing.files else body
    return _stuffed("\r\n".join(lines)).encode("ascii")


@functools.lru_cache(maxsize=256)
def return_path(sender: str) -> str:
    """The address of a sender who may have a name. Kept: taking that apart takes longer than a whole mail."""
    return envelope(parseaddr(sender)[1])


@functools.lru_cache(maxsize=256)
def _sender(sender: str) -> str:
    name, plain = parseaddr(sender)[0], return_path(sender)
    if not name:
        return plain
    return f"{Header(name, 'utf-8').encode() if not name.isascii() else _quoted(name)} <{plain}>"


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@functools.lru_cache(maxsize=256)
def _frame(sender: str, date: str) -> str:
    """The headers that the mails of a batch have in common."""
    return f"From: {_value(_sender(sender))}\r\nDate: {_value(date)}\r\nMIME-Version: 1.0"


@functools.lru_cache(maxsize=256)
def _others(names: tuple[str, ...]) -> list[str]:
    for name in names:
        if not _NAME.fullmatch(name):
            raise Unsendable("not a header's name")
    return [name for name in names if name.lower() not in _OWN]


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _value(value: str) -> str:
    if _is_plain(value) and len(value) <= LONGEST_LINE:
        return value
    if "\r" in value or "\n" in value:
        raise Unsendable("a header with a line break")
    return Header(value, "utf-8", maxlinelen=76).encode(linesep="\r\n")


def _alternatives(outgoing: Outgoing) -> list[str]:
    boundary = f"=_{outgoing.key}_="
    return [
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
        "",
        f"--{boundary}",
        *_part("plain", outgoing.text),
        f"--{boundary}",
        *_part("html", outgoing.html),
        f"--{boundary}--",
        "",
    ]


def _part(subtype: str, text: str) -> list[str]:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    if _is_sent_as_it_is(text):
        return [
            f"Content-Type: text/{subtype}; charset=us-ascii",
            "Content-Transfer-Encoding: 7bit",
            "",
            text,
        ]
    encoded = text.encode("utf-8", "replace")
    body = [
        binascii.b2a_base64(encoded[i : i + 57], newline=False).decode() for i in range(0, len(encoded), 57)
    ]
    head = [f"Content-Type: text/{subtype}; charset=utf-8", "Content-Transfer-Encoding: base64", ""]
    return [*head, *body]


def _is_sent_as_it_is(text: str) -> bool:
    if not text.isascii() or any(odd in text for odd in _ODD):
        return False
    return len(text) <= LONGEST_LINE or max(map(len, text.split("\r\n"))) <= LONGEST_LINE


def _mixed(outgoing: Outgoing, body: list[str]) -> list[str]:
    """The body, and each file after it."""
    boundary = f"=_{outgoing.key}_files_="
    lines = [f'Content-Type: multipart/mixed; boundary="{boundary}"', "", f"--{boundary}", *body]
    for file in outgoing.files:
        lines += [f"--{boundary}", *_file(file)]
    return [*lines, f"--{boundary}--", ""]


def _file(file: File) -> list[str]:
    try:
        content = file.read()
    except FileNotFoundError:
        raise Unsendable("a file is not there any more") from None
    kind = file.content_type if _TYPE.fullmatch(file.content_type) else "application/octet-stream"
    head = [
        f"Content-Type: {kind}",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: attachment; {_file_name(file.name)}",
    ]
    return [*head, "", base64.encodebytes(content).decode().replace("\n", "\r\n")]


def _file_name(name: str) -> str:
    if _is_plain(name):
        return f"filename={_quoted(name)}"
    return f"filename*={encode_rfc2231(name, 'utf-8')}"


def _stuffed(mail: str) -> str:
    stuffed = mail.replace("\r\n.", "\r\n..") if "\r\n." in mail else mail
    return stuffed if stuffed.endswith("\r\n") else f"{stuffed}\r\n"
