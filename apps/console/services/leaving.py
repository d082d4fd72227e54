"""The end of a shift: nothing may stay behind in the hands of somebody who went home."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.routing.choices import Chosen, ItemState
from apps.routing.models import Item
from apps.routing.services import agents, work
from apps.users.models import User


def leave(user: User, *, now: datetime) -> None:
    """Sign an agent out of the line: what rings is withdrawn, open conversations wait again at their old place."""
    with transaction.atomic():
        # First, so that nothing is offered to him while his work goes back.
        agents.choose(user, chosen=Chosen.SIGNED_OUT, now=now, by=user)
        held = Item.objects.held().filter(agent__user=user).select_related("queue").order_by("id")
        for item in held:
            if item.state == ItemState.WRAP_UP:
                work.end_wrap_up(item.conversation_id, by=user, now=now, user=user)
            else:
                work.transfer_to_queue(item.conversation_id, to=item.queue, by=user, now=now)
