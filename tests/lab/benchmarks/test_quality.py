"""The benches of meaning say why they did not measure; they never pass for want of a measurement."""

from __future__ import annotations

import json

import pytest

from watchtower.lab.benchmarks import quality
from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.detection import Goals
from watchtower.lab.benchmarks.host import this_machine


def test_drift_without_recordings_is_unknown_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(quality.DATA, raising=False)
    (budget,) = quality.drift(None).budgets
    assert budget.met is None and quality.DATA in budget.because


@pytest.mark.parametrize(("measured", "code"), [(1.0, 0), (3.0, 1), (None, 0)])
def test_a_missed_goal_fails_the_command_and_notes_are_shown(
    measured: float | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    goals = Goals([Budget(what="delay", limit=2, measured=measured, unit="prompts")], ["a note"])
    assert quality.tell(this_machine({}), [goals, goals], as_json=True) == code
    told = json.loads(capsys.readouterr().out)
    assert len(told["goals"]) == 2 and told["notes"] == ["a note"] * 2
    assert quality.tell(this_machine({}), [goals], as_json=False) == code
    assert "beside: a note" in capsys.readouterr().out
