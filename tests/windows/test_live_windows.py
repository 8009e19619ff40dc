"""Answers to users are a gauge: each reference counts once, and too few say nothing."""

from __future__ import annotations

import pytest

from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.facts import EngineSeen, LiveAnswered, ReferencesKnown
from watchtower.windows.windows import Windows


def answered(at: float, reference: str, agreement: float, similarity: float | None = None) -> LiveAnswered:
    return LiveAnswered(at=at, reference=reference, prefix_agreement=agreement, similarity=similarity)


@pytest.fixture
def windows() -> Windows:
    windows = Windows()
    windows.absorb(ReferencesKnown(at=0, usable=24))
    for number, reference in enumerate("abc"):
        windows.absorb(answered(10 + number, reference, 0.8, 0.9))
    return windows


def test_a_reference_counts_once_by_its_newest_answer(windows: Windows) -> None:
    for second in range(20, 30):
        windows.absorb(answered(second, "a", 0.2))
    reading = windows.read("live_agreement.mean", 60, 30)

    assert reading.value == pytest.approx((0.2 + 0.8 + 0.8) / 3)
    assert reading.samples == 3
    assert reading.low is not None
    assert reading.low < 0.6


def test_too_few_references_say_nothing(windows: Windows) -> None:
    windows.absorb(answered(20, "a", 0.2))  # without a vector
    reading = windows.read("live_similarity.mean", 60, 30)

    assert reading.value is None
    assert reading.because == "users asked too few references' questions: 2 of 3"


def test_answers_of_another_engine_or_to_other_references_count_no_more(windows: Windows) -> None:
    for id in ("1", "2"):
        seen = EngineSeen(at=40, known=True, serving=True, incarnation=Incarnation(id=id, started="1", boot_id="b"))
        windows.absorb(seen)
    assert windows.read("live_agreement.mean", 600, 50).value is None

    for reference in "abc":
        windows.absorb(answered(60, reference, 0.8))
    assert windows.read("live_agreement.mean", 600, 61).value is not None
    windows.absorb(ReferencesKnown(at=62, usable=0, because="none"))
    assert windows.read("live_agreement.mean", 600, 63).because == "none"
