"""Cumulative counts since start, for exporters: classic buckets, log bins, and an example of each bucket.

The bounds include the limits of the rules, so that a dashboard's "share over 130 ms" is exact. Nothing is ever
taken back: a counter that falls would read as a restart. Counts are kept by model; clients choose these names, so
only the first few get a place of their own and all others share one.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Final, NamedTuple

from watchtower.vocabulary.metrics import OTHER
from watchtower.windows.histogram import bin_of

MOST_MODELS: Final = 2
"""Models with counts of their own; a bound on the number of series."""
LONGEST_NAME: Final = 120
"""Characters of a model's name."""


class Example(NamedTuple):
    """One observation whose client told its trace."""

    trace_id: str
    seconds: float
    at: float
    """CLOCK_BOOTTIME."""


class LatencyTotals:
    """One latency of one model since start."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """``bounds``: seconds, sorted here; +Inf is implied."""
        self.bounds = tuple(sorted(set(bounds)))
        self._counts = [0] * (len(self.bounds) + 1)
        self.bins: dict[int, int] = {}
        """Observations by bin of ``histogram.SCALE``."""
        self.examples: list[Example | None] = [None] * len(self._counts)
        """The newest of each bucket, the last for +Inf."""
        self.sum_seconds = 0.0

    def add(self, seconds: float, times: int = 1, *, trace_id: str = "", at: float = 0.0) -> None:
        bucket = bisect_left(self.bounds, seconds)
        self._counts[bucket] += times
        index = bin_of(seconds)
        self.bins[index] = self.bins.get(index, 0) + times
        self.sum_seconds += seconds * times
        if trace_id:
            self.examples[bucket] = Example(trace_id, seconds, at)

    @property
    def count(self) -> int:
        return sum(self._counts)

    def cumulative(self) -> tuple[int, ...]:
        """Observations <= each bound, in the order of ``bounds``, and last the count of all (le="+Inf")."""
        return tuple(accumulate(self._counts))


class TotalsByModel:
    """One latency since start, by the model that answered."""

    def __init__(self, bounds: tuple[float, ...], expected: str = "") -> None:
        """``expected``: the model that the configuration names; it has a place, and is counted from 0."""
        self._bounds = bounds
        self.models: dict[str, LatencyTotals] = {}
        if expected:
            self.of(expected)

    def of(self, model: str) -> LatencyTotals:
        """The counts that an observation of ``model`` belongs to."""
        name = model[:LONGEST_NAME]
        known = self.models.get(name)
        if known is None:
            if not name or sum(known_name != OTHER for known_name in self.models) >= MOST_MODELS:
                name = OTHER
            known = self.models.setdefault(name, LatencyTotals(self._bounds))
        return known
