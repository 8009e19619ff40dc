"""One latency over time: what a sub-window keeps of its observations, and what it leaves to the totals."""

from __future__ import annotations

import math

import pytest

from watchtower.windows.series import (
    EXACT,
    MOST_OF_A_REQUEST,
    MOST_TOKENS_IN_A_READ,
    UNPROVEN,
    Count,
    LatencySlot,
    Sample,
    Series,
)
from watchtower.windows.totals import TotalsByModel

LIMITS = (0.1,)
START = 1024.0


def series() -> tuple[Series, TotalsByModel]:
    totals = TotalsByModel((0.1, 1.0))
    return Series(LIMITS, 3600, totals), totals


def test_a_request_that_is_told_in_a_burst_weighs_no_more_than_its_bound_and_the_totals_have_all_of_it() -> None:
    tokens, totals = series()
    tokens.add(START, 0.5, 100_000, 0, model="m")
    tokens.add(START, 0.5, 1, 0, model="m")
    tokens.add(START, 0.01, 10, 1, model="m")
    sample = tokens.window(START, START + 1)
    assert (sample.count, sample.exchanges) == (MOST_OF_A_REQUEST + 10, 2)
    assert totals.of("m").count == 100_011


def test_what_a_late_relay_saw_is_in_the_totals_and_counted_and_in_no_window() -> None:
    tokens, totals = series()
    tokens.add(START, 0.05, 3, 0, gap=0.15, model="m")
    tokens.add(START, 0.5, 2, 1, gap=1.0, late=True, model="m")
    sample = tokens.window(START, START + 1)
    assert (sample.count, sample.left_out, sample.exchanges, sample.longest_gap) == (3, 2, 1, 0.15)
    assert (tokens.left_out, totals.of("m").count) == (2, 5)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_what_is_no_duration_or_no_number_of_tokens_is_refused(seconds: float) -> None:
    tokens, totals = series()
    tokens.add(START, seconds, 1, 0, model="m")
    tokens.add(START, 0.1, 0, 0, model="m")
    tokens.add(START, 0.1, MOST_TOKENS_IN_A_READ + 1, 0, model="m")
    assert tokens.invalid == 3
    assert (tokens.window(START, START + 1).count, totals.models) == (0, {})


def test_how_surely_tokens_were_counted_is_known_of_every_window() -> None:
    slots = [LatencySlot(LIMITS) for _ in range(3)]
    slots[0].add(0.05, 6, 0, UNPROVEN)
    slots[1].add(0.05, 2, 0, Count(0.8, estimated=True))
    slots[2].add(0.05, 2, 0, EXACT)
    past = Sample.of(slots, LIMITS).past
    windows = [Sample(past, start) for start in range(4)]
    assert [sample.estimated for sample in windows] == [0.8, 0.5, 0.0, 0.0]
    assert [sample.unproven for sample in windows] == [0.6, 0.0, 0.0, 0.0]
    assert past.certainty.tolist() == [0.8, 0.8, 1.0, 1.0]


def test_a_merged_sub_window_is_what_its_parts_were() -> None:
    slots = [LatencySlot(LIMITS) for _ in range(2)]
    slots[0].add(0.05, 6, 0, UNPROVEN)
    slots[1].add(0.15, 2, 0, Count(0.8, estimated=True))
    slots[1].left_out, slots[1].longest_gap = 3, 0.7
    apart = Sample.of(slots, LIMITS)
    slots[0].take_in(slots[1])
    merged = Sample.of(slots[:1], LIMITS)
    for name in ("count", "exchanges", "left_out", "longest_gap", "estimated", "unproven"):
        assert getattr(merged, name) == getattr(apart, name), name
    assert merged.past.certainty[0] == 0.8
