"""Cumulative counts since start, for exporters that want classic histogram buckets.

The bounds include the limits of the rules, so that a dashboard's "share over 130 ms" is exact. Nothing is ever
taken back: a counter that falls would read as a restart.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate


class LatencyTotals:
    """One latency since start."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """``bounds``: seconds, sorted here; +Inf is implied."""
        self.bounds = tuple(sorted(set(bounds)))
        self._counts = [0] * (len(self.bounds) + 1)
        self.sum_seconds = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        self._counts[bisect_left(self.bounds, seconds)] += times
        self.sum_seconds += seconds * times

    @property
    def count(self) -> int:
        return sum(self._counts)

    def cumulative(self) -> tuple[int, ...]:
        """Observations <= each bound, in the order of ``bounds``, and last the count of all (le="+Inf")."""
        return tuple(accumulate(self._counts))
