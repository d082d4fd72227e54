"""Creating calls that are safe to repeat: the answer is stored with the effect and given again to the same key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from ..errors import Conflict, Invalid
from ..models import IdempotencyKey
from .callers import caller_of

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
# PostgreSQL: the other transaction with this key took longer than lock_timeout.
_LOCK_NOT_AVAILABLE = "55P03"
_DELETED_AT_ONCE = 5_000

Action = Callable[..., Response]


class KeyRequired(Invalid):
    code = "idempotency_key_required"
    detail = _("Send an Idempotency-Key header, for example a new UUID, and the same one when you try again.")


class BadKey(Invalid):
    code = "idempotency_key_invalid"
    detail = _("The Idempotency-Key must be 1 to 200 printable ASCII characters without spaces.")


class KeyReused(Invalid):
    status = 422
    code = "idempotency_key_reused"
    detail = _("This Idempotency-Key was used for another request.")


class InProgress(Conflict):
    code = "in_progress"
    detail = _("The same request is being worked on.")
    retry_after = 1


def idempotent(action: Action) -> Action:
    """Decorate a creating view method: it then needs the header, and runs once per caller and key for 24 hours.

    The method runs inside the transaction that also stores its answer, so both exist or neither; errors leave nothing.
    Not for answers that hold a secret: they would be kept for a day.
    """

    @wraps(action)
    def once(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        identity = {"caller": caller_of(request), "key": _key(request)}
        body_hash = _body_hash(request)
        with transaction.atomic():
            row = _claim(**identity, body_hash=body_hash, now=timezone.now())
            if row is None:
                return _replay(IdempotencyKey.objects.get(**identity), body_hash)
            response = action(self, request, *args, **kwargs)
            _store(row, response)
            return response

    once.is_idempotent = True  # type: ignore[attr-defined]
    return once


def delete_old_keys(now: datetime) -> int:
    """Forget keys past their 24 hours; in portions, so that no statement runs long. May run twice."""
    deleted = 0
    old = (
        IdempotencyKey.objects.filter(created_at__lt=now - KEPT)
        .order_by("created_at")
        .values_list("pk", flat=True)
    )
    while pks := list(old[:_DELETED_AT_ONCE]):
        deleted += IdempotencyKey.objects.filter(pk__in=pks).delete()[0]
    return deleted


def _key(request: Request) -> str:
    key = request.headers.get(HEADER)
    if key is None:
        raise KeyRequired
    if not _KEY.fullmatch(key):
        raise BadKey
    return key


def _body_hash(request: Request) -> str:
    """Of what was asked where, not of its spelling: other white space is the same request."""
    data: Any = request.data
    values = {name: data[name] for name in data if name not in request.FILES}
    digest = hashlib.sha256(json.dumps([request.method, request.path, values], sort_keys=True).encode())
    for name, file in sorted(request.FILES.items()):
        digest.update(f"\0{name}\0{file.name}\0".encode())
        for chunk in file.chunks():
            digest.update(chunk)
        file.seek(0)
    return digest.hexdigest()


def _claim(*, caller: str, key: str, body_hash: str, now: datetime) -> IdempotencyKey | None:
    """The new row, or None if the key is taken. A twin that is still running is waited for by the unique index."""
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(caller=caller, key=key, body_hash=body_hash, created_at=now)
    except IntegrityError:
        return None
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise InProgress from error
        raise


def _replay(row: IdempotencyKey, body_hash: str) -> Response:
    if row.body_hash != body_hash:
        raise KeyReused
    return Response(row.answer, status=row.status, headers={"Idempotent-Replayed": "true"})


def _store(row: IdempotencyKey, response: Response) -> None:
    if not 200 <= response.status_code < 300:
        # An error that was returned instead of raised: nothing of it stays.
        transaction.set_rollback(True)
        return
    # As it was rendered: dates and identifiers are text by then.
    row.answer = json.loads(JSONRenderer().render(response.data) or b"null")
    row.status = response.status_code
    row.save(update_fields=["answer", "status"])
