"""Sampled answers that keep differing in one direction are noticed; sampling alone never is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchtower.detectors.output_drift import OutputDrift, scale_of


def answers(chance: np.random.Generator, topics: NDArray[np.float32], shift: float = 0.0) -> NDArray[np.float32]:
    """Around each prompt's own topic, much further from one another than any shift."""
    sampled = topics + chance.normal(0, 1, topics.shape)
    sampled[:, 0] += shift
    return sampled.astype(np.float32)


def alarm_at(shift: float, seed: int, prompts: int = 600, width: int = 12) -> int:
    chance = np.random.default_rng(seed)
    topics = chance.normal(0, 3, (prompts, width)).astype(np.float32)
    then, now = answers(chance, topics), answers(chance, topics, shift)
    drift = OutputDrift([scale_of(then[:50], answers(chance, topics)[:50])], 20_000.0)
    return next((i for i in range(prompts) if drift.observe([then[i]], [now[i]])), -1)


def test_two_runs_of_one_model_are_silent_whatever_the_topics() -> None:
    assert [alarm_at(0.0, seed) for seed in range(20)] == [-1] * 20


def test_a_common_shift_is_noticed() -> None:
    found = [alarm_at(1.5, seed) for seed in range(10)]
    assert all(0 < index < 200 for index in found)


def test_blocks_that_never_differ_are_no_division_by_zero() -> None:
    same = np.ones((5, 3), dtype=np.float32)
    assert scale_of(same, same) == 1.0
    drift = OutputDrift([1.0], 100.0)
    assert not any(drift.observe([row], [row]) for row in same)


def test_a_block_without_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        OutputDrift([0.0], 100.0)
