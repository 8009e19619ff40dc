"""Cumulative buckets count what is at or below each bound, and only ever grow."""

from __future__ import annotations

from watchtower.windows import LatencyTotals


def test_a_value_on_a_bound_belongs_to_it() -> None:
    totals = LatencyTotals((0.13, 0.1, 0.13))
    totals.add(0.13, 2)
    totals.add(0.1300001)
    totals.add(0.05)
    assert totals.bounds == (0.1, 0.13)
    assert totals.cumulative() == (1, 3, 4)
    assert totals.count == 4
    assert round(totals.sum_seconds, 4) == 0.44
