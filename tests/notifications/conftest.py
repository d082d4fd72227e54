from __future__ import annotations

import pytest

from apps.notifications import gateways
from tests.notifications.gate import Gate, Time, make_gateway


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gateway for e-mail that is set up, and does what the test says."""
    made = Gate()
    monkeypatch.setitem(gateways.KINDS, "gate", made)
    make_gateway()
    return made
