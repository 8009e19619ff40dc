"""The rule file in the words of Prometheus: alerting rules, a latency objective and its burn rates, as plain data.

The alerts of the rule file ask Watchtower's own verdict and carry its value: windows, confidence bands and UNKNOWN
are judged once, in the daemon; Prometheus adds its ``for``. Only the latency objective is counted by Prometheus itself,
from buckets: the limit of the rule is a bucket bound, so the share of slow tokens is exact. Objective and budget are
those of the rule: ``p95 > 130ms`` promises 95 % of all tokens within 130 ms.
"""

from __future__ import annotations

import re
from typing import Any

from watchtower.rules.expressions import Comparison, leaves
from watchtower.rules.ruleset import Rule, Ruleset
from watchtower.rules.watching import WATCHING, Alert
from watchtower.vocabulary.actions import Cure
from watchtower.vocabulary.quantities import human, seconds
from watchtower.vocabulary.readings import Severity, Unit

Data = dict[str, Any]

RUNBOOK = "https://github.com/watchtower-sidecar/watchtower/blob/main/docs/runbook.md"
KEEP_FIRING = "2m"
"""A restart of the daemon, or one lost scrape, resolves nothing."""
SEVERITIES = {Severity.PAGE: "critical", Severity.WARN: "warning", Severity.INFO: "info"}
_QUANTILE = re.compile(r"inter_token_latency_seconds\.p(\d\d)")
_TOKENS = "watchtower_inter_token_latency_seconds"
_DROPPED = "instance, pod, container, endpoint"
"""What tells the replicas of one service apart; every other label stays."""
BURN_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
BURNS: tuple[tuple[Severity, tuple[tuple[float, str, str], ...]], ...] = (
    (Severity.PAGE, ((14.4, "1h", "5m"), (6, "6h", "30m"))),
    (Severity.WARN, ((3, "1d", "2h"), (1, "3d", "6h"))),
)
"""(factor, long, short): 2 % and 5 % of a 30 days' budget wake people, 10 % is a ticket.
Source: Google, The Site Reliability Workbook, chapter 5, table 5-8."""
LEAST_TOKENS_PER_SECOND = 1
"""Below it a ratio says nothing about a service."""


def groups(rules: Ruleset) -> list[Data]:
    """Every group of recording and alerting rules."""
    found = [{"name": "watchtower-rules", "rules": [_prometheus(alert) for alert in alerts(rules)]}]
    objective = latency_objective(rules)
    if objective is not None:
        found += _latency(*objective)
    return [*found, {"name": "watchtower-itself", "rules": [_prometheus(alert) for alert in WATCHING]}]


def alerts(rules: Ruleset) -> list[Alert]:
    """One alert for each rule of the file that tells people something."""
    return [_alert(rule) for rule in rules.rules if rule.cure is not Cure.CANARY_NOW]


def latency_objective(rules: Ruleset) -> tuple[float, float] | None:
    """(limit in seconds, share of tokens promised within it) of the first rule on a quantile of the token latency."""
    for rule in rules.rules:
        for leaf in leaves(rule.when):
            found = _QUANTILE.fullmatch(leaf.reading) if isinstance(leaf, Comparison) else None
            if isinstance(leaf, Comparison) and found and leaf.operator.upward and not leaf.signal.labelled:
                return leaf.limit.value, int(found[1]) / 100
    return None


def prometheus(rules: Ruleset) -> Data:
    """A rule file for ``rule_files:``."""
    return {"groups": groups(rules)}


def prometheusrule(rules: Ruleset) -> Data:
    """The same for the Prometheus operator."""
    return _manifest("PrometheusRule", {"groups": groups(rules)})


def podmonitor() -> Data:
    """Finds the sidecar in every pod of the namespace that carries its label, at the port named ``watchtower``."""
    endpoint = {"port": "watchtower", "path": "/metrics", "interval": "15s", "scrapeTimeout": "10s"}
    return _manifest(
        "PodMonitor",
        {
            "selector": {"matchLabels": {"watchtower-sidecar": "true"}},
            "podMetricsEndpoints": [endpoint],
            "sampleLimit": 1000,
            "labelLimit": 32,
        },
    )


def _manifest(kind: str, spec: Data) -> Data:
    labels = {"app.kubernetes.io/name": "watchtower", "app.kubernetes.io/component": "monitoring"}
    metadata = {"name": "watchtower", "labels": labels}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": kind, "metadata": metadata, "spec": spec}


def camel(name: str) -> str:
    return "Watchtower" + "".join(word.capitalize() for word in name.split("_"))


