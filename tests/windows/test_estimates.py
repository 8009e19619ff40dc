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
            slot.add(value, 1, 1)
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


LIMIT = 0.08


def requests(rng: np.random.Generator, own: float, count: int = 100, seconds: int = 8) -> list[LatencySlot]:
    """``count`` requests that give 3 tokens a second all the time, each at a pace of its own (sd ``own``)."""
    paces = np.exp(-3 + own * rng.normal(size=count))
    slots = [LatencySlot((LIMIT,)) for _ in range(seconds)]
    values = paces * np.exp(0.1 * rng.normal(size=(seconds, 3, count)))
    for slot, tokens in zip(slots, values.tolist(), strict=True):
        for read in tokens:
            for request, value in enumerate(read):
                slot.add(value, 1, request)
    return slots


def test_the_band_covers_the_truth_where_requests_have_a_pace_of_their_own() -> None:
    """Every second hears the same requests: between seconds nothing varies, between requests everything does."""
    rng = np.random.default_rng(10)
    truth = np.exp(-3 + 1.6448536 * np.hypot(0.3, 0.1))
    assert abs(truth - LIMIT) / LIMIT < 0.05, "the limit lies where it decides"
    covered = 0
    for _ in range(60):
        found = quantile(Sample.of(requests(rng, own=0.3), (LIMIT,)), 0.95)
        assert found is not None
        covered += found.low * 0.9946 <= truth <= found.high * 1.0055
    assert covered / 60 >= 0.88


def test_one_slow_request_of_twenty_is_no_slow_engine_however_many_tokens_it_has() -> None:
    slots = [LatencySlot((LIMIT,)) for _ in range(30)]
    for slot in slots:
        for request in range(19):
            slot.add(0.03, 10, request)
        slot.add(0.5, 20, 19)
    found = quantile(Sample.of(slots, (LIMIT,)), 0.95)
    assert found is not None
    assert found.value > LIMIT
    assert found.low < LIMIT, "it may be slow, and it is not proven"
    for slot in slots:
        for request in range(20, 26):
            slot.add(0.5, 20, request)
    found = quantile(Sample.of(slots, (LIMIT,)), 0.95)
    assert found is not None and found.low > LIMIT, "seven of them are"


def test_those_who_still_wait_raise_what_the_others_say_and_short_waits_do_not() -> None:
    slots = [LatencySlot(()) for _ in range(10)]
    for request in range(100):
        slots[request % 10].add(0.2 + request * 1e-3, 1, request)
    sample = Sample.of(slots, ())
    answered = quantile(sample, 0.95)
    assert answered is not None and answered.value == pytest.approx(0.294, rel=0.006)
    assert quantile(sample, 0.95, [0.1, 0.25]) == answered
    waiting = quantile(sample, 0.95, [30.0] * 20)
    assert waiting is not None and waiting.low <= waiting.value == 30.0
    assert waiting.low > 1, "16 % of all, and surely more than 5 %"
    average = mean(sample, [30.0] * 20)
    assert average is not None and average.value == pytest.approx((100 * 0.2495 + 600) / 120, rel=0.001)


def test_where_nobody_was_answered_the_waits_alone_are_a_least() -> None:
    found = quantile(Sample.of([], ()), 0.95, [float(n) for n in range(1, 41)])
    assert found is not None
    assert (found.low, found.value) == (36.0, 38.0)


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
    assert student_t(np.array([freedom]))[0] == pytest.approx(exact, rel=0.003)
