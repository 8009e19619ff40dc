"""A band covers the truth as often as it claims, also when the values of one second move together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchtower.windows.estimates import mean, quantile, share, student_t
from watchtower.windows.series import LatencySlot, Sample


def sample_of(seconds: list[NDArray[np.float64]]) -> Sample:
    slots = []
    for values in seconds:
        slot = LatencySlot(())
        for value in values.tolist():
            slot.add(value, 1, value, 1)
        slots.append(slot)
    return Sample.of(slots, ())


def clustered(rng: np.random.Generator, clusters: int, size: int, together: float) -> list[NDArray[np.float64]]:
    """Log-normal latencies (sd 25 %) whose seconds share a common factor of sd ``together``."""
    return [np.exp(-3 + together * rng.normal() + 0.25 * rng.normal(size=size)) for _ in range(clusters)]


@pytest.mark.parametrize("together", [0.0, 0.25])
def test_the_band_of_p95_covers_the_true_p95_as_it_claims(together: float) -> None:
    rng = np.random.default_rng(7)
    truth = np.exp(-3 + 1.6448536 * np.hypot(0.25, together))
    covered = 0
    for _ in range(120):
        found = quantile(sample_of(clustered(rng, 60, 40, together)), 0.95)
        assert found is not None
        covered += found.low * 0.9946 <= truth <= found.high * 1.0055
    assert covered / 120 >= 0.91


def test_seconds_that_move_together_widen_the_band() -> None:
    rng = np.random.default_rng(8)
    alone = quantile(sample_of(clustered(rng, 60, 40, 0.0)), 0.95)
    together = quantile(sample_of(clustered(rng, 60, 40, 0.5)), 0.95)
    assert alone is not None and together is not None
    assert (together.high - together.low) / together.value > 3 * (alone.high - alone.low) / alone.value


def test_the_band_of_the_mean_covers_the_true_mean() -> None:
    rng = np.random.default_rng(9)
    truth = np.exp(-3 + 0.5 * (0.25**2 + 0.2**2))
    covered = 0
    for _ in range(120):
        found = mean(sample_of(clustered(rng, 30, 20, 0.2)))
        assert found is not None
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 120 <= 0.99


def test_one_cluster_has_no_band() -> None:
    assert quantile(sample_of([np.full(1000, 0.1)]), 0.95) is None
    assert mean(sample_of([np.full(1000, 0.1)])) is None


def test_a_constant_stream_has_a_band_of_no_width() -> None:
    found = quantile(sample_of([np.full(10, 0.1)] * 10), 0.95)
    assert found is not None
    assert found.low == found.value == found.high


def test_the_share_of_failures_has_wilsons_band() -> None:
    found = share(3, 10)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.1078, 0.6032), abs=1e-4)
    nothing = share(0, 0)
    assert nothing is None
    none_failed = share(0, 10)
    assert none_failed is not None
    assert none_failed.low == 0 < none_failed.high < 0.3


@pytest.mark.parametrize(("freedom", "exact"), [(1, 12.706), (4, 2.776), (9, 2.262), (29, 2.045), (59, 2.001)])
def test_students_t_is_right_to_a_third_of_a_percent(freedom: int, exact: float) -> None:
    assert student_t(freedom) == pytest.approx(exact, rel=0.003)
