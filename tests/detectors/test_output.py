"""Canary answers are judged by what is normal for their own reference."""

from __future__ import annotations

import numpy as np
import pytest

from watchtower.detectors.output import AGREEMENT_TOLERANCE, OutputChange, nulls

REFERENCES = {f"r{number}": 0.9 + 0.005 * number for number in range(20)}
"""Each has its own usual cosine."""


def answered(chance: np.random.Generator, reference: str, lost: float = 0.0) -> float:
    return float(np.clip(REFERENCES[reference] - lost + chance.normal(0, 0.03), -1, 1))


def calibrated(chance: np.random.Generator) -> OutputChange:
    return OutputChange({name: [answered(chance, name) for _ in range(3)] for name in REFERENCES})


def rounds_to_alarm(lost: float, rounds: int, seed: int) -> int:
    chance = np.random.default_rng(seed)
    change = calibrated(chance)
    for number in range(1, rounds + 1):
        for name in REFERENCES:
            if change.observe(name, answered(chance, name, lost)):
                return number
    return 0


def test_unlike_references_calibrated_on_three_answers_stay_silent() -> None:
    assert [rounds_to_alarm(0.0, 60, seed) for seed in range(10)] == [0] * 10


def test_a_loss_on_all_of_them_is_seen_within_a_few_rounds() -> None:
    assert all(1 <= rounds_to_alarm(0.05, 30, seed) <= 4 for seed in range(10))


def test_the_null_stands_above_the_estimate() -> None:
    assert nulls({"a": [0.9, 0.8, 0.7], "b": [1.0, 1.0, 1.0]})["a"] > 0.2


def test_a_tolerance_forgives_other_hardware() -> None:
    healthy = {"a": [1.0, 1.0, 0.0] * 30}
    strict, lenient = OutputChange(healthy), OutputChange(healthy, tolerance=AGREEMENT_TOLERANCE)
    for _ in range(50):
        strict.observe("a", 0.0)
        lenient.observe("a", 0.0)
    assert lenient.detector.evidence < strict.detector.evidence


def test_what_was_not_calibrated_is_not_judged() -> None:
    with pytest.raises(ValueError, match="two scores"):
        OutputChange({"a": [0.9]})
    with pytest.raises(ValueError, match="two scores"):
        OutputChange({})
    with pytest.raises(KeyError):
        OutputChange({"a": [0.9, 0.9]}).observe("b", 0.9)
