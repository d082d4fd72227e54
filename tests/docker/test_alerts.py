"""The shipped alert rules: they ask for metrics that exist, and ring when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from apps.reports import prometheus

pytestmark = pytest.mark.embedded

RULES = Path(__file__).resolve().parents[2] / "docker" / "prometheus" / "rules.yml"
PROMTOOL = shutil.which("promtool")

CASES = """
rule_files: [{rules}]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - series: eml_routing_violations{{code="I05"}}
        values: "0 0 1x20"
      - series: eml_routing_audit_age_seconds
        values: "0+0x4 320+15x40"
      - series: eml_handlings_dead
        values: "0x40"
      - series: eml_broker_messages{{queue="eml.bulk"}}
        values: "100x40"
      - series: eml_broker_messages{{queue="eml.dead"}}
        values: "0x10 2x30"
    alert_rule_test:
      - {{eval_time: 30s, alertname: RoutingNotInOrder, exp_alerts: []}}
      - eval_time: 3m
        alertname: RoutingNotInOrder
        exp_alerts:
          - exp_labels: {{severity: critical, code: I05}}
            exp_annotations:
              summary: Routing breaks promise I05 1 times
              description: "`manage.py check_routing` names each row; docs/promises.md says what the number means."
      - eval_time: 8m
        alertname: RoutingNotAudited
        exp_alerts:
          - exp_labels: {{severity: warning}}
            exp_annotations:
              summary: Nobody looks after routing
              description: "No audit for five minutes: is the scheduler running, are there bulk workers, a cache?"
      - {{eval_time: 8m, alertname: FollowUpsDead, exp_alerts: []}}
      - {{eval_time: 2m, alertname: DeadLetters, exp_alerts: []}}
      - eval_time: 8m
        alertname: DeadLetters
        exp_alerts:
          - exp_labels: {{severity: warning}}
            exp_annotations:
              summary: RabbitMQ parked 2 messages
              description: "No tasks of ours, or tasks that fell workers. docs/operations.md says how to look at them."
"""


def test_rules_ask_for_metrics_that_exist() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"eml_\w+", rule["expr"])}
    assert len(asked) >= 5
    assert asked <= prometheus._families().keys()


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_alerts_ring_when_they_should(tmp_path: Path) -> None:
    file = tmp_path / "cases.yml"
    file.write_text(CASES.format(rules=RULES))
    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
