"""PromQL over metrics that exist: a name that the vocabulary does not know cannot get into a dashboard.

Every selector says whose metric it wants: the chosen job and the chosen instance (one Watchtower, one server).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from watchtower.vocabulary.metrics import HISTOGRAMS, METRICS, reading_metric, relay_metric
from watchtower.vocabulary.readings import READINGS
from watchtower.vocabulary.words import CAUSED, RELAY_COUNTERS

SCRAPED = frozenset({"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS"})
"""Made by Prometheus itself about each target."""
KNOWN = (
    frozenset(METRICS)
    | {reading_metric(name) for name in READINGS}
    | {f"{relay_metric(name)}_total" for name in RELAY_COUNTERS if not name.startswith(CAUSED)}
    | {f"{family}_{part}" for family in HISTOGRAMS for part in ("bucket", "sum", "count")}
    | SCRAPED
)
"""Every name that a query may contain."""

JOB = 'job=~"$job"'
HERE = JOB + ', instance="$instance"'
MODEL = 'model=~"$model"'
"""For the histograms, which alone know models."""


class Query(NamedTuple):
    """One line, tile or column: an expression, its legend, and how it looks where that has a meaning."""

    expr: str
    legend: str = ""
    colour: str = ""
    dashed: bool = False
    exemplar: bool = False


def metric(name: str, labels: str = "", *, where: str = HERE) -> str:
    """A selector, e.g. ``up{job=~"$job", instance="$instance"}``. Raises KeyError for a name that nobody exports."""
    if name not in KNOWN:
        raise KeyError(f"no such metric: {name}")
    return f"{name}{{{where}{', ' + labels if labels else ''}}}"


def reading(name: str, *, where: str = HERE) -> str:
    """The gauge of a reading, named as rules name it."""
    return metric(reading_metric(name), where=where)


def rate(name: str, labels: str = "") -> str:
    return f"rate({metric(name, labels)}[$__rate_interval])"


def ratio(part: str, whole: str) -> str:
    """No series, rather than NaN, while there is nothing to divide by."""
    return f"{part} / ({whole} > 0)"


def limit(rule: str) -> Query:
    """The limit that the running daemon uses, as a dashed red line."""
    return Query(metric("watchtower_rule_limit", f'rule="{rule}"'), "limit", "red", dashed=True)


def position(name: str, label: str, values: Iterable[str], *, where: str = HERE, by: str = "") -> str:
    """Where in ``values`` the one series of ``name`` with value 1 stands; nothing at all without the metric."""
    each = [metric(name, f'{label}="{value}"', where=where) for value in values]
    terms = " or ".join(f"{term} * {place}" for place, term in enumerate(each))
    return f"sum {f'by ({by}) ' if by else ''}({terms})"


def verdicts() -> str:
    """One series a rule: 0 ok, 1 unknown, 2 breach; 4 more while it fires."""
    places = position("watchtower_rule_verdict", "verdict", ("ok", "unknown", "breach"), by="rule")
    return f"{places} + on (rule) sum by (rule) ({metric('watchtower_rule_firing')}) * 4"
