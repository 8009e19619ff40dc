"""The e-detector alarms where it should, is silent for as long as it promises, and goes on after a restart."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from watchtower.detectors.shiryaev_roberts import ShiryaevRoberts, first_alarms, upper_mean


def misses(probability: float, count: int, seed: int = 3) -> list[float]:
    return [float(drawn) for drawn in np.random.default_rng(seed).random(count) < probability]


def alarm_at(detector: ShiryaevRoberts, values: list[float], null: float) -> int:
    return next((index for index, value in enumerate(values) if detector.observe(value, null)), -1)


def test_a_risen_mean_alarms_at_a_known_index() -> None:
    values = misses(0.33, 500) + misses(0.88, 100, seed=4)
    assert alarm_at(ShiryaevRoberts(216_000.0), values, 0.33) == 531


def test_a_stream_at_its_null_is_silent() -> None:
    assert alarm_at(ShiryaevRoberts(216_000.0), misses(0.33, 20_000), 0.33) == -1


@pytest.mark.parametrize("nominal", [50, 500])
def test_the_average_run_length_is_at_least_what_was_promised(nominal: int) -> None:
    streams = (np.random.default_rng(1).random((400, 15 * nominal)) < 0.1).astype(np.float64)
    first = first_alarms(streams, 0.1, nominal)
    lengths = np.where(first == 0, streams.shape[1], first)
    assert nominal <= lengths.mean() <= 2.5 * nominal


def test_dependence_costs_no_false_alarms() -> None:
    """Each value repeated ten times has no conditional mean at the null, but blocks alternate around it do."""
    chance = np.random.default_rng(2)
    level = 0.05 * np.sign(np.sin(np.arange(2000) / 7.0))
    streams = (chance.random((200, 2000)) < 0.2 + np.minimum(level, 0)).astype(np.float64)
    assert (first_alarms(streams, 0.2, 20_000) > 0).mean() < 0.05


def test_one_stream_and_many_agree() -> None:
    values = misses(0.6, 200)
    assert first_alarms(np.array([values]), 0.33, 1000.0)[0] == alarm_at(ShiryaevRoberts(1000.0), values, 0.33) + 1


def test_it_goes_on_where_it_was_after_a_restart() -> None:
    values = misses(0.5, 60)
    whole, first = ShiryaevRoberts(1e9), ShiryaevRoberts(1e9)
    for value in values:
        whole.observe(value, 0.33)
    for value in values[:30]:
        first.observe(value, 0.33)
    second = msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=ShiryaevRoberts)
    for value in values[30:]:
        second.observe(value, 0.33)
    assert second == whole


def test_a_null_of_almost_nothing_forgives_the_first_comma() -> None:
    detector = ShiryaevRoberts(216_000.0)
    assert not detector.observe(0.1, 0.0)
    assert alarm_at(detector, [0.1] * 20, 0.0) < 10


def test_evidence_stays_finite_and_a_reset_forgets_it() -> None:
    detector = ShiryaevRoberts(1000.0)
    for _ in range(5000):
        detector.observe(1.0, 0.01)
    assert np.isfinite(detector.evidence)
    detector.reset()
    assert not detector.alarm


@pytest.mark.parametrize(("value", "null"), [(-0.1, 0.3), (float("nan"), 0.3), (0.3, float("inf")), (0.1, -1.0)])
def test_numbers_that_cannot_be_are_refused(value: float, null: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        ShiryaevRoberts(10.0).observe(value, null)


def test_a_bound_lies_above_its_mean_and_needs_two_values() -> None:
    assert upper_mean([0.1, 0.2, 0.3]) > 0.2
    with pytest.raises(ValueError, match="two"):
        upper_mean([0.1])
