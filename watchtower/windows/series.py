"""One latency, in sub-windows: the rows behind ``inter_token_latency_seconds`` and ``time_to_first_token_seconds``.

A token's latency is an observation, but the independent thing is the request, so every sub-window also keeps which
exchanges it heard from. Observations wait in plain lists and are binned with numpy when somebody reads, which keeps
the path of a token short. The series of a tag or a variant is another object of this class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from watchtower.windows.histogram import LOWEST_BIN, Floats, Histogram, Ints, middle
from watchtower.windows.lookback import Lookback
from watchtower.windows.timeline import Timeline
from watchtower.windows.totals import TotalsByModel

T = TypeVar("T", bound=np.generic)

MOST_TOKENS_IN_A_READ = 1_000_000
"""More than that in one read is a mistake of somebody's counting."""


class LatencySlot:
    """One sub-window of one latency."""

    __slots__ = ("_exchanges", "_histogram", "_limits", "_values", "_weights", "exchanges", "longest_gap")

    def __init__(self, limits: tuple[float, ...]) -> None:
        self._limits = limits
        self._values: list[float] = []
        self._weights: list[int] = []
        self._exchanges: set[int] = set()
        self._histogram = Histogram.empty(limits)
        self.exchanges: Ints = np.empty(0, np.int64)
        """Who was heard from, ascending; current after ``histogram()``."""
        self.longest_gap = 0.0

    def add(self, seconds: float, times: int, gap: float, exchange: int) -> None:
        self._values.append(seconds)
        self._weights.append(times)
        self._exchanges.add(exchange)
        if gap > self.longest_gap:
            self.longest_gap = gap

    def histogram(self) -> Histogram:
        """The counts, with everything that waited binned first."""
        if self._values:
            self._histogram = self._histogram + Histogram.of(self._values, self._weights, self._limits)
            self.exchanges = np.union1d(self.exchanges, np.fromiter(self._exchanges, np.int64))
            self._values, self._weights, self._exchanges = [], [], set()
        return self._histogram

    def take_in(self, other: LatencySlot) -> None:
        self._histogram = self.histogram() + other.histogram()
        self.exchanges = np.union1d(self.exchanges, other.exchanges)
        self.longest_gap = max(self.longest_gap, other.longest_gap)


class Past:
    """Sub-windows of one latency in order of time, added up from the last of them backwards: row ``i`` holds what was
    observed in sub-window ``i`` and all after it, and the row after the last holds nothing. So a window that ends with
    the last sub-window is a row, whatever its length, and what is computed, is computed for all windows at once.
    """

    def __init__(self, slots: Sequence[LatencySlot], limits: tuple[float, ...]) -> None:
        parts = [slot.histogram() for slot in slots]
        indices = np.concatenate([np.empty(0, np.int32), *(part.indices for part in parts)]) - LOWEST_BIN
        filled = np.bincount(indices) > 0
        rows = np.repeat(np.arange(len(parts)), [len(part.indices) for part in parts])
        counts = np.zeros((len(parts), np.count_nonzero(filled)))
        counts[rows, np.cumsum(filled)[indices] - 1] = np.concatenate([[], *(part.counts for part in parts)])
        self.limits = limits
        self.bins: list[int] = (np.flatnonzero(filled) + LOWEST_BIN).tolist()
        """Those that are not empty everywhere, ascending."""
        self._each_below = np.cumsum(counts, axis=1)
        """Of each sub-window, at or below each bin."""
        self._each_size = counts.sum(axis=1)
        self._each_sum = np.array([part.sum_ns for part in parts], np.float64)
        self.below = _from_each_on(self._each_below)
        self.at_limits = _from_each_on(np.array([part.at_limits for part in parts]).reshape(len(parts), len(limits)))
        self.sizes = _from_each_on(self._each_size)
        """Observations. Like all counts here: whole numbers, exact up to 2**53."""
        self.sums_ns = _from_each_on(self._each_sum)
        self.squared_sizes = _from_each_on(self._each_size**2)
        self.clusters: list[int] = _from_each_on((self._each_size > 0).astype(np.int64)).tolist()
        """Sub-windows that have any observation."""
        self.counts: list[int] = self.sizes.astype(np.int64).tolist()
        self.exchanges = _distinct([slot.exchanges for slot in slots])
        """How many different ones contributed."""
        self.longest_gaps: list[float] = _from_each_on(
            np.array([slot.longest_gap for slot in slots]), np.maximum
        ).tolist()
        """Seconds; 0 where there is none."""
        self.estimates: dict[float | str, Bands] = {}
        """Kept by whoever makes them."""

    def ranked(self, ranks: Floats) -> NDArray[np.intp]:
        """By row, the first column up to which as many as ``ranks`` observations lie."""
        above, ascending = self._one_sequence
        rows, columns = self.below.shape
        places = np.searchsorted(ascending, ranks + above) - np.arange(rows) * columns
        found: NDArray[np.intp] = np.minimum(places, columns - 1)
        return found

    @cached_property
    def _one_sequence(self) -> tuple[Floats, Floats]:
        """What is added to each row of ``below`` so that all of them are one ascending sequence, and this sequence."""
        above = np.arange(len(self.below)) * (self.sizes[0] + 1)
        return above, (self.below + above[:, None]).ravel()

    @cached_property
    def middles(self) -> Floats:
        """Of the bins, seconds."""
        return np.array([middle(index) for index in self.bins])

    @cached_property
    def scatter_below(self) -> tuple[Floats, Floats]:
        """By row and column, sums over the sub-windows: of (observations at or below the column's bin)², and of these
        observations * the sub-window's size."""
        each = self._each_below
        return _from_each_on(each * each), _from_each_on(each * self._each_size[:, None])

    def residuals_of_sums(self) -> Floats:
        """By row, the sum over the sub-windows of (sum - mean * size)², in ns². Sums are taken around a usual mean, so
        that their squares lose no digits."""
        full = self._each_size > 0
        usual = np.rint(np.median(self._each_sum[full] / self._each_size[full])) if full.any() else 0.0
        each = self._each_sum - usual * self._each_size
        mean = _from_each_on(each) / np.maximum(1, self.sizes)
        squares, products = _from_each_on(each * each), _from_each_on(each * self._each_size)
        residuals: Floats = np.maximum(0.0, squares - 2 * mean * products + mean * mean * self.squared_sizes)
        return residuals


