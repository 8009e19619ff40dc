"""What is normal for one reference: the distribution of its scores while the engine was healthy.

Each of the K ≥ 3 blessed answers is compared with the *others*, as a new answer will be with all of them. A new one
has one more to be close to, so what is found here is a little too low: that errs on the side of silence. A standard
deviation of three numbers is worth little, so it is shrunk towards the one that all references share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from watchtower.scoring.measures.agreement import prefix_agreement

Item = TypeVar("Item")

LEAST_ANSWERS = 3
PRIOR = 4.0
"""The shared standard deviation weighs as much as so many answers."""
FLOOR_DEVIATIONS = 3.0
LEAST_DEVIATION = 0.005
"""Answers that never varied may vary tomorrow: another batch, another kernel."""


class Distribution(msgspec.Struct, frozen=True):
    """Scores of one reference while healthy."""

    mean: float
    sd: float
    floor: float
    """Three standard deviations below the mean: a single score under it is unusual, though no alarm by itself."""
    answers: int
    """How many it was learned from."""

    def centred(self, score: float) -> float:
        """How much more (or, negative, less) alike than is normal for this reference."""
        return score - self.mean


def distribution(scores: Sequence[float], shared_sd: float | None = None) -> Distribution:
    """Raises ValueError with fewer than three scores, or one that is not finite."""
    if len(scores) < LEAST_ANSWERS:
        raise ValueError(f"{len(scores)} blessed answers are too few; a distribution needs {LEAST_ANSWERS}")
    if not all(math.isfinite(score) for score in scores):
        raise ValueError("a score is not a finite number")
    mean, variance, degrees = float(np.mean(scores)), float(np.var(scores, ddof=1)), len(scores) - 1
    if shared_sd is not None:
        variance = (degrees * variance + PRIOR * shared_sd**2) / (degrees + PRIOR)
    sd = max(math.sqrt(variance), LEAST_DEVIATION)
    return Distribution(mean, sd, mean - FLOOR_DEVIATIONS * sd, len(scores))


def calibrate(scores_by_reference: dict[str, Sequence[float]]) -> dict[str, Distribution]:
    """The distributions of a whole set of references, whose standard deviations lean on each other."""
    alone = {reference: distribution(scores) for reference, scores in scores_by_reference.items()}
    degrees = sum(found.answers - 1 for found in alone.values())
    shared = (
        math.sqrt(sum((found.answers - 1) * found.sd**2 for found in alone.values()) / degrees) if degrees else None
    )
    return {reference: distribution(scores, shared) for reference, scores in scores_by_reference.items()}


def against_the_others(items: Sequence[Item], score: Callable[[Item, Sequence[Item]], float]) -> list[float]:
    """Each item's score against the rest."""
    return [score(item, [*items[:index], *items[index + 1 :]]) for index, item in enumerate(items)]


def agreements(blessed: Sequence[str]) -> list[float]:
    """Prefix agreement of each blessed answer with the closest other one."""
    return against_the_others(blessed, prefix_agreement)


def similarities(vectors: Sequence[Sequence[float]]) -> list[float]:
    """Cosine of each blessed answer's vector to the closest other one's."""
    return against_the_others(vectors, closest)


def closest(vector: Sequence[float], blessed: Sequence[Sequence[float]]) -> float:
    """Cosine (−1…1) to the nearest of ``blessed``. Raises ValueError without one, or for a vector of length zero."""
    if not blessed:
        raise ValueError("no blessed vector to compare with")
    direction, others = np.asarray(vector, dtype=np.float64), np.asarray(blessed, dtype=np.float64)
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(direction)
    if not np.all(lengths > 0):
        raise ValueError("a vector of length zero has no direction")
    return float(np.clip(np.max(others @ direction / lengths), -1.0, 1.0))
