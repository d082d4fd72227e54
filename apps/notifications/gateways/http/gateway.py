from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from ...choices import ErrorKind, Way
from .. import net, turns
from ..contract import Arrival, Notice, Outcome, Outgoing, Request, register
from ..errors import SignatureWrong
from ..fields import Field

PLACEHOLDERS = ("to", "from", "text", "subject", "key")
_PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")
# A name, or a number in a list: "data.messages.0.id".
_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def check_url(url: str) -> None:
    try:
        net.check(url)
    except net.Refused as refusal:
        raise ValueError(_REFUSALS[str(refusal)]) from None


_REFUSALS = {
    "malformed": _("This is not a web address."),
    "scheme": _("The address must begin with https:// or http://."),
    "userinfo": _("The address must not hold a user name or password."),
    "port": _("Only the ports 443 and 80 are called."),
    "address": _("This address lies in a private network, and those are not called."),
}


def check_body(body: Any) -> None:
    if not isinstance(body, dict):
        raise ValueError(_("The body is a JSON object."))
    for text in _texts(body):
        unknown = {name for name in _PLACEHOLDER.findall(text) if name not in PLACEHOLDERS}
        if unknown:
            raise ValueError(
                _("Unknown placeholder %(name)s. There are: %(known)s.")
                % {
                    "name": f"{{{min(unknown)}}}",
                    "known": ", ".join(f"{{{name}}}" for name in PLACEHOLDERS),
                }
            )


def check_headers(headers: Any) -> None:
    if not isinstance(headers, dict):
        raise ValueError(_("Headers are a JSON object of names and values."))
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str) or not value.isprintable():
            raise ValueError(_("A header is a name of letters, digits and dashes, and a text in one line."))


def check_path(path: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValueError(_("Write names separated by dots, like data.id or messages.0.id."))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


@register("http")
class HTTP:
    """One JSON request for each message; the provider's id is read from the answer if it is said where it stands."""

    way: ClassVar[Way] = Way.SMS
    knows_keys: ClassVar[bool] = False
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("url", _("Address"), _("Where messages are sent to, with https://."), check=check_url),
        Field(
            "method", _("Method"), shape="choice", choices=[("POST", "POST"), ("PUT", "PUT")], default="POST"
        ),
        Field(
            "body",
            _("Body"),
            _(
                'JSON. Filled in: {to}, {from}, {text}, {subject}, {key}. Like {"to": "{to}", "text": "{text}"}'
            ),
            shape="json",
            check=check_body,
        ),
        Field("sender", _("Sender"), _("What {from} says, unless the inbox has its own."), is_required=False),
        Field(
            "headers",
            _("Headers"),
            _('JSON, like {"Authorization": "Bearer …"}. Not shown again.'),
            shape="json",
            is_secret=True,
            is_required=False,
            default={},
            check=check_headers,
        ),
        Field(
            "id_path",
            _("Where the id stands"),
            _("In the JSON of the answer, like data.id or messages.0.id. Empty: there is none."),
            is_required=False,
            check=check_path,
        ),
    )

    def __init__(
        self, options: Mapping[str, Any], secrets: Mapping[str, Any], *, caller: net.Caller | None = None
    ) -> None:
        self._options = options
        self._headers = {"content-type": "application/json", **(secrets.get("headers") or {})}
        self._caller = caller or net.Caller()

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        yield from turns.one_by_one(batch, self._send)

    def _send(self, outgoing: Outgoing) -> Outcome:
        content = json.dumps(self._filled(self._options["body"], self._values(outgoing))).encode()
        try:
            answer = self._caller.call(
                self._options.get("method") or "POST",
                self._options["url"],
                headers=self._headers,
                content=content,
            )
        except net.Refused as refusal:
            return Outcome(outgoing.delivery, ErrorKind.UNREACHABLE, f"not called: {refusal}")
        except net.Unreachable as error:
            return Outcome(outgoing.delivery, ErrorKind.UNREACHABLE, f"not reached: {error}")
        except net.Unanswered as error:
            return Outcome(outgoing.delivery, ErrorKind.UNKNOWN, f"no answer: {error}")
        return self._outcome(outgoing.delivery, answer)

    def _values(self, outgoing: Outgoing) -> dict[str, str]:
        return {
            "to": outgoing.to,
            "from": outgoing.sender or self._options.get("sender", ""),
            "text": outgoing.text,
            "subject": outgoing.subject,
            "key": outgoing.key,
        }

    def _filled(self, value: Any, values: Mapping[str, str]) -> Any:
        """Placeholders in texts are replaced once: what a customer wrote is never looked at for placeholders."""
        if isinstance(value, str):
            return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), value)
        if isinstance(value, dict):
            return {name: self._filled(inner, values) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner, values) for inner in value]
        return value

    def _outcome(self, delivery: int, answer: net.Answer) -> Outcome:
        if 200 <= answer.status < 300:
            return Outcome(delivery, provider_id=self._id(answer.body))
        return Outcome(
            delivery, kind_of(answer.status), f"HTTP {answer.status}", retry_after=answer.retry_after
        )

    def _id(self, body: bytes) -> str:
        if not (path := self._options.get("id_path")):
            return ""
        try:
            value = json.loads(body)
            for name in path.split("."):
                value = value[int(name)] if isinstance(value, list) else value[name]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            # It went out; that it has no id we can read is no reason to send it again.
            return ""
        return str(value)[:200] if isinstance(value, str | int) else ""

    def receive(self, request: Request) -> list[Notice | Arrival]:
        raise SignatureWrong  # nothing is agreed about how it would sign


def kind_of(status: int) -> ErrorKind:
    """What an HTTP status says about the next attempt."""
    if status == 429:
        return ErrorKind.RATE_LIMITED
    # A wrong key or a missing page is mended by an administrator, not by giving up on every message meanwhile.
    if status in (502, 503, 504):
        return ErrorKind.UNREACHABLE
    if status in (401, 403, 404, 405, 408, 409) or status >= 500 or status < 400:
        return ErrorKind.TEMPORARY
    return ErrorKind.PERMANENT