class Bands(NamedTuple):
    """By row of a past: an estimate and its band, seconds."""

    values: list[float]
    lows: list[float]
    highs: list[float]


@dataclass(slots=True, eq=False)
class Sample:
    """What one window holds: the row ``start`` of a past."""

    past: Past
    start: int

    @staticmethod
    def of(slots: Sequence[LatencySlot], limits: tuple[float, ...]) -> Sample:
        """All of ``slots``, which are in order of time."""
        return Sample(Past(slots, limits), 0)

    @property
    def count(self) -> int:
        return self.past.counts[self.start]

    @property
    def clusters(self) -> int:
        return self.past.clusters[self.start]

    @property
    def exchanges(self) -> int:
        return self.past.exchanges[self.start]

    @property
    def longest_gap(self) -> float:
        return self.past.longest_gaps[self.start]


def _from_each_on(values: NDArray[T], add: np.ufunc = np.add) -> NDArray[T]:
    """Each row with all after it added, and nothing in one row more."""
    after = np.zeros((len(values) + 1, *values.shape[1:]), values.dtype)
    add.accumulate(values[::-1], axis=0, out=after[-2::-1])
    return after


def _distinct(heard: Sequence[Ints]) -> list[int]:
    """From each sub-window on, how many different exchanges were heard: each counts where it was heard last."""
    slots = np.repeat(np.arange(len(heard)), [len(exchanges) for exchanges in heard])
    keys = np.sort(np.concatenate([np.empty(0, np.int64), *heard]) * max(1, len(heard)) + slots)
    who, slot = np.divmod(keys, max(1, len(heard)))
    last = slot[np.diff(who, append=-1) != 0]
    counted: list[int] = _from_each_on(np.bincount(last, minlength=len(heard))).tolist()
    return counted


class Series:
    """One latency over time. ``add`` is on the path of every token; ``window`` is a look-up until the next ``add``."""

    def __init__(self, limits: tuple[float, ...], longest_seconds: float, totals: TotalsByModel | None = None) -> None:
        """``totals``: where every observation is counted for export as well; None: nowhere."""
        self._slots = Timeline(lambda: LatencySlot(limits), longest_seconds)
        self._past = Lookback(self._slots, lambda slots: Past(slots, limits))
        self._totals = totals
        self.invalid = 0
        """Observations refused: no positive finite duration, or no sane number of tokens."""

    def add(self, at: float, gap: float, tokens: int, exchange: int, *, model: str = "", trace_id: str = "") -> None:
        """``tokens`` tokens arrived at ``at`` after a gap of ``gap`` seconds: each took ``gap / tokens``."""
        if not (0 < gap < math.inf and 0 < tokens <= MOST_TOKENS_IN_A_READ):
            self.invalid += 1
            return
        if self._totals is not None:
            self._totals.of(model).add(gap / tokens, tokens, trace_id=trace_id, at=at)
        slot = self._slots.at(at)
        if slot is not None:
            slot.add(gap / tokens, tokens, gap, exchange)

    def window(self, after: float, until: float) -> Sample:
        """Everything observed in the sub-windows between (CLOCK_BOOTTIME seconds)."""
        return Sample(*self._past.since(after, until))
