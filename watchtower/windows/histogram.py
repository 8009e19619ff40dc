"""Log-binned counts: exact to merge, add and subtract, and within 0.55 % on any quantile.

The bins are those of OpenTelemetry's base-2 exponential histogram at scale 6: bin i holds values in
(base**i, base**(i + 1)] with base = 2**(1/64), so an export to OTel copies counts and never re-records.
A quantile answers with the bin's harmonic middle, whose relative error is at most
(base - 1) / (base + 1) = 0.54 % of the exact order statistic (scale 5 would be 1.08 %: too coarse for our 1 %).

Beside the bins stand exact counts at given limits, and a quantile never contradicts them: "p95 > 130 ms" is decided
by counting, not by where a bin happens to end. Only non-empty bins are kept (12 bytes each).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SCALE: Final = 6
BINS_PER_OCTAVE: Final = 1 << SCALE
BASE: Final = 2.0 ** (1 / BINS_PER_OCTAVE)
RELATIVE_ERROR: Final = (BASE - 1) / (BASE + 1)
"""Bound on |quantile - exact| / exact, for values between SMALLEST and LARGEST."""

SMALLEST: Final = 2.0**-20
"""About 1 µs; shorter durations are counted in the lowest bin."""
LOWEST_BIN: Final = -20 * BINS_PER_OCTAVE - 1
LARGEST: Final = 2.0**17
"""About 36 hours; longer durations are counted in the highest bin."""

Ints = NDArray[np.int64]
Bins = NDArray[np.int32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """A value: every operation returns a new one. All counts are whole numbers, so no order of merging matters."""

    indices: Bins
    """Non-empty bins, ascending."""
    counts: Ints
    """How many values each of them holds."""
    limits: tuple[float, ...]
    at_limits: Ints
    """Exact number of values <= each limit."""
    sum_ns: int
    """Sum of the values in whole nanoseconds: exact under merge and subtract."""
    invalid: int
    """Values that are no duration: zero, negative, infinite, NaN. They are in no other figure."""

    @staticmethod
    def empty(limits: tuple[float, ...] = ()) -> Histogram:
        """Nothing counted yet."""
        return Histogram(
            np.empty(0, np.int32), np.empty(0, np.int64), limits, np.zeros(len(limits), np.int64), sum_ns=0, invalid=0
        )

    @staticmethod
    def of(
        values: Sequence[float] | Floats,
        weights: Sequence[int] | Ints | None = None,
        limits: tuple[float, ...] = (),
    ) -> Histogram:
        """Count ``values`` (seconds), each ``weights`` times (default once). Never raises for a bad value."""
        given = np.asarray(values, np.float64)
        times = np.ones(len(given), np.int64) if weights is None else np.asarray(weights, np.int64)
        good = np.isfinite(given) & (given > 0) & (times > 0)
        if not good.all():
            bad = int(np.maximum(times[~good], 1).sum())
            given, times = given[good], times[good]
        else:
            bad = 0
        if not len(given):
            nothing = Histogram.empty(limits)
            return Histogram(nothing.indices, nothing.counts, limits, nothing.at_limits, sum_ns=0, invalid=bad)
        indices, counts = _gather(_bin_of(given), times)
        at_limits = np.array([int(times[given <= limit].sum()) for limit in limits], np.int64)
        nanoseconds = np.rint(np.minimum(given, LARGEST) * 1e9).astype(np.int64)
        return Histogram(indices, counts, limits, at_limits, sum_ns=_exact_sum(nanoseconds, times), invalid=bad)

    @staticmethod
    def merged(parts: Sequence[Histogram], limits: tuple[float, ...] = ()) -> Histogram:
        """The sum of ``parts`` (which share their limits), as if every value had been counted in one place."""
        if not parts:
            return Histogram.empty(limits)
        if any(part.limits != parts[0].limits for part in parts):
            raise ValueError("histograms with different limits cannot be merged")
        indices, counts = _gather(
            np.concatenate([part.indices for part in parts]), np.concatenate([part.counts for part in parts])
        )
        return Histogram(
            indices,
            counts,
            parts[0].limits,
            np.sum([part.at_limits for part in parts], axis=0, dtype=np.int64),
            sum_ns=sum(part.sum_ns for part in parts),
            invalid=sum(part.invalid for part in parts),
        )

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram.merged((self, other))

    def __sub__(self, other: Histogram) -> Histogram:
        """Take out what was merged in before. Raises ValueError when ``other`` was never part of this one."""
        negative = Histogram(
            other.indices, -other.counts, other.limits, -other.at_limits, sum_ns=-other.sum_ns, invalid=-other.invalid
        )
        rest = Histogram.merged((self, negative))
        if (rest.counts < 0).any() or rest.invalid < 0:
            raise ValueError("cannot subtract a histogram that is no part of this one")
        return rest

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self.limits == other.limits
            and (self.sum_ns, self.invalid) == (other.sum_ns, other.invalid)
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.at_limits, other.at_limits)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays: compared by value, never a key

    @property
    def count(self) -> int:
        return int(self.counts.sum())

    @property
    def sum_seconds(self) -> float:
        return self.sum_ns / 1e9

    @property
    def mean(self) -> float | None:
        """Seconds; None when nothing was counted."""
        return self.sum_seconds / self.count if len(self.counts) else None

    @property
    def nbytes(self) -> int:
        """Bytes of counts held."""
        return self.indices.nbytes + self.counts.nbytes + self.at_limits.nbytes

    def quantile(self, q: float) -> float | None:
        """The smallest value that at least a share ``q`` of the values does not exceed (0 <= q <= 1: clamped).

        Within RELATIVE_ERROR of the exact order statistic; on the right side of every limit. None: nothing counted.
        """
        total = self.count
        if not total or math.isnan(q):
            return None
        rank = max(1, math.ceil(round(min(max(q, 0.0), 1.0) * total, 9)))
        place = int(np.searchsorted(np.cumsum(self.counts), rank))
        value = middle(int(self.indices[place]))
        for limit, at_limit in zip(self.limits, self.at_limits, strict=True):
            value = min(value, limit) if rank <= at_limit else max(value, math.nextafter(limit, math.inf))
        return value

    def rank(self, value: float) -> int:
        """How many values are <= ``value``: exact at a limit, elsewhere to the end of the bin that holds it."""
        if math.isnan(value) or value <= 0:
            return 0
        if value in self.limits:
            return int(self.at_limits[self.limits.index(value)])
        last = _bin_of(np.array([value]))[0]
        return int(self.counts[: np.searchsorted(self.indices, last, side="right")].sum())

    def otel(self) -> tuple[int, list[int]]:
        """(offset, bucket_counts) of an OTel ``ExponentialHistogramDataPoint`` with scale SCALE."""
        if not len(self.indices):
            return 0, []
        offset = int(self.indices[0])
        dense = np.zeros(int(self.indices[-1]) - offset + 1, np.int64)
        dense[self.indices - offset] = self.counts
        return offset, dense.tolist()


def edges(index: int) -> tuple[float, float]:
    """Lower (exclusive) and upper (inclusive) edge of a bin, seconds."""
    return 2.0 ** (index / BINS_PER_OCTAVE), 2.0 ** ((index + 1) / BINS_PER_OCTAVE)


@cache
def middle(index: int) -> float:
    """The harmonic middle of a bin, seconds."""
    low, high = edges(index)
    return 2 * low * high / (low + high)


def bin_of(seconds: float) -> int:
    """The bin of one positive, finite value."""
    return math.ceil(math.log2(min(max(seconds, SMALLEST), LARGEST)) * BINS_PER_OCTAVE) - 1


def _bin_of(values: Floats) -> Bins:
    clipped = np.clip(values, SMALLEST, LARGEST)
    bins: Bins = (np.ceil(np.log2(clipped) * BINS_PER_OCTAVE) - 1).astype(np.int32)
    return bins


def _gather(indices: Bins, counts: Ints) -> tuple[Bins, Ints]:
    """Equal bins added up, empty ones left out, ascending."""
    if not len(indices):
        return indices, counts
    lowest = int(indices.min())
    dense = np.zeros(int(indices.max()) - lowest + 1, np.int64)
    np.add.at(dense, indices - lowest, counts)
    kept: NDArray[Any] = np.flatnonzero(dense)
    return (kept + lowest).astype(np.int32), dense[kept]


def _exact_sum(nanoseconds: Ints, times: Ints) -> int:
    """Sum of products that cannot overflow: in int64 where it fits, otherwise in Python's integers."""
    if float(np.dot(nanoseconds.astype(np.float64), times.astype(np.float64))) < 2.0**62:
        return int(np.dot(nanoseconds, times))
    return sum(int(value) * int(weight) for value, weight in zip(nanoseconds, times, strict=True))
