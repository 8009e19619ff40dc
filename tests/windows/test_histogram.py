"""A histogram answers any quantile within its stated bound, and no order of merging matters."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from watchtower.windows.histogram import LARGEST, RELATIVE_ERROR, SCALE, SMALLEST, Histogram

QUANTILES = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
SIZES = (1, 2, 3, 10, 100, 1_000, 20_000)
RNG = np.random.default_rng(20261122)
DISTRIBUTIONS: dict[str, Callable[[int], NDArray[np.float64]]] = {
    "uniform": lambda n: RNG.uniform(0.001, 1, n),
    "exponential": lambda n: RNG.exponential(0.05, n),
    "lognormal": lambda n: RNG.lognormal(-3, 1, n),
    "heavy tail": lambda n: 0.01 * (1 + RNG.pareto(1.1, n)),
    "two humps": lambda n: np.where(RNG.random(n) < 0.9, RNG.normal(0.03, 0.001, n), RNG.normal(3, 0.1, n)),
    "constant": lambda n: np.full(n, 0.13),
    "powers of two": lambda n: np.exp2(RNG.integers(-19, 16, n).astype(np.float64)),
    "micro to hours": lambda n: 10 ** RNG.uniform(-6, 5, n),
    "arithmetic": lambda n: np.linspace(0.001, n / 1000, n),
    "linear steps": lambda n: np.repeat(0.02, n) * (1 + np.arange(n) % 7),
}
durations = st.floats(SMALLEST, LARGEST)


def exact(values: NDArray[np.float64], q: float) -> float:
    """The smallest value that at least a share q does not exceed; ``values`` in ascending order."""
    return float(values[max(0, math.ceil(round(q * len(values), 9)) - 1)])


def test_the_bound_is_below_one_percent() -> None:
    assert RELATIVE_ERROR < 0.01
    assert SCALE == 6


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_quantile_is_within_the_bound(name: str, size: int) -> None:
    values = np.sort(DISTRIBUTIONS[name](size))
    histogram = Histogram.of(values)
    for q in QUANTILES:
        found = histogram.quantile(q)
        assert found == pytest.approx(exact(values, q), rel=RELATIVE_ERROR * 1.000001), (name, size, q)


def test_real_token_latencies_are_within_the_bound() -> None:
    root = os.environ.get("WATCHTOWER_TEST_DATA")
    if not root:
        pytest.skip("WATCHTOWER_TEST_DATA is not set: no recordings of real token latencies")
    files = sorted((Path(root) / "llm-serving-itl").glob("*.json.gz"))
    assert files
    for file in files:
        recording = json.loads(gzip.decompress(file.read_bytes()))
        values = np.sort([gap for request in recording["itls"] for gap in request if gap > 0])
        histogram = Histogram.of(values, limits=(0.13,))
        for q in np.linspace(0, 1, 501):
            assert histogram.quantile(float(q)) == pytest.approx(exact(values, float(q)), rel=0.0055)
        assert histogram.rank(0.13) == int((values <= 0.13).sum())
        assert histogram.sum_seconds == pytest.approx(values.sum())


def test_a_quantile_never_contradicts_the_exact_count_at_a_limit() -> None:
    just_inside = Histogram.of([0.1299] * 95 + [0.2] * 5, limits=(0.13,))
    just_outside = Histogram.of([0.1299] * 94 + [0.13001] * 6, limits=(0.13,))
    assert just_inside.quantile(0.95) <= 0.13  # type: ignore[operator]
    assert just_outside.quantile(0.95) > 0.13  # type: ignore[operator]


def test_what_is_no_duration_is_counted_as_invalid_and_nowhere_else() -> None:
    histogram = Histogram.of([0.0, -1.0, math.nan, math.inf, -math.inf, 0.5], limits=(0.13,))
    assert (histogram.invalid, histogram.count, histogram.sum_seconds) == (5, 1, 0.5)
    assert histogram.rank(0.13) == 0


def test_nothing_has_no_quantile_and_no_mean() -> None:
    for histogram in (Histogram.empty(), Histogram.of([]), Histogram.of([math.nan])):
        assert histogram.quantile(0.5) is None
        assert histogram.mean is None
        assert histogram.rank(1.0) == 0
        assert histogram.otel() == (0, [])


def test_extremes_are_kept_in_the_outer_bins() -> None:
    histogram = Histogram.of([1e-300, 1e300])
    assert histogram.count == 2
    assert histogram.quantile(0) == pytest.approx(SMALLEST, rel=0.01)
    assert histogram.quantile(1) == pytest.approx(LARGEST, rel=0.01)


@given(st.lists(durations, max_size=60), st.lists(durations, max_size=60))
@settings(max_examples=60)
def test_merging_is_counting_together_and_subtracting_undoes_it(left: list[float], right: list[float]) -> None:
    first, second = Histogram.of(left, limits=(0.13, 1.0)), Histogram.of(right, limits=(0.13, 1.0))
    both = Histogram.of(left + right, limits=(0.13, 1.0))
    assert first + second == both == second + first
    assert both - second == first


def test_what_was_never_in_cannot_be_taken_out() -> None:
    with pytest.raises(ValueError, match="no part"):
        _ = Histogram.of([0.1]) - Histogram.of([0.2])


@given(st.lists(durations, min_size=1, max_size=60), durations)
@settings(max_examples=60)
def test_rank_and_quantile_agree(values: list[float], at: float) -> None:
    histogram = Histogram.of(values)
    rank = histogram.rank(at)
    assert rank >= sum(value <= at for value in values)
    assert rank <= sum(value <= at * (1 + 3 * RELATIVE_ERROR) for value in values)


def test_weights_are_repeats() -> None:
    assert Histogram.of([0.1, 0.2], [3, 2]) == Histogram.of([0.1, 0.1, 0.1, 0.2, 0.2])


def test_a_second_of_a_thousand_tokens_takes_less_than_four_kilobytes() -> None:
    assert Histogram.of(RNG.lognormal(-3, 0.5, 1000), limits=(0.13,)).nbytes <= 4096


def test_the_otel_layout_holds_every_count_in_its_bucket() -> None:
    values = [0.5, 1.0, 1.01, 4.0]
    offset, buckets = Histogram.of(values).otel()
    assert sum(buckets) == 4
    for place, count in enumerate(buckets):
        low, high = 2 ** ((offset + place) / 64), 2 ** ((offset + place + 1) / 64)
        assert count == sum(low < value <= high for value in values)
