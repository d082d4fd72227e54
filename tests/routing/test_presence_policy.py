"""The displayed state as a table: the three axes in, one word out."""

from __future__ import annotations

from itertools import product

import pytest

from apps.routing.choices import Chosen, State
from apps.routing.presence_policy import displayed

pytestmark = pytest.mark.embedded

OUT, READY, PAUSED = Chosen.SIGNED_OUT, Chosen.AVAILABLE, Chosen.NOT_READY


@pytest.mark.parametrize(
    ("chosen", "connected", "missed", "active", "offered", "wrapping", "state"),
    [
        (OUT, True, False, 0, 0, 0, State.SIGNED_OUT),
        (OUT, False, True, 1, 1, 1, State.SIGNED_OUT),
        (READY, False, False, 0, 0, 0, State.DISCONNECTED),
        (PAUSED, False, True, 1, 1, 1, State.DISCONNECTED),
        (READY, True, False, 0, 0, 0, State.AVAILABLE),
        (PAUSED, True, False, 0, 0, 0, State.NOT_READY),
        (READY, True, True, 0, 0, 0, State.NOT_RESPONDING),
        (PAUSED, True, True, 0, 0, 0, State.NOT_RESPONDING),
        (READY, True, False, 0, 0, 1, State.WRAP_UP),
        (PAUSED, True, True, 0, 0, 1, State.WRAP_UP),
        (READY, True, False, 0, 1, 1, State.OFFERED),
        (READY, True, True, 0, 1, 0, State.OFFERED),
        (READY, True, False, 1, 1, 1, State.ON_CONTACT),
        (PAUSED, True, True, 2, 0, 0, State.ON_CONTACT),
    ],
)
def test_displayed_state(chosen, connected, missed, active, offered, wrapping, state):
    shown = displayed(
        chosen=chosen,
        is_connected=connected,
        is_not_responding=missed,
        active=active,
        offered=offered,
        wrapping_up=wrapping,
    )
    assert shown == state


def test_every_combination_is_some_state_and_only_the_ready_are_available():
    for chosen, connected, missed, active, offered, wrapping in product(
        Chosen, (True, False), (True, False), (0, 1), (0, 1), (0, 1)
    ):
        state = displayed(
            chosen=chosen,
            is_connected=connected,
            is_not_responding=missed,
            active=active,
            offered=offered,
            wrapping_up=wrapping,
        )
        is_free = (chosen, connected, missed, active, offered, wrapping) == (READY, True, False, 0, 0, 0)
        assert (state == State.AVAILABLE) == is_free
