"""The paired test keeps its error rate, and its bands hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchtower.detectors.paired import compare


def world(chance: np.random.Generator, shift: float, count: int = 60) -> dict[str, NDArray[np.float32]]:
    """Heavy-tailed differences, two measures that depend on each other."""
    number = chance.standard_t(2, count)
    rows = np.outer(number, np.ones(4)) * 0.5 + chance.normal(0, 1, (count, 4))
    return {"number": (number + shift).astype(np.float32), "rows": (rows + shift).astype(np.float32)}


def test_one_model_is_called_different_no_more_often_than_stated() -> None:
    chance = np.random.default_rng(1)
    called = [compare(world(chance, 0.0), chance, flips=199, resamples=5).p <= 0.05 for _ in range(400)]
    assert 0.02 <= np.mean(called) <= 0.08


def test_a_shift_is_found() -> None:
    chance = np.random.default_rng(2)
    found = [compare(world(chance, 1.0), chance, flips=199, resamples=5).p for _ in range(20)]
    assert max(found) <= 0.01


def test_p_is_never_zero_and_the_same_seed_gives_the_same_answer() -> None:
    values = world(np.random.default_rng(3), 9.0)
    first = compare(values, np.random.default_rng(0), flips=499)
    assert first == compare(values, np.random.default_rng(0), flips=499)
    assert first.p == pytest.approx(1 / 500)


def test_the_effect_of_a_number_is_its_mean_with_a_band_around_it() -> None:
    values = np.random.default_rng(4).normal(0.3, 1, 500).astype(np.float32)
    measured = compare({"length": values}, np.random.default_rng(0)).measures[0]
    assert measured.effect == pytest.approx(values.mean(), abs=1e-6)
    assert measured.low < 0.3 < measured.high


def test_the_effect_of_rows_is_nothing_for_noise_and_all_where_every_pair_differs_alike() -> None:
    chance = np.random.default_rng(5)
    noise = chance.normal(0, 1, (400, 8)).astype(np.float32)
    alike = np.tile(np.arange(1, 9, dtype=np.float32), (400, 1))
    measured = {m.name: m for m in compare({"noise": noise, "alike": alike}, chance).measures}
    assert measured["noise"].effect < 0.1
    assert measured["alike"].effect == pytest.approx(1.0, abs=1e-3)


def test_identical_answers_differ_in_nothing() -> None:
    found = compare({"rows": np.zeros((50, 4), dtype=np.float32)}, np.random.default_rng(0))
    assert (found.p, found.measures[0].effect) == (1.0, 0.0)


def test_measures_of_unlike_length_are_refused() -> None:
    ragged = {"a": np.zeros(3, dtype=np.float32), "b": np.zeros(4, dtype=np.float32)}
    for wrong in (ragged, {}, {"a": np.zeros(1, dtype=np.float32)}):
        with pytest.raises(ValueError, match="two prompts"):
            compare(wrong, np.random.default_rng(0))
