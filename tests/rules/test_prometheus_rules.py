"""Our rules in the words of Prometheus: what is shipped is what is generated, and Prometheus' own tool believes it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from watchtower.programs.export import Format, render
from watchtower.rules.prometheus_rules import alerts, camel, latency_objective, podmonitor, prometheus, prometheusrule
from watchtower.rules.rule_files import read_rules, shipped_rules
from watchtower.vocabulary.metrics import METRICS

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "rules" / "prometheus"
PROMTOOL = shutil.which("promtool")
RULES = """
version: 1
rules:
  - name: slow
    when: inter_token_latency_seconds.p90 > 200ms
    for: 30s
    severity: page
    summary: "{value} over {limit}"
  - {name: lopsided, when: gpu_utilization.spread > 15pp, severity: warn, summary: "{value}, limit {limit}"}
  - {name: both, when: engine_waiting > 3 and not token_progress.rate > 1, severity: info}
  - {name: hint, when: token_progress.stalled > 1s, then: canary_now}
"""


def rule(name: str) -> dict[str, Any]:
    (group,) = [group for group in prometheus(read_rules(RULES, "x"))["groups"] if group["name"] == "watchtower-rules"]
    found: dict[str, Any] = next(rule for rule in group["rules"] if rule["alert"] == name)
    return found


def test_a_rule_asks_our_own_verdict_and_carries_value_and_limit() -> None:
    slow = rule("WatchtowerSlow")
    assert slow["expr"] == (
        'watchtower_rule_value{rule="slow"} > 0.2 and ignoring (verdict) '
        'watchtower_rule_verdict{rule="slow",verdict="breach"} == 1'
    )
    assert (slow["for"], slow["labels"]) == ("30s", {"severity": "critical"})
    assert slow["annotations"]["description"].startswith("{{ $value | humanizeDuration }} over 200 ms")
    assert "{{ $value | humanizePercentage }}, limit 15 pp" in rule("WatchtowerLopsided")["annotations"]["description"]


def test_a_rule_of_several_readings_has_no_single_value() -> None:
    assert rule("WatchtowerBoth")["expr"] == 'watchtower_rule_verdict{rule="both",verdict="breach"} == 1'


def test_a_directive_is_no_alert() -> None:
    assert camel("hint") not in {alert.name for alert in alerts(read_rules(RULES, "x"))}


def test_the_objective_is_the_promise_of_the_latency_rule() -> None:
    assert latency_objective(read_rules(RULES, "x")) == (0.2, 0.9)
    text = str(prometheus(read_rules(RULES, "x")))
    assert 'le="0.2"' in text and "ratio_rate1h > 1.44" in text


def test_a_promise_to_one_tag_is_no_objective_because_buckets_are_of_all_traffic() -> None:
    text = "version: 1\nrules:\n  - {name: slow, when: inter_token_latency_seconds.p95 > 130ms, tag: live}\n"
    assert latency_objective(read_rules(text, "x")) is None


def test_without_a_latency_rule_there_is_no_objective() -> None:
    rules = read_rules("version: 1\nrules: [{name: a, when: engine.absent > 5s}]\n", "x")
    assert [group["name"] for group in prometheus(rules)["groups"]] == ["watchtower-rules", "watchtower-itself"]


def test_the_operators_manifests_say_the_same() -> None:
    rules = read_rules(RULES, "x")
    manifest = prometheusrule(rules)
    assert (manifest["kind"], manifest["spec"]) == ("PrometheusRule", prometheus(rules))
    assert podmonitor()["spec"]["podMetricsEndpoints"][0]["path"] == "/metrics"


@pytest.mark.parametrize("form", Format)
def test_what_is_shipped_is_what_is_generated(form: Format) -> None:
    names = {
        Format.PROMETHEUS: "watchtower.yaml",
        Format.PROMETHEUSRULE: "operator/prometheusrule.yaml",
        Format.PODMONITOR: "operator/podmonitor.yaml",
    }
    text = (SHIPPED / names[form]).read_text(encoding="utf-8")
    assert text == render([shipped_rules() / "triad.yaml"], form)
    assert yaml.safe_load(text)


def test_every_metric_that_the_rules_name_is_exported() -> None:
    text = (SHIPPED / "watchtower.yaml").read_text(encoding="utf-8")
    expressions = [rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    used = {
        word.removesuffix("_bucket").removesuffix("_count")
        for expr in expressions
        for word in re.findall(r"(?<![:\w])watchtower_\w+", expr)
    }
    assert len(used) > 10
    assert used <= set(METRICS)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("arguments", [("check", "rules", "--lint=all", "--lint-fatal"), ("test", "rules")])
def test_prometheus_own_tool_agrees(arguments: tuple[str, ...]) -> None:
    assert PROMTOOL
    file = SHIPPED / ("watchtower.yaml" if arguments[0] == "check" else "tests/watchtower.test.yaml")
    done = subprocess.run([PROMTOOL, *arguments, str(file)], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
