"""One latency, in sub-windows: the rows behind ``inter_token_latency_seconds`` and ``time_to_first_token_seconds``.

A token's latency is an observation, but the independent thing is the request, so every sub-window also keeps what each
exchange told in it. Observations wait in plain lists and are binned with numpy when somebody reads, which keeps the
path of a token short. The series of a tag or a variant is another object of this class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from watchtower.windows.histogram import LOWEST_BIN, Floats, Histogram, middle
from watchtower.windows.lookback import Lookback
from watchtower.windows.requests_heard import Contributions, RequestsHeard, suffix_sums
from watchtower.windows.timeline import Timeline
from watchtower.windows.totals import TotalsByModel

MOST_TOKENS_IN_A_READ = 1_000_000
"""More than that in one read is a mistake of somebody's counting."""
MOST_OF_A_REQUEST: Final = 256
"""Observations that one exchange may add to a sub-window between two looks: a weight is bounded, or one request that
is told in bursts would outweigh all others. The totals for export have all of them."""


class Count(NamedTuple):
    """How surely the tokens of a read were counted."""

    certainty: float = 1.0
    """The true time per token is at least this share of the observed one: 1 for an exact count, 0 where a piece of text
    counts as one token and nobody knows how many it holds."""
    estimated: bool = False


EXACT: Final = Count()
UNPROVEN: Final = Count(0.0, estimated=True)
"""The time per token is at most what was observed."""


