"""What Grafana does between a dashboard's JSON and Prometheus: variables filled in, each target asked, legends made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.dashboards.prometheus import SCRAPE_SECONDS, Prometheus

Json = dict[str, Any]


@dataclass(frozen=True)
class View:
    """The time range and the server that a reader has chosen."""

    start: float
    end: float
    instance: str
    job: str = ".+"

    @property
    def step(self) -> float:
        return max(float(SCRAPE_SECONDS), (self.end - self.start) / 600)

    def fill(self, expression: str) -> str:
        """As Grafana does: ``$__rate_interval`` is at least four scrapes."""
        rate = max(self.step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)
        values = {"__rate_interval": f"{rate:.0f}s", "__range": f"{self.end - self.start:.0f}s"}
        values |= {"job": self.job, "instance": self.instance, "model": ".*"}
        return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)


@dataclass(frozen=True)
class Series:
    """One answer of one target: its legend, and its points (Unix time, value)."""

    query: str
    """The target's refId."""
    legend: str
    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def last(self) -> float | None:
        return self.points[-1][1] if self.points else None


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel that asks something."""
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            yield panel


def ask(server: Prometheus, target: Json, view: View) -> list[Series]:
    """Raises QueryRefused."""
    expression = view.fill(target["expr"])
    if target.get("instant"):
        found = server.instant(expression, view.end)
    else:
        found = server.over(expression, view.start, view.end, view.step)
    answers = []
    for result in found:
        points = result.get("values") or [result["value"]]
        numbers = [(float(at), float(value)) for at, value in points if value != "NaN"]
        answers.append(Series(target["refId"], _legend(target, result["metric"]), result["metric"], numbers))
    return answers


def _legend(target: Json, labels: dict[str, str]) -> str:
    text = target.get("legendFormat", "__auto")
    if text == "__auto":
        return ", ".join(f"{key}={value}" for key, value in labels.items() if key != "__name__") or target["expr"]
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), text)
