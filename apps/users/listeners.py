"""Open sockets learn at once that what their user may do has changed; they close and come back with the new rights."""

from __future__ import annotations

from apps.core import realtime
from apps.core.events import listen
from apps.core.models import Event
from apps.core.realtime import Frame

from .events import UserDeactivated, UserRoleChanged, UserSignedOut, UserTeamsChanged


@listen(UserDeactivated, UserRoleChanged, UserSignedOut, UserTeamsChanged)
def ask_to_sign_in_again(event: Event) -> None:
    reason = event.payload.get("reason") or event.type.rpartition(".")[2]
    user_id = event.payload["user"]
    realtime.publish(realtime.user_group(user_id), {"type": Frame.REAUTH, "reason": reason})
