"""The simulated healthy days: no alarm in them, and an alarm as soon as something is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from watchtower.lab.benchmarks import false_alarms
from watchtower.lab.benchmarks.false_alarms import HealthyGroup, simulate
from watchtower.vocabulary.facts import GpuReport

HOURS = 3600


def test_healthy_hours_are_judged_and_give_no_alarm() -> None:
    tally = simulate(6 * HOURS, seed=1)
    assert tally.evaluations == 6 * HOURS // 15
    assert tally.clean and not tally.verdicts["gpu_imbalance"]["breach"]
    assert tally.verdicts["gpu_imbalance"]["ok"] > 50, "a bench that judges nothing proves nothing"
    assert tally.largest["gpu_utilization.spread"] < 0.10


def test_the_same_seed_gives_the_same_hours() -> None:
    assert simulate(HOURS, seed=4) == simulate(HOURS, seed=4)


def test_a_rank_that_works_less_is_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sick(HealthyGroup):
        def report(self, at: float, loads: Sequence[float]) -> GpuReport:
            self._share[2] = 0.5
            return super().report(at, loads)

    monkeypatch.setattr(false_alarms, "HealthyGroup", Sick)
    tally = simulate(6 * HOURS, seed=1)
    assert tally.alarms["gpu_imbalance"] > 0 and tally.alarms["gpu_straggler"] > 0
