"""The bench measures what it says, and says what it measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from watchtower.lab.benchmarks import gpu
from watchtower.lab.benchmarks.budgets import Budget
from watchtower.vocabulary.errors import NotReachable


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is needed to build the stand-in for NVML")
def test_it_reports_the_share_of_a_core_with_machine_and_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(gpu, "WARM_UP_SECONDS", 0.0)
    cost = gpu.measure(seconds=2.0)
    assert cost.gpus >= 1
    assert cost.gpus == gpu.STUB_GPUS or cost.nvml == gpu.DRIVER
    assert 1 <= cost.reports <= 4
    assert 0 <= cost.core_share < 0.2, "a busy machine may cost a little; a spinning thread costs a core"
    assert [type(budget) for budget in cost.budgets] == [Budget] and cost.budgets[0].unit == "% of a core"
    assert cost.machine.versions["python"]


def test_without_a_driver_and_without_a_compiler_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = "there is no NVIDIA driver here, and there is no C compiler to build the stand-in for NVML with"
    try:
        nvml = gpu.measure(seconds=0.5).nvml
    except NotReachable as problem:
        nvml = str(problem)
    assert nvml in (gpu.DRIVER, f"{missing} · install gcc")
