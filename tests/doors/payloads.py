"""What each door that writes wants to hear, so that only rights decide about the answer."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.utils import timezone

Keys = Mapping[str, Any]


@dataclasses.dataclass
class Payload:
    body: bytes
    content_type: str
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


def as_json(data: Any, **headers: str) -> Payload:
    return Payload(json.dumps(data).encode(), "application/json", headers)


def as_form(**fields: Any) -> Payload:
    return Payload(encode_multipart(BOUNDARY, fields), MULTIPART_CONTENT)


def _file(keys: Keys) -> Payload:
    return as_form(file=SimpleUploadedFile("words.txt", b"some words"))


def _text() -> Payload:
    return as_form(way="in_app", language="en", subject="Hello")


def _tomorrow() -> str:
    return (timezone.now() + timedelta(days=1)).date().isoformat()


def _new_key() -> str:
    return str(uuid.uuid4())


# By route and verb; the keys are those of the asking actor's own team.
PAYLOADS: dict[tuple[str, str], Callable[[Keys], Payload]] = {
    ("me", "PATCH"): lambda keys: as_json({"name": "Somebody"}),
    ("customer-list", "POST"): lambda keys: as_json({"name": "New"}, **{"Idempotency-Key": _new_key()}),
    ("customer-detail", "PATCH"): lambda keys: as_json({"name": "Renamed"}),
    ("customer-contacts", "POST"): lambda keys: as_json({"kind": "email", "value": "new@example.com"}),
    ("customer-consents", "PUT"): lambda keys: as_json(
        {"purpose": "any", "way": "email", "is_wanted": False}
    ),
    ("customer-merge", "POST"): lambda keys: as_json({"double": keys["double"]}),
    ("conversation-messages", "POST"): lambda keys: as_json({"client_msg_id": _new_key(), "body": "Hello"}),
    ("conversation-notes", "POST"): lambda keys: as_json({"body": "Note"}, **{"Idempotency-Key": _new_key()}),
    ("conversation-tags", "PUT"): lambda keys: as_json({"tags": [keys["tag"]]}),
    ("conversation-close", "POST"): lambda keys: as_json({"disposition": keys["disposition"]}),
    ("conversation-read", "POST"): lambda keys: as_json({"seq": 1}),
    ("conversation-attachments", "POST"): _file,
    ("conversation-transfer", "POST"): lambda keys: as_json({"queue": keys["queue"]}),
    ("conversation-assign", "POST"): lambda keys: as_json({"agent": keys["user"]}),
    ("conversation-callback", "POST"): lambda keys: as_json({"outcome": "reached"}),
    ("chat-callback", "POST"): lambda keys: as_json({"way": "write"}),
    ("agent-not-ready", "POST"): lambda keys: as_json({"reason": keys["reason"]}),
    ("agent-detail", "PATCH"): lambda keys: as_json({"capacity": 300}),
    ("presence", "PUT"): lambda keys: as_json({"chosen": "available"}),
    ("chat-start", "POST"): lambda keys: as_json({"start_key": _new_key(), "body": "Hello"}),
    ("chat-messages", "POST"): lambda keys: as_json({"client_msg_id": _new_key(), "body": "Hello"}),
    ("chat-attachments", "POST"): _file,
    ("chat-read", "POST"): lambda keys: as_json({"seq": 1}),
    ("chat-rating", "POST"): lambda keys: as_json({"rating": 5}),
    ("admin:notifications_template_preview", "POST"): lambda keys: _text(),
    ("admin:notifications_template_test", "POST"): lambda keys: _text(),
    ("console:presence", "POST"): lambda keys: as_form(choice="available"),
    ("console:messages", "POST"): lambda keys: as_form(body="Hello", client_msg_id=_new_key()),
    ("console:notes", "POST"): lambda keys: as_form(body="Note"),
    ("console:read", "POST"): lambda keys: as_form(seq=1),
    ("console:upload", "POST"): _file,
    ("console:tags", "POST"): lambda keys: as_form(tags=[keys["tag"]]),
    ("console:transfer", "POST"): lambda keys: as_form(queue=keys["queue"]),
    ("conversation-snooze", "POST"): lambda keys: as_json({"until": f"{_tomorrow()}T09:00:00Z"}),
    ("conversation-follow-ups", "POST"): lambda keys: as_json(
        {"whom": "me", "date": _tomorrow(), "time": "09:00", "text": "Call back"},
        **{"Idempotency-Key": _new_key()},
    ),
    ("reminder-list", "POST"): lambda keys: as_json(
        {
            "template": "follow-up",
            "ways": ["email"],
            "customer": keys["customer"],
            "date": _tomorrow(),
            "time": "09:00",
        },
        **{"Idempotency-Key": _new_key()},
    ),
    # It follows its appointment.
    ("reminder-reschedule", "POST"): lambda keys: as_json({"date": _tomorrow(), "time": "09:00"}),
    ("appointment-list", "POST"): lambda keys: as_json(
        {
            "customer": keys["customer"],
            "team": keys["team"],
            "title": "Visit",
            "starts_at": f"{_tomorrow()}T09:00:00Z",
        },
        **{"Idempotency-Key": _new_key()},
    ),
    ("appointment-reschedule", "POST"): lambda keys: as_json({"starts_at": f"{_tomorrow()}T09:00:00Z"}),
    ("console:later", "POST"): lambda keys: as_form(
        when="other", date=_tomorrow(), time="09:00", whom="me", text="Call back"
    ),
    ("console:callback", "POST"): lambda keys: as_form(outcome="reached"),
    ("console:close", "POST"): lambda keys: as_form(disposition=keys["disposition"]),
}


def payload(route: str, verb: str, keys: Keys) -> Payload:
    """Nothing at all for what takes nothing."""
    if verb == "GET":
        return Payload(b"", "application/octet-stream")
    make = PAYLOADS.get((route, verb))
    if make is not None:
        return make(keys)
    return as_json({}) if ":" not in route and not route.startswith(("/", "account", "mfa")) else as_form()
