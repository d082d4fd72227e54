"""Live frames: the bell of the console, and what became of answers."""

from __future__ import annotations

from apps.core.events import listen
from apps.core.models import Event
from apps.core.realtime import Frame, publish, staff_group, user_group

from . import selectors
from .events import AnswerMoved, DeliveryReviewed, NoticePut


@listen(NoticePut)
def ring_bell(event: Event) -> None:
    publish(user_group(event.payload["user"]), {"type": Frame.NOTICE_PUT})


@listen(AnswerMoved, DeliveryReviewed)
def tell_desks(event: Event) -> None:
    """What became of an answer stands beside it; whoever has the conversation open sees it change."""
    if (place := selectors.place_of_answer(event.payload["delivery"])) is not None:
        conversation, seq = place
        frame = {"type": Frame.ANSWER_CHANGED, "conversation": conversation, "seq": seq}
        publish(staff_group(conversation), frame)
