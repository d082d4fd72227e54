from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from email.utils import parseaddr
from importlib import import_module
from typing import Any, ClassVar

import requests
from anymail import exceptions as anymail
from anymail.signals import AnymailInboundEvent, AnymailTrackingEvent, EventType, RejectReason
from anymail.webhooks.base import AnymailBaseWebhookView
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.core.mail import EmailMultiAlternatives
from django.utils.translation import gettext_lazy as _
from urllib3.exceptions import NewConnectionError

from ...choices import ErrorKind, Way
from ..contract import Arrival, Notice, Outcome, Outgoing, Request, register
from ..errors import CallMalformed, SignatureWrong
from ..fields import Field, check_sender
from ..http.gateway import check_url, kind_of
from . import calls, mail

SECONDS = 10
# Those of the package that need nothing else installed and tell of mail that arrives.
PROVIDERS = {
    "brevo": "Brevo",
    "mailersend": "MailerSend",
    "mailgun": "Mailgun",
    "mailjet": "Mailjet",
    "mailtrap": "Mailtrap",
    "postal": "Postal",
    "postmark": "Postmark",
    "resend": "Resend",
    "sparkpost": "SparkPost",
}
_KINDS = {
    EventType.DELIVERED: "delivered",
    EventType.BOUNCED: "bounced",
    EventType.FAILED: "failed",
    EventType.COMPLAINED: "complained",
}
# "Rejected" for one of these reasons says that the address is no good.
_BAD_ADDRESS = {RejectReason.INVALID, RejectReason.BOUNCED}


def check_settings(settings: Any) -> None:
    if not isinstance(settings, dict) or not all(isinstance(v, str | int | bool) for v in settings.values()):
        raise ValueError(_("A JSON object of names and simple values."))
    if "api_url" in settings:
        check_url(str(settings["api_url"]))


@register("anymail")
class Anymail:
    way: ClassVar[Way] = Way.EMAIL
    knows_keys: ClassVar[bool] = False
    HOOKS: ClassVar[tuple[str, ...]] = ("tracking", "inbound")
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("esp", _("Provider"), shape="choice", choices=list(PROVIDERS.items())),
        Field("sender", _("Sender"), _("Like Support <support@example.com>."), check=check_sender),
        Field(
            "settings",
            _("Settings"),
            _(
                "JSON, as the provider's page in the documentation of django-anymail says without its prefix, "
                'like {"sender_domain": "example.com"}.'
            ),
            shape="json",
            is_required=False,
            default={},
            check=check_settings,
        ),
        Field(
            "keys",
            _("Keys"),
            _('JSON, likewise, like {"api_key": "…", "webhook_signing_key": "…"}. Not shown again.'),
            shape="json",
            is_secret=True,
            check=check_settings,
        ),
        Field(
            "webhook_secret",
            _("Webhook secret"),
            _(
                "user:password, for providers that do not sign their calls. It goes into the address told to them."
            ),
            is_secret=True,
            is_required=False,
        ),
    )

    def __init__(self, options: Mapping[str, Any], secrets: Mapping[str, Any]) -> None:
        self._options = options
        self._esp = options["esp"]
        self._settings = {**(options.get("settings") or {}), **(secrets.get("keys") or {})}
        self._webhook_secret = secrets.get("webhook_secret") or ""

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        try:
            backend = import_module(f"anymail.backends.{self._esp}").EmailBackend(
                **self._settings, timeout=SECONDS
            )
            backend.open()
        except (ImproperlyConfigured, ImportError, TypeError) as error:
            yield from (Outcome(one.delivery, ErrorKind.TEMPORARY, _named(error)) for one in batch)
            return
        try:
            for outgoing in batch:
                yield self._send(backend, outgoing)
        finally:
            backend.close()

    def _send(self, backend: Any, outgoing: Outgoing) -> Outcome:
        try:
            message = self._message(outgoing)
        except FileNotFoundError:
            return Outcome(outgoing.delivery, ErrorKind.PERMANENT, "a file is not there any more")
        except OSError as error:
            return Outcome(outgoing.delivery, ErrorKind.TEMPORARY, f"a file cannot be read: {_named(error)}")
        try:
            backend.send_messages([message])
        except anymail.AnymailRecipientsRefused:
            return Outcome(outgoing.delivery, ErrorKind.BAD_ADDRESS, "refused by the provider")
        except anymail.AnymailAPIError as error:
            return _api_error(outgoing.delivery, error)
        except ImproperlyConfigured as error:
            return Outcome(outgoing.delivery, ErrorKind.TEMPORARY, _named(error))
        except (anymail.AnymailError, ValueError, TypeError) as error:
            return Outcome(outgoing.delivery, ErrorKind.PERMANENT, _named(error))
        status = message.anymail_status  # type: ignore[attr-defined]
        if status.status and status.status <= {"rejected", "invalid"}:
            return Outcome(outgoing.delivery, ErrorKind.BAD_ADDRESS, "refused by the provider")
        if status.status == {"failed"}:
            return Outcome(outgoing.delivery, ErrorKind.TEMPORARY, "failed at the provider")
        return Outcome(outgoing.delivery, provider_id=bare(status.message_id)[:200])

    def _message(self, outgoing: Outgoing) -> EmailMultiAlternatives:
        sender = self._options["sender"]
        domain = parseaddr(outgoing.sender or sender)[1].rpartition("@")[2]
        headers = {"Message-ID": f"<{outgoing.key}@{domain}>", **outgoing.headers}
        message = EmailMultiAlternatives(
            outgoing.subject, outgoing.text, outgoing.sender or sender, [outgoing.to], headers=headers
        )
        if outgoing.html:
            message.attach_alternative(outgoing.html, "text/html")
        for file in outgoing.files:
            message.attach(file.name, file.read(), file.content_type)
        return message

    def receive(self, request: Request) -> list[Notice | Arrival]:
        """The address called says which: …/tracking/ or …/inbound/."""
        view = self._view(calls.what(request))
        django_request = calls.as_django(request)
        try:
            view.run_validators(django_request)
        except (SuspiciousOperation, ImproperlyConfigured, ValueError, KeyError):
            raise SignatureWrong from None
        try:
            events = view.parse_events(django_request)
            return [told for event in events for told in _told(event)]
        # Whatever a parser of somebody else's format falls over: the call is no good.
        except (anymail.AnymailError, ImproperlyConfigured, SuspiciousOperation, ValueError, LookupError, TypeError,
                AttributeError):  # fmt: skip
            raise CallMalformed from None

    def _view(self, what: str) -> Any:
        module = import_module(f"anymail.webhooks.{self._esp}")
        ending = "InboundWebhookView" if what == "inbound" else "TrackingWebhookView"
        found = next(
            one
            for name, one in vars(module).items()
            if name.endswith(ending) and one.__module__ == module.__name__
        )
        if not self._webhook_secret and _needs_secret(found):
            raise SignatureWrong  # nothing could be checked: default deny
        secret = {"webhook_secret": [self._webhook_secret]} if self._webhook_secret else {}
        try:
            return found(**self._settings, **secret)
        except ImproperlyConfigured:
            raise SignatureWrong from None


