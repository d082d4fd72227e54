"""The displayed state of an agent, from the three axes of presence. Pure."""

from __future__ import annotations

from .choices import Chosen, State


def displayed(
    *, chosen: str, is_connected: bool, is_not_responding: bool, active: int, offered: int, wrapping_up: int
) -> State:
    """What he does counts before what he chose: an agent who goes on break during a contact is on contact."""
    if chosen == Chosen.SIGNED_OUT:
        return State.SIGNED_OUT
    if not is_connected:
        return State.DISCONNECTED
    if active:
        return State.ON_CONTACT
    if offered:
        return State.OFFERED
    if wrapping_up:
        return State.WRAP_UP
    if is_not_responding:
        return State.NOT_RESPONDING
    return State.NOT_READY if chosen == Chosen.NOT_READY else State.AVAILABLE
