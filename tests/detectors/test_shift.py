"""A change of prompts is no shift, a change of answers is, and it is told where it happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from watchtower.detectors.shift import Answers, shift

WIDTH, TOPICS = 64, 4
EVENLY = (0.25,) * TOPICS
SWAPS = 199


def world(
    seed: int, count: int, mix: Sequence[float] = EVENLY, moved: float = 0.0, topic: int | None = None
) -> Answers:
    """Answers follow their topic; ``moved`` turns those of ``topic`` (None: all) one way."""
    centres = np.eye(WIDTH)[:TOPICS]
    chance = np.random.default_rng(seed)
    topics = chance.choice(TOPICS, count, p=mix)

    def near(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
        found: NDArray[np.float64] = vectors + 0.1 * chance.normal(size=vectors.shape)
        unit: NDArray[np.float32] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
        return unit

    push = np.zeros((count, WIDTH))
    push[(topics == topic) | (topic is None), WIDTH - 1] = moved
    prompts, meaning = near(centres[topics]), near(centres[topics] + push)
    form = chance.normal(size=(count, 3)).astype(np.float32)
    return Answers([f"{seed}-{topic}" for topic in topics], prompts, {"meaning": meaning, "form": form})


def test_the_same_model_rarely_seems_to_move_and_seldom_by_much() -> None:
    found = [shift(world(n, 200), world(1000 + n, 100), np.random.default_rng(n), swaps=SWAPS) for n in range(20)]

    assert sum(result is not None and result.p <= 0.05 for result in found) <= 3
    assert all(result is not None and result.moved["meaning"] < 0.1 for result in found)


def test_other_prompts_than_then_are_no_shift() -> None:
    mixes = [shift(world(n, 200), world(50 + n, 100, (0.7, 0.1, 0.1, 0.1)), np.random.default_rng(n), swaps=SWAPS)
             for n in range(10)]  # fmt: skip

    assert sum(result is not None and result.p <= 0.05 for result in mixes) <= 2


def test_answers_that_moved_one_way_are_seen_and_sized() -> None:
    little = shift(world(1, 200), world(2, 100, moved=0.2), np.random.default_rng(3), swaps=SWAPS)
    much = shift(world(1, 200), world(2, 100, moved=0.6), np.random.default_rng(3), swaps=SWAPS)

    assert little is not None
    assert much is not None
    assert little.p <= 0.01
    assert 0 < little.moved["meaning"] < much.moved["meaning"] < 1
    assert much.moved["form"] < 0.1


def test_the_prompts_that_moved_most_are_named() -> None:
    found = shift(world(1, 240), world(2, 160, moved=0.6, topic=2), np.random.default_rng(3), swaps=SWAPS)

    assert found is not None
    assert found.groups[0].prompts == ["2-2"]
    assert found.groups[0].moved > 3 * found.groups[-1].moved
    assert found.groups[0].p <= 0.05


def test_prompts_without_a_like_then_are_told_and_left_out() -> None:
    then, now = world(1, 200, (0.5, 0.5, 0, 0)), world(2, 100, (0.4, 0.1, 0.25, 0.25))
    found = shift(then, now, np.random.default_rng(3), swaps=SWAPS)
    assert found is not None
    assert 0.3 < found.matched < 0.8

    elsewhere = world(2, 100, (0, 0, 0.5, 0.5))
    assert shift(world(1, 200, (0.5, 0.5, 0, 0)), elsewhere, np.random.default_rng(3), swaps=SWAPS) is None


def test_the_same_samples_and_chance_say_the_same() -> None:
    first, second = (shift(world(1, 100), world(2, 60), np.random.default_rng(3), swaps=SWAPS) for _ in range(2))

    assert first == second