def _needs_secret(view: type[AnymailBaseWebhookView]) -> bool:
    return view.warn_if_no_basic_auth


def _api_error(delivery: int, error: anymail.AnymailAPIError) -> Outcome:
    if error.status_code is not None:
        detail = f"HTTP {error.status_code}"
        if 200 <= error.status_code < 300:
            # Taken, but the answer cannot be read.
            return Outcome(delivery, ErrorKind.UNKNOWN, "answer not understood")
        return Outcome(delivery, kind_of(error.status_code), detail)
    kind = ErrorKind.UNREACHABLE if _was_not_reached(error) else ErrorKind.UNKNOWN
    return Outcome(delivery, kind, _named(error.__cause__ or error))


def _was_not_reached(error: anymail.AnymailAPIError) -> bool:
    """Whether there never was a connection; one that broke may have carried the message."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.__cause__
    inner = cause.args[0] if cause is not None and cause.args else None
    return isinstance(getattr(inner, "reason", None), NewConnectionError)


def _named(error: BaseException) -> str:
    """The kind of an error: its text may hold addresses."""
    return type(error).__name__


def bare(message_id: str | None) -> str:
    """A message's id as it is compared: without the brackets that only some write."""
    return (message_id or "").strip().removeprefix("<").removesuffix(">")


def _told(event: AnymailTrackingEvent | AnymailInboundEvent) -> Iterator[Notice | Arrival]:
    if isinstance(event, AnymailInboundEvent):
        if event.message is None or event.message.from_email is None:
            raise CallMalformed
        yield mail.arrival(event.message, event_id=event.event_id or "")
        return
    kind = _KINDS.get(event.event_type)
    if event.event_type == EventType.REJECTED:
        kind = "bounced" if event.reject_reason in _BAD_ADDRESS else "failed"
    message_id = bare(event.message_id)
    if kind is None or not message_id:
        return
    at = event.timestamp.isoformat() if event.timestamp else ""
    notice_id = event.event_id or f"{message_id}:{kind}:{at}"
    yield Notice(str(notice_id)[:200], message_id, kind, str(event.reject_reason or "")[:100])
