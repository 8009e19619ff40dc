"""``watchtower bench``: what is shown, and which exit code a missed budget has."""

from __future__ import annotations

import json
from functools import cache

import pytest
from typer.testing import CliRunner

from watchtower.cli import app
from watchtower.lab.benchmarks import daemon
from watchtower.programs import bench

SMALL = ["bench", "relay", "--streams", "2", "--rate", "20", "--seconds", "0.5", "--rounds", "1"]


@pytest.fixture
def small_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FILL_SECONDS", 1), ("MEASURED_SECONDS", 1), ("MANY_WINDOWS", 50), ("MANY_TIMES", 1)):
        monkeypatch.setattr(daemon, name, value)


def test_a_relay_run_is_a_table_for_people_and_every_leg_for_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_compare", cache(bench._compare))  # measured once, shown in both ways
    shown = CliRunner().invoke(app, SMALL)
    assert shown.exit_code in (0, 1) and "Budgets" in shown.output and "direct" in shown.output
    told = CliRunner().invoke(app, [*SMALL, "--json"])
    found = json.loads(told.stdout[told.stdout.index("{") :])
    assert {"plan", "machine", "medians", "legs", "missing", "budgets"} == found.keys()
    assert told.exit_code == int(any(budget["met"] is False for budget in found["budgets"]))


@pytest.mark.usefixtures("small_daemon")
def test_a_tick_is_shown_with_its_budgets() -> None:
    shown = CliRunner().invoke(app, ["bench", "tick"])
    assert shown.exit_code in (0, 1) and "one evaluation of the shipped rules" in shown.output