def _alert(rule: Rule) -> Alert:
    expr = f'watchtower_rule_verdict{{rule="{rule.name}",verdict="breach"}} == 1'
    if isinstance(rule.when, Comparison):
        written = rule.when
        value = f'watchtower_rule_value{{rule="{rule.name}"}} {written.operator} {written.limit.value:g}'
        expr = f"{value} and ignoring (verdict) {expr}"
        text = _sentence(rule, written)
    else:
        text = f"{rule.name} holds ({', '.join(str(leaf) for leaf in leaves(rule.when))})"
    return Alert(
        name=camel(rule.name),
        expr=expr,
        hold_for=rule.hold_for,
        severity=rule.severity,
        summary=f"Watchtower's rule {rule.name} is in breach.",
        description=f"{text[0].upper()}{text[1:]} on {{{{ $labels.instance }}}}.",
        action="`watchtower explain` tells what was seen, decided and done, `watchtower status --readings` the rest.",
    )


def _sentence(rule: Rule, written: Comparison) -> str:
    """The rule's summary with Prometheus' own value in it."""
    humanize = {Unit.SECONDS: "humanizeDuration", Unit.RATIO: "humanizePercentage"}.get(written.unit, "humanize")
    shown = {
        "name": rule.name,
        "value": f"{{{{ $value | {humanize} }}}}",
        "limit": human(written.limit.value, written.unit, written.limit.suffix),
        "over": seconds(rule.over),
        "because": "`watchtower explain` says how",
    }
    return (rule.summary or "{name}: {value}, limit {limit}").format_map(shown)


def _prometheus(alert: Alert) -> Data:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **({"for": f"{alert.hold_for:g}s"} if alert.hold_for else {}),
        "keep_firing_for": KEEP_FIRING,
        "labels": {"severity": SEVERITIES[alert.severity]},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{RUNBOOK}#{alert.name.lower()}",
        },
    }


# ── the latency objective ───────────────────────────────────────────────────────────────────────


def _latency(limit: float, objective: float) -> list[Data]:
    recording: list[Data] = [{"record": _ratio(window), "expr": _slow_share(limit, window)} for window in BURN_WINDOWS]
    longest = sorted({long for _, pairs in BURNS for _, long, _ in pairs}, key=BURN_WINDOWS.index)
    recording += [
        {"record": _rate(w), "expr": f"sum without ({_DROPPED}) (rate({_TOKENS}_count[{w}]))"} for w in longest
    ]
    for name in (_TOKENS, "watchtower_time_to_first_token_seconds"):
        buckets = f"sum without ({_DROPPED}) (rate({name}_bucket[5m]))"
        recording.append({"record": f"job_model:{name}:p95_rate5m", "expr": f"histogram_quantile(0.95, {buckets})"})
    return [
        {"name": "watchtower-latency", "rules": recording},
        {"name": "watchtower-latency-objective", "rules": [_prometheus(a) for a in burn_alerts(limit, objective)]},
    ]


def burn_alerts(limit: float, objective: float) -> list[Alert]:
    """Both windows must be over the factor: the long one for significance, the short one so that it ends soon."""
    budget = round(1 - objective, 10)
    found = []
    for severity, pairs in BURNS:
        terms = [
            f"({_ratio(long)} > {factor * budget:.4g} and {_ratio(short)} > {factor * budget:.4g}"
            f" and {_rate(long)} > {LEAST_TOKENS_PER_SECOND})"
            for factor, long, short in pairs
        ]
        found.append(
            Alert(
                name="WatchtowerLatencyBudgetBurn" + ("Fast" if severity is Severity.PAGE else "Slow"),
                expr=" or ".join(terms),
                hold_for=120.0 if severity is Severity.PAGE else 3600.0,
                severity=severity,
                summary="Slow tokens eat the error budget of the latency objective.",
                description=f"{{{{ $value | humanizePercentage }}}} of the tokens of {{{{ $labels.model }}}} took "
                f"longer than {human(limit, Unit.SECONDS)}; {budget * 100:g} % may, over 30 days.",
                action="Look at the latency dashboard by model, then at `watchtower incidents`: what was cured, held "
                "or explained by load in this time.",
            )
        )
    return found


def _ratio(window: str) -> str:
    return f"job_model:{_TOKENS.removesuffix('_seconds')}_slow:ratio_rate{window}"


def _rate(window: str) -> str:
    return f"job_model:{_TOKENS}_count:rate{window}"


def _slow_share(limit: float, window: str) -> str:
    good = f'sum without ({_DROPPED}, le) (rate({_TOKENS}_bucket{{le="{limit!r}"}}[{window}]))'
    return f"1 - {good} / ({_tokens(window)} > 0)"


def _tokens(window: str) -> str:
    return f"sum without ({_DROPPED}) (rate({_TOKENS}_count[{window}]))"