class LatencySlot:
    """One sub-window of one latency."""

    __slots__ = (
        *("_by_exchange", "_exchanges", "_histogram", "_limits", "_values", "_weights"),
        *("certainty", "estimated", "left_out", "contributions", "longest_gap", "unproven"),
    )

    def __init__(self, limits: tuple[float, ...]) -> None:
        self._limits = limits
        self._values: list[float] = []
        self._weights: list[int] = []
        self._exchanges: list[int] = []
        self._by_exchange: dict[int, int] = {}
        self._histogram = Histogram.empty(limits)
        self.contributions = Contributions.nothing(len(limits))
        """By exchange; current after ``histogram()``."""
        self.longest_gap = 0.0
        self.left_out = 0
        """Observations that are not among the counts: the relay itself was late when it made them."""
        self.estimated = 0
        """Observations whose number of tokens is not exact."""
        self.unproven = 0
        """Of these, those that are only an upper bound."""
        self.certainty = 1.0
        """The least ``Count.certainty`` of the others."""

    def add(self, seconds: float, times: int, exchange: int, count: Count = EXACT) -> None:
        before = self._by_exchange.get(exchange, 0)
        times = min(times, MOST_OF_A_REQUEST - before)
        if times <= 0:
            return
        self._by_exchange[exchange] = before + times
        self._values.append(seconds)
        self._weights.append(times)
        self._exchanges.append(exchange)
        if count.estimated:
            self.estimated += times
            if count.certainty > 0:
                self.certainty = min(self.certainty, count.certainty)
            else:
                self.unproven += times

    def histogram(self) -> Histogram:
        """The counts, with everything that waited binned first."""
        if self._values:
            self._histogram = self._histogram + Histogram.of(self._values, self._weights, self._limits)
            self.contributions = self.contributions + Contributions.of(
                self._exchanges, self._values, self._weights, self._limits
            )
            self._values, self._weights, self._exchanges, self._by_exchange = [], [], [], {}
        return self._histogram

    def take_in(self, other: LatencySlot) -> None:
        self._histogram = self.histogram() + other.histogram()
        self.contributions = self.contributions + other.contributions
        self.longest_gap = max(self.longest_gap, other.longest_gap)
        self.left_out += other.left_out
        self.estimated += other.estimated
        self.unproven += other.unproven
        self.certainty = min(self.certainty, other.certainty)


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
        self.below = suffix_sums(self._each_below)
        self.at_limits = suffix_sums(np.array([part.at_limits for part in parts]).reshape(len(parts), len(limits)))
        self.sizes = suffix_sums(self._each_size)
        """Observations. Like all counts here: whole numbers, exact up to 2**53."""
        self.sums_ns = suffix_sums(self._each_sum)
        self.squared_sizes = suffix_sums(self._each_size**2)
        self.clusters: list[int] = suffix_sums((self._each_size > 0).astype(np.int64)).tolist()
        """Sub-windows that have any observation."""
        self.counts: list[int] = self.sizes.astype(np.int64).tolist()
        self.requests = RequestsHeard([slot.contributions for slot in slots], limits)
        self.exchanges: list[int] = self.requests.distinct.tolist()
        """How many different ones contributed."""
        self.left_out: list[int] = _summed([slot.left_out for slot in slots])
        self.estimated: list[int] = _summed([slot.estimated for slot in slots])
        self.unproven: list[int] = _summed([slot.unproven for slot in slots])
        """Observations, as ``LatencySlot`` says."""
        self.certainty: Floats = suffix_least(np.array([slot.certainty for slot in slots]))
        self.longest_gaps: list[float] = suffix_sums(
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
        return suffix_sums(each * each), suffix_sums(each * self._each_size[:, None])

    @cached_property
    def shares_within(self) -> list[Floats]:
        """For each limit, by row: the share of the observations at or below it."""
        return [column / np.maximum(1, self.sizes) for column in self.at_limits.T]

    @cached_property
    def residuals_within(self) -> list[Floats]:
        """The same, the sum over the requests of (observations within the limit - share * observations)²."""
        return [self.requests.residuals_within(place, shares) for place, shares in enumerate(self.shares_within)]

    @cached_property
    def usual_ns(self) -> float:
        """A mean near all means. Sums are taken around it, so that their squares lose no digits."""
        full = self._each_size > 0
        return float(np.rint(np.median(self._each_sum[full] / self._each_size[full]))) if full.any() else 0.0

    def residuals_of_sums(self) -> Floats:
        """By row, the sum over the sub-windows of (sum - mean * size)², in ns²."""
        each = self._each_sum - self.usual_ns * self._each_size
        mean = suffix_sums(each) / np.maximum(1, self.sizes)
        squares, products = suffix_sums(each * each), suffix_sums(each * self._each_size)
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
    def left_out(self) -> int:
        return self.past.left_out[self.start]

    @property
    def estimated(self) -> float:
        """Share of the observations."""
        return self.past.estimated[self.start] / self.count if self.count else 0.0

    @property
    def unproven(self) -> float:
        """Share of the observations."""
        return self.past.unproven[self.start] / self.count if self.count else 0.0

    @property
    def longest_gap(self) -> float:
        return self.past.longest_gaps[self.start]


def _summed(values: list[int]) -> list[int]:
    found: list[int] = suffix_sums(np.array(values, np.int64)).tolist()
    return found


def suffix_least(values: Floats) -> Floats:
    """Of each row and all after it the least, and 1 in one row more."""
    least: Floats = np.minimum.accumulate(np.append(values, 1.0)[::-1])[::-1]
    return least


class Series:
    """One latency over time. ``add`` is on the path of every token; ``window`` is a look-up until the next ``add``."""

    def __init__(self, limits: tuple[float, ...], longest_seconds: float, totals: TotalsByModel | None = None) -> None:
        """``totals``: where every observation is counted for export as well; None: nowhere."""
        self._slots = Timeline(lambda: LatencySlot(limits), longest_seconds)
        self._past = Lookback(self._slots, lambda slots: Past(slots, limits))
        self._totals = totals
        self.invalid = 0
        """Observations refused: no positive finite duration, or no sane number of tokens."""
        self.left_out = 0
        """Observations that the totals have and no window: the relay itself was late when it made them."""

    def add(
        self,
        at: float,
        seconds: float,
        times: int,
        exchange: int,
        *,
        gap: float = 0.0,
        count: Count = EXACT,
        late: bool = False,
        model: str = "",
        trace_id: str = "",
    ) -> None:
        """``times`` observations of ``seconds`` each, made by one read at ``at`` after ``gap`` seconds without one.
        ``late``: the client felt it, so the totals have it; the engine is not judged by it."""
        if not (0 < seconds < math.inf and 0 < times <= MOST_TOKENS_IN_A_READ):
            self.invalid += 1
            return
        if self._totals is not None:
            self._totals.of(model).add(seconds, times, trace_id=trace_id, at=at)
        slot = self._slots.at(at)
        if late:
            self.left_out += times
            if slot is not None:
                slot.left_out += times
        elif slot is not None:
            slot.add(seconds, times, exchange, count)
            if gap > slot.longest_gap:
                slot.longest_gap = gap

    def window(self, after: float, until: float) -> Sample:
        """Everything observed in the sub-windows between (CLOCK_BOOTTIME seconds)."""
        return Sample(*self._past.since(after, until))
