from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import phonenumbers
from django.utils.translation import gettext_lazy as _

from apps.core.errors import EMLError
from apps.users import contacts

from ...choices import ErrorKind, Way
from .. import net, turns
from ..contract import Arrival, Notice, Outcome, Outgoing, Request, register
from ..errors import CallMalformed, SignatureWrong
from ..fields import Field
from ..http.gateway import check_url, kind_of
from . import signature

# Longer texts the provider refuses (that is ten segments of SMS, put together again by the phone).
MOST_CHARACTERS = 1600
MOST_MEDIA = 10
# Codes of the documentation ("error and warning dictionary") that condemn the number, not the message.
_BAD_NUMBERS = {21211, 21214, 21217, 21421, 21610, 21612, 21614, 21635, 30003, 30005, 30006}
_NOTICES = {"delivered": "delivered", "undelivered": "bounced", "failed": "failed"}


def check_countries(countries: list[str]) -> None:
    if unknown := {country for country in countries if country not in phonenumbers.SUPPORTED_REGIONS}:
        raise ValueError(_("There is no country %(code)s.") % {"code": min(unknown)})


@register("twilio")
class Twilio:
    way: ClassVar[Way] = Way.SMS
    knows_keys: ClassVar[bool] = False
    # What the provider calls us for: the last part of the address.
    HOOKS: ClassVar[tuple[str, ...]] = ("sms", "status")
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("account_sid", _("Account SID"), _("Begins with AC.")),
        Field("auth_token", _("Auth token"), _("Also checks that calls are the provider's."), is_secret=True),
        Field(
            "sender",
            _("Sender"),
            _("A number of the account (+49…), or the SID of a messaging service (MG…)."),
        ),
        Field(
            "countries",
            _("Countries"),
            _("Two-letter codes like DE, AT, CH. Numbers anywhere else are never written to."),
            shape="words",
            check=check_countries,
        ),
        Field(
            "base_url",
            _("Address of the API"),
            _("Only for another provider with the same API."),
            is_required=False,
            default="https://api.twilio.com",
            check=check_url,
        ),
    )

    def __init__(
        self, options: Mapping[str, Any], secrets: Mapping[str, Any], *, caller: net.Caller | None = None
    ) -> None:
        self._options = options
        self._token = secrets.get("auth_token", "")
        self._countries = frozenset(options.get("countries") or ())
        base = (options.get("base_url") or "https://api.twilio.com").rstrip("/")
        self._url = f"{base}/2010-04-01/Accounts/{options.get('account_sid', '')}/Messages.json"
        self._caller = caller or net.Caller()

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        yield from turns.one_by_one(batch, lambda one: self._refusal(one) or self._send(one))

    def _refusal(self, outgoing: Outgoing) -> Outcome | None:
        """What is never tried: it would cost money, or harm."""
        if len(outgoing.text) > MOST_CHARACTERS:
            return Outcome(outgoing.delivery, ErrorKind.PERMANENT, "longer than 1,600 characters")
        try:
            number = contacts.phone(outgoing.to)
            contacts.check_dialled(number)
        except EMLError as error:
            return Outcome(outgoing.delivery, ErrorKind.BAD_ADDRESS, error.code)
        if country_of(number) not in self._countries:
            return Outcome(outgoing.delivery, ErrorKind.PERMANENT, "country not allowed")
        return None

    def _send(self, outgoing: Outgoing) -> Outcome:
        try:
            answer = self._caller.call(
                "POST",
                self._url,
                headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
                content=urlencode(self._form(outgoing)).encode(),
                auth=(self._options.get("account_sid", ""), self._token),
            )
        except net.Refused as refusal:
            return Outcome(outgoing.delivery, ErrorKind.UNREACHABLE, f"not called: {refusal}")
        except net.Unreachable as error:
            return Outcome(outgoing.delivery, ErrorKind.UNREACHABLE, f"not reached: {error}")
        except net.Unanswered as error:
            return Outcome(outgoing.delivery, ErrorKind.UNKNOWN, f"no answer: {error}")
        return _outcome(outgoing.delivery, answer)

    def _form(self, outgoing: Outgoing) -> dict[str, str]:
        sender = outgoing.sender or self._options.get("sender", "")
        field = "MessagingServiceSid" if sender.startswith("MG") else "From"
        form = {"To": outgoing.to, field: sender, "Body": outgoing.text}
        if callback := self._options.get("callback_url"):
            form["StatusCallback"] = callback
        return form

    def receive(self, request: Request) -> list[Notice | Arrival]:
        given = request.headers.get("x-twilio-signature", "")
        if not signature.is_valid(given, token=self._token, url=request.url, form=request.form):
            raise SignatureWrong
        sid = request.form.get("MessageSid") or request.form.get("SmsSid", "")
        if not sid:
            raise CallMalformed
        status = request.form.get("MessageStatus") or request.form.get("SmsStatus", "")
        if status == "received" or "Body" in request.form:
            return [_arrival(request.form, sid)]
        if status not in _NOTICES:
            return []  # queued, sent: nothing we do not know
        return [_notice(request.form, sid, status)]


def country_of(e164: str) -> str:
    return phonenumbers.region_code_for_number(phonenumbers.parse(e164, None)) or ""


def _notice(form: Mapping[str, str], sid: str, status: str) -> Notice:
    code = form.get("ErrorCode", "")
    kind = _NOTICES[status]
    if kind == "bounced" and (not code.isdigit() or int(code) not in _BAD_NUMBERS):
        kind = "failed"  # a phone that was off, a filter: the number itself is good
    return Notice(id=f"{sid}:{status}", provider_id=sid, kind=kind, detail=f"error {code}" if code else "")


def _arrival(form: Mapping[str, str], sid: str) -> Arrival:
    """Media are named, never fetched: their addresses are the sender's choice."""
    text = form.get("Body", "")
    media = form.get("NumMedia", "0")
    count = int(media) if media.isascii() and media.isdigit() and len(media) < 3 else 0
    if count:
        types = ", ".join(form.get(f"MediaContentType{n}", "?")[:60] for n in range(min(count, MOST_MEDIA)))
        text = f"{text}\n[{types}]".strip()
    return Arrival(id=sid, sender=form.get("From", ""), to=form.get("To", ""), text=text)


def _outcome(delivery: int, answer: net.Answer) -> Outcome:
    said = _said(answer.body)
    if answer.status in (200, 201):
        return Outcome(delivery, provider_id=str(said.get("sid", ""))[:200])
    code = said.get("code")
    kind = ErrorKind.BAD_ADDRESS if code in _BAD_NUMBERS else kind_of(answer.status)
    detail = f"HTTP {answer.status}" + (f", error {code}" if isinstance(code, int) else "")
    return Outcome(delivery, kind, detail, retry_after=answer.retry_after)


def _said(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
