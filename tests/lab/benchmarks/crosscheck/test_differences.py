"""Only like is compared with like, and a promise is broken by the worst figure, not by the mean of all."""

from __future__ import annotations

import pytest

from watchtower.lab.benchmarks.crosscheck.differences import (
    DIRECT,
    HISTOGRAMS,
    READINGS,
    RECORDING,
    RELAYED,
    CrosscheckLeg,
    budgets,
    counts,
    rows,
)
from watchtower.lab.benchmarks.crosscheck.measured import Definition, Figures, Latencies


def figures(
    *, tokens: int = 700, buckets: dict[str, tuple[float, float]] | None = None, **statistics: float
) -> Figures:
    gaps = Latencies(count=600, statistics=statistics, buckets=buckets or {})
    return Figures(requests=10, output_tokens=tokens, distributions={Definition.GAP: gaps})


def leg(way: str, theirs: Figures, ours: dict[str, Figures] | None = None) -> CrosscheckLeg:
    return CrosscheckLeg(
        tool="aiperf", route="chat", way=way, round=1, theirs=theirs, engine=figures(mean=0.009), ours=ours or {}
    )


def ours(readings: Figures, histograms: Figures | None = None) -> dict[str, Figures]:
    nothing = Figures(requests=10, output_tokens=700, distributions={})
    return {READINGS: readings, HISTOGRAMS: histograms or nothing, RECORDING: nothing}


def test_a_statistic_stands_beside_the_direct_run_and_the_engine() -> None:
    legs = [leg(DIRECT, figures(p50=0.011)), leg(RELAYED, figures(p50=0.010), ours(figures(p50=0.0102)))]
    (row,) = rows(legs)
    assert (row.theirs_direct, row.theirs, row.ours, row.engine) == (0.011, 0.010, 0.0102, None)
    assert row.difference_percent == pytest.approx(2.0)


def test_a_definition_that_only_one_of_both_has_is_not_compared() -> None:
    first = Figures(
        requests=10,
        output_tokens=700,
        distributions={Definition.FIRST_TOKEN: Latencies(count=10, statistics={"mean": 1.0})},
    )
    assert rows([leg(RELAYED, figures(mean=0.01), ours(first))]) == []


@pytest.mark.parametrize(
    ("theirs", "difference"), [(0.012, 0.0), (0.02, 0.0), (0.0201, -0.4975), (0.008, 25.0)], ids=str
)
def test_a_bucket_agrees_with_what_lies_in_it(theirs: float, difference: float) -> None:
    histogram = figures(buckets={"p95": (0.01, 0.02)})
    (row,) = [row for row in rows([leg(RELAYED, figures(p95=theirs), ours(figures(), histogram))]) if row.ours]
    assert row.difference_percent == pytest.approx(difference, abs=1e-3)


def test_the_worst_figure_keeps_or_breaks_the_promise() -> None:
    legs = [leg(RELAYED, figures(mean=0.010, p95=0.020), ours(figures(mean=0.010, p95=0.0187)))]
    readings, numbers, _ = budgets(legs)
    assert readings.measured == pytest.approx(6.5)
    assert readings.met is False
    assert numbers.met is True


def test_an_unknown_figure_keeps_no_promise() -> None:
    readings, *_ = budgets([leg(RELAYED, figures(mean=0.010, p95=0.020), ours(figures(mean=0.010)))])
    assert readings.met is None
    assert readings.because == "1 of 2 figures are unknown"


def test_one_token_too_few_breaks_the_promise() -> None:
    legs = [leg(RELAYED, figures(tokens=701, mean=0.01), ours(figures(mean=0.01)))]
    requests, tokens = counts(legs)
    assert (requests.theirs, requests.ours) == (10, 10)
    assert (tokens.theirs, tokens.ours, tokens.engine) == (701, 700, 700)
    assert budgets(legs)[1].met is False


def test_a_latency_that_was_recorded_and_is_in_no_histogram_breaks_the_promise() -> None:
    recorded = Figures(requests=10, output_tokens=700, gaps=690, distributions={})
    shown = Figures(requests=9, output_tokens=700, gaps=688, distributions={})
    doors = {READINGS: figures(mean=0.01), HISTOGRAMS: shown, RECORDING: recorded}
    lacking = budgets([leg(RELAYED, figures(mean=0.01), doors)])[-1]
    assert (lacking.measured, lacking.met) == (3, False)
