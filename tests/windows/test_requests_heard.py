"""Sums over requests for every window at once are the sums that one would add up by hand, window by window."""

from __future__ import annotations

import numpy as np
import pytest

from watchtower.windows.requests_heard import Contributions, RequestsHeard, suffix_sums

LIMITS = (0.05, 0.1)
Heard = list[tuple[int, float, int]]
"""(exchange, seconds, times)."""


def told(heard: Heard) -> Contributions:
    if not heard:
        return Contributions.nothing(len(LIMITS))
    exchanges, values, weights = zip(*heard, strict=True)
    return Contributions.of(exchanges, values, weights, LIMITS)


def seconds_of(seed: int) -> list[Heard]:
    rng = np.random.default_rng(seed)
    return [
        [
            (int(rng.integers(7)), float(rng.uniform(0.01, 0.2)), int(rng.integers(1, 5)))
            for _ in range(rng.integers(12))
        ]
        for _ in range(9)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_every_window_has_the_sums_of_its_requests(seed: int) -> None:
    heard = seconds_of(seed)
    requests = RequestsHeard([told(second) for second in heard], LIMITS)
    sizes = suffix_sums(np.array([sum(times for _, _, times in second) for second in heard], np.float64))
    share = np.full(len(sizes), 0.3)
    within, sums = requests.residuals_within(1, share), requests.residuals_of_sums(np.full(len(sizes), 8e7), 7e7)
    for start in range(len(heard) + 1):
        by_request: dict[int, list[float]] = {}
        for exchange, seconds, times in (entry for second in heard[start:] for entry in second):
            row = by_request.setdefault(exchange, [0.0, 0.0, 0.0])
            row[0] += times
            row[1] += times * (seconds <= LIMITS[1])
            row[2] += times * round(seconds * 1e9)
        assert requests.distinct[start] == len(by_request)
        assert within[start] == pytest.approx(sum((row[1] - 0.3 * row[0]) ** 2 for row in by_request.values()))
        assert sums[start] == pytest.approx(sum((row[2] - 8e7 * row[0]) ** 2 for row in by_request.values()))


def test_merging_sub_windows_changes_nothing() -> None:
    heard = seconds_of(7)
    merged = told(heard[0])
    for second in heard[1:]:
        merged += told(second)
    whole = told([entry for second in heard for entry in second])
    assert merged.exchanges.tolist() == whole.exchanges.tolist()
    for name in ("sizes", "sums_ns", "within"):
        assert np.array_equal(getattr(merged, name), getattr(whole, name)), name


def test_nothing_heard_is_nobody() -> None:
    requests = RequestsHeard([], LIMITS)
    assert requests.distinct.tolist() == [0]
    assert RequestsHeard([Contributions.nothing(2)], LIMITS).distinct.tolist() == [0, 0]
    assert RequestsHeard([Contributions.nothing(2)], LIMITS).residuals_within(0, np.zeros(2)).tolist() == [0, 0]
