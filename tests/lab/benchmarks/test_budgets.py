"""A budget is met, missed, or not comparable; never met for want of a measurement."""

from __future__ import annotations

import pytest

from watchtower.lab.benchmarks.budgets import Budget, median_of, ratio
from watchtower.lab.benchmarks.presentation import exit_code
from watchtower.vocabulary.errors import ExitCode


def budget(measured: float | None) -> Budget:
    return Budget(what="x", limit=1.25, measured=measured, unit="×")


@pytest.mark.parametrize(("measured", "met"), [(1.25, True), (1.2501, False), (None, None)])
def test_the_limit_itself_is_within_the_budget(measured: float | None, met: bool | None) -> None:
    assert budget(measured).met is met


def test_only_a_miss_fails_the_command() -> None:
    assert exit_code([budget(1.0), budget(None)]) == ExitCode.OK
    assert exit_code([budget(1.0), budget(1.3)]) == ExitCode.PROBLEM_FOUND


def test_the_comparison_is_with_the_better_peer() -> None:
    assert ratio(30.0, [20.0, 15.0]) == 2.0


@pytest.mark.parametrize("theirs", [[], [0.0], [-3.0, 10.0]])
def test_noise_below_zero_is_no_yardstick(theirs: list[float]) -> None:
    assert ratio(30.0, theirs) is None


def test_rounds_without_a_ratio_do_not_count() -> None:
    assert median_of([None, 1.0, 3.0, 2.0]) == 2.0
    assert median_of([None]) is None


def test_a_floor_is_met_from_above() -> None:
    floor = Budget(what="throughput", limit=0.9, measured=0.95, unit="×", at_least=True)
    assert floor.met
    assert not Budget(what="throughput", limit=0.9, measured=0.85, unit="×", at_least=True).met
