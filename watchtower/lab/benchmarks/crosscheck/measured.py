"""What one party measured of one run, in words that all parties share.

A latency means nothing without its definition: one tool prints gaps between tokens, another the mean gap of each
request, and their 95th percentiles differ by a factor on the same stream. So a distribution stands under its
definition, and only like is compared with like. Seconds throughout.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Definition(StrEnum):
    FIRST_TOKEN = "first token"  # noqa: S105
    """One for each request: from sending it to its first token."""
    GAP = "gap, each token"
    """One for each token after the first of its request."""
    MEAN_GAP = "gap, request mean"
    """One for each request: from its first to its last token, divided by the tokens after the first."""


STATISTICS: Final = ("mean", "p50", "p95")


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """Of one definition. A party may tell a statistic, or only the bucket that it lies in, or neither."""

    count: int
    """Observations."""
    statistics: dict[str, float] = {}
    """By name in STATISTICS."""
    buckets: dict[str, tuple[float, float]] = {}
    """The statistic is above the first and at most the second; the second is infinite for the last bucket."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One party's view of one run."""

    requests: int
    output_tokens: int
    gaps: int = 0
    """Ours only: tokens that came after a gap, which is all of them but those of each first read."""
    distributions: dict[Definition, Latencies]
    notes: list[str] = []
    """What a reader has to know, one sentence each."""


class Buckets(msgspec.Struct, frozen=True):
    """A Prometheus histogram: upper bounds (the last is infinite) and cumulative counts."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float

    def since(self, before: Buckets | None) -> Buckets:
        """What came after ``before``. Raises ValueError when the bounds are others."""
        if before is None:
            return self
        if before.bounds != self.bounds:
            raise ValueError("the histogram's bounds have changed")
        counts = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        return Buckets(self.bounds, counts, self.sum - before.sum)

    @property
    def count(self) -> int:
        return round(self.counts[-1]) if self.counts else 0

    def bucket(self, share: float) -> tuple[float, float]:
        """Bounds of the bucket that holds the quantile. Raises ValueError without observations."""
        if not self.count:
            raise ValueError("no observation")
        place = next(index for index, count in enumerate(self.counts) if count >= share * self.counts[-1] > 0)
        return (self.bounds[place - 1] if place else 0.0, self.bounds[place])

    def distribution(self) -> Latencies:
        if not self.count:
            return Latencies(count=0)
        return Latencies(
            count=self.count,
            statistics={"mean": self.sum / self.counts[-1]},
            buckets={"p50": self.bucket(0.50), "p95": self.bucket(0.95)},
        )
