"""The renderer must not flatter: it writes values, states and missing values as Grafana would."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboards.limits import read_limits
from dashboards.palette import BAD, GOOD, UNKNOWN, judged
from tests.dashboards import renderer
from tests.dashboards.asking import View
from tests.dashboards.looks import COLOURS, ink, number, show
from tests.dashboards.prometheus import Prometheus

LATENCY = {
    "unit": "s",
    "noValue": "UNKNOWN",
    "thresholds": {
        "steps": [
            {"value": step.value, "color": step.color}
            for step in judged(read_limits()["inter_token_latency_seconds.p95"]).build().steps
        ]
    },
}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0304, "s", "30.4 ms"),
        (95.0, "s", "1.58 mins"),
        (0.15, "percentunit", "15.0%"),
        (1.98e9, "hertz", "1.98 GHz"),
        (268.0, "suffix: tok/s", "268 tok/s"),
        (0.0, "none", "0"),
    ],
)
def test_a_value_is_written_in_its_unit(value: float, unit: str, text: str) -> None:
    assert number(value, {"unit": unit}) == text


@pytest.mark.parametrize(("value", "shade"), [(0.129, GOOD), (0.13, BAD), (0.0, GOOD)])
def test_a_tile_has_the_colour_of_the_step_it_stands_on(value: float, shade: str) -> None:
    assert show(value, LATENCY).colour == COLOURS[shade]


def test_no_value_is_unknown_and_grey() -> None:
    assert show(None, LATENCY) == ("UNKNOWN", UNKNOWN)


def test_words_can_be_read_on_every_colour_of_the_theme() -> None:
    assert {ink(shade) for shade in COLOURS.values()} == {"#111217", "#ffffff"}


def test_variables_are_filled_in_as_grafana_does() -> None:
    view = View(1000, 4600, "server:9470")
    filled = view.fill('rate(x{job=~"$job", instance="$instance"}[$__rate_interval]) + increase(y[$__range])')
    assert filled == 'rate(x{job=~".+", instance="server:9470"}[7s]) + increase(y[3600s])'


class OneSeries(Prometheus):
    """Answers every question with the same two points."""

    def over(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        return [{"metric": {"le": "0.1"}, "values": [[start, "0.5"], [start + step, "0.7"]]}]

    def instant(self, expression: str, at: float) -> list[dict[str, Any]]:
        return [{"metric": {"le": "0.1"}, "value": [at, "0.5"]}]


@pytest.mark.parametrize("name", sorted(path.stem for path in renderer.DASHBOARDS.glob("*.json")))
def test_every_panel_of_every_dashboard_can_be_drawn(name: str) -> None:
    dashboard = json.loads((renderer.DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    html, height = renderer.page(dashboard, OneSeries("http://nowhere"), View(0, 150, "server:9470"))
    assert html.count('class="panel"') == sum(panel["type"] != "row" for panel in dashboard["panels"])
    assert height > 1000
