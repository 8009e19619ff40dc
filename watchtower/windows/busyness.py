"""How busy one GPU was over any window: time-weighted mean and standard deviation, from samples of unequal length.

Running sums are kept beside the samples, so a window costs two look-ups, however many samples it holds. The rate of a
driver's samples is never assumed (1/6 s to 1 s, a DCGM exporter 30 s): each sample weighs as long as it lasted.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from watchtower.vocabulary.gpus import UtilizationSample

AHEAD_SECONDS: Final = 1.0
"""A sample stamped further than this after its report is not believed."""


@dataclass(frozen=True, slots=True)
class Busy:
    """What is known of one window."""

    seconds: float
    """Covered by samples."""
    mean: float
    deviation: float
    """Population standard deviation in time. Both are ratios, 0 when nothing is covered."""


class Busyness:
    """Samples of one GPU in order of time. A sample seen before, or overtaken, is ignored."""

    __slots__ = ("_busy", "_covered", "_ends", "_longest", "_squares", "newest_seconds")

    def __init__(self, longest_seconds: float) -> None:
        self._longest = longest_seconds
        self._ends: list[float] = []
        self._covered = [0.0]
        self._busy = [0.0]
        self._squares = [0.0]
        self.newest_seconds = 0.0
        """How long the newest sample lasted."""

    @property
    def newest(self) -> float:
        """End of the newest sample, CLOCK_BOOTTIME seconds; -inf while there is none."""
        return self._ends[-1] if self._ends else -math.inf

    def add(self, sample: UtilizationSample, reported_at: float) -> None:
        seconds = min(sample.seconds, sample.at - self.newest)  # overlapping samples do not count twice
        if not (seconds > 0 and 0 <= sample.busy <= 1 and sample.at <= reported_at + AHEAD_SECONDS):
            return  # also what is no number
        self._ends.append(sample.at)
        self._covered.append(self._covered[-1] + seconds)
        self._busy.append(self._busy[-1] + sample.busy * seconds)
        self._squares.append(self._squares[-1] + sample.busy * sample.busy * seconds)
        self.newest_seconds = seconds
        if sample.at - self._ends[0] > 2 * self._longest:
            self._forget(sample.at - self._longest)

    def between(self, after: float, until: float) -> Busy:
        """Of the samples that end after ``after`` and not after ``until``."""
        first, last = bisect_right(self._ends, after), bisect_right(self._ends, until)
        seconds = self._covered[last] - self._covered[first]
        if last <= first or seconds <= 0:
            return Busy(0.0, 0.0, 0.0)
        mean = (self._busy[last] - self._busy[first]) / seconds
        square = (self._squares[last] - self._squares[first]) / seconds
        return Busy(seconds, mean, math.sqrt(max(0.0, square - mean * mean)))

    def _forget(self, before: float) -> None:
        old = bisect_right(self._ends, before)
        del self._ends[:old]
        for sums in (self._covered, self._busy, self._squares):
            del sums[:old]
