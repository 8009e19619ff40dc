"""The bench measures what it says, and says what it measured."""

from __future__ import annotations

import shutil

import pytest

from watchtower.programs.bench_gpu import STUB_GPUS, bench_gpu


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is needed to build the NVML stub")
def test_it_reports_the_share_of_a_core_with_machine_and_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchtower.programs.bench_gpu.WARM_UP_SECONDS", 1.0)
    result = bench_gpu(seconds=3.0)
    assert result.gpus >= 1
    assert result.gpus == STUB_GPUS or result.driver == "this machine's driver"
    assert 2 <= result.reports <= 5
    assert 0 <= result.core_share < 0.2, "a busy machine may cost a little; a spinning thread costs a core"
    assert "of a core for" in "\n".join(result.lines())
    assert "Python" in result.machine
