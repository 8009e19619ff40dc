"""The daemon's own work is measured on facts that its windows really take."""

from __future__ import annotations

import pytest

from watchtower.lab.benchmarks import daemon


def test_a_short_measurement_reads_windows_that_have_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FILL_SECONDS", 2), ("MEASURED_SECONDS", 2), ("MANY_WINDOWS", 200), ("MANY_TIMES", 1)):
        monkeypatch.setattr(daemon, name, value)
    cost = daemon.measure()
    assert cost.tokens_per_second == 1000
    assert cost.windows_per_tick > 20
    assert cost.many_windows_known > 20
    assert cost.tick_ms > 0 and cost.core_share > 0
    assert [budget.unit for budget in cost.budgets] == ["%", "ms"]
