"""Whatever sends reminders is killed, round after round (F05, F08): nothing twice where keys are known, nothing lost.

A few rounds of `python -m tests.faults.sending_rounds`; docs/reliability.md keeps the figures of two hundred.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

from tests.faults.processes import OURS, ROOT, needs_servers

ROUNDS = 10
SEED = int(os.environ.get("EML_TEST_SEED", 0)) or random.SystemRandom().randrange(1, 10**6)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.services
@needs_servers
@pytest.mark.timeout(600)
def test_f05_f08_reminders_survive_kills_of_all_that_sends_them() -> None:
    print(f"EML_TEST_SEED={SEED}")
    # It starts, and kills, servers of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "tests.faults.sending_rounds", f"--rounds={ROUNDS}", f"--seed={SEED}"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=570, check=False
    )
    assert done.stdout.strip(), done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["faults"] == [], figures
    assert figures["kills"] == ROUNDS
    assert figures["due"] == {"sms": 10 * ROUNDS, "email": 10 * ROUNDS}
    assert figures["sms_calls"] >= figures["due"]["sms"]
    # Held is what was under way when somebody died, not all.
    assert figures["mails_held_for_review"] < figures["due"]["email"]
