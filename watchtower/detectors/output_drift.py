"""Has sampled output drifted? For answers that never repeat, where one distance tells almost nothing. Pure.

Each prompt has an answer from then and one from now. While the model is the same, which is which is a coin's toss, so
the difference (now less then) is as likely as its opposite, for every prompt and whatever the prompts are: there is no
null to estimate and none that a change of topics could void. Differences seen so far give a direction; the next one is
projected onto it, bounded, and shifted to [0, 1] with mean ½. The mean of that stream rises when differences keep
pointing the same way (shorter, more lists, another tone), which the e-detector notices.

Limits: a change with no common direction is invisible, and the first prompts after a change only teach the direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from watchtower.detectors.shiryaev_roberts import ShiryaevRoberts

NULL = 0.5
BOUND = 2.0
"""Projections count up to so many of their usual size."""
MEMORY = 0.995
"""What the direction keeps of itself with each prompt: half of it is forgotten after 140."""
SIZE_MEMORY = 0.95
"""The same for the usual size of a projection."""


class OutputDrift:
    """One stream of paired answers, each as several blocks of numbers (meaning, wording, form)."""

    def __init__(self, scales: Sequence[float], run_length: float) -> None:
        """``scales``: root mean square length of each block's difference between answers of the healthy model
        (``scale_of``), so that no block drowns another. Raises ValueError unless positive."""
        if not scales or min(scales) <= 0:
            raise ValueError("every block needs a positive scale")
        self._scales = tuple(scales)
        self._direction: NDArray[np.float64] | None = None
        self._size = 0.0
        self.detector = ShiryaevRoberts(run_length)

    def observe(self, then: Sequence[NDArray[np.float32]], now: Sequence[NDArray[np.float32]]) -> bool:
        """One prompt's two answers, a row for each block; whether the alarm is up."""
        blocks = zip(then, now, self._scales, strict=True)
        difference = np.concatenate([(b.astype(np.float64) - a) / scale for a, b, scale in blocks])
        if self._direction is None:
            self._direction = difference
            return self.detector.alarm
        projected = float(self._direction @ difference)
        usual = math.sqrt(self._size) or abs(projected) or 1.0
        up = self.detector.observe(NULL + NULL * max(-1.0, min(1.0, projected / (BOUND * usual))), NULL)
        forget = SIZE_MEMORY if self._size else 0.0
        self._size = forget * self._size + (1 - forget) * projected**2
        self._direction = MEMORY * self._direction + difference
        return up


def scale_of(then: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """Root mean square length of the differences of paired rows; 1 where they never differ."""
    return math.sqrt(float(((now - then).astype(np.float64) ** 2).sum(axis=1).mean())) or 1.0
