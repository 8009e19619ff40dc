"""Where the verdict on two checkpoints turns: every threshold from just below and from the line itself."""

from __future__ import annotations

import pytest

from watchtower.services.comparing.sameness import LEAST_PROMPTS, SILENT_P, TOLERANCES, Effect, Sameness, verdict

ALPHA = 0.01


def effect(name: str = "wording", reach: float = 0.0) -> Effect:
    """Nothing found, with a band of ``reach`` to both sides."""
    return Effect(name=name, value=0.0, low=-reach, high=reach, p=1.0, tolerance=TOLERANCES.get(name))


def said(prompts: int = 100, p: float = 1.0, *effects: Effect) -> Sameness:
    return verdict(prompts, p, ALPHA, effects or [effect()])[0]


def test_fewer_prompts_than_the_least_settle_nothing() -> None:
    assert said(LEAST_PROMPTS - 1, 0.0) is Sameness.TOO_LITTLE_DATA
    assert said(LEAST_PROMPTS, 0.0) is Sameness.DIFFERENT
    assert said(LEAST_PROMPTS, 1.0) is Sameness.SAME
    assert LEAST_PROMPTS == 20


def test_a_hint_of_a_difference_never_passes_as_the_same() -> None:
    assert said(100, ALPHA - 1e-9) is Sameness.DIFFERENT
    assert said(100, ALPHA) is Sameness.TOO_LITTLE_DATA
    assert said(100, SILENT_P - 1e-9) is Sameness.TOO_LITTLE_DATA
    assert said(100, SILENT_P) is Sameness.SAME
    assert SILENT_P == 0.1


@pytest.mark.parametrize(
    ("measure", "tolerance"),
    [("meaning", 0.03), ("wording", 0.03), ("length", 0.10), ("faults", 0.03), ("distance", 0.02)],
)
def test_a_band_that_reaches_beyond_its_tolerance_never_passes_as_the_same(measure: str, tolerance: float) -> None:
    assert said(100, 1.0, effect(), effect(measure, tolerance)) is Sameness.SAME
    assert said(100, 1.0, effect(), effect(measure, tolerance + 1e-6)) is Sameness.TOO_LITTLE_DATA


def test_every_tolerance_is_tried_above() -> None:
    assert set(TOLERANCES) == {"meaning", "wording", "length", "faults", "distance"}


def test_a_measure_without_a_tolerance_may_be_wide() -> None:
    assert said(100, 1.0, effect("markup", 5.0)) is Sameness.SAME
