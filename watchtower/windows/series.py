"""One latency, in sub-windows: the rows behind ``inter_token_latency_seconds`` and ``time_to_first_token_seconds``.

A token's latency is an observation, but the independent thing is the request, so every sub-window also keeps which
exchanges it heard from. Observations wait in plain lists and are binned with numpy when somebody reads, which keeps
the path of a token short. A second series for a model or a tag would be a second object of this class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watchtower.windows.histogram import Histogram, Ints
from watchtower.windows.timeline import Timeline
from watchtower.windows.totals import TotalsByModel

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


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a window holds: the merged counts, and the same counts per sub-window for the confidence band."""

    histogram: Histogram
    exchanges: int
    """Distinct exchanges that contributed."""
    longest_gap: float
    """Seconds; 0 when there is none."""
    cluster_counts: Ints
    """Observations per sub-window that has any."""
    cluster_sums: NDArray[np.float64]
    """Seconds per such sub-window."""
    _bins: NDArray[np.int32]
    _bin_counts: Ints
    _bin_cluster: NDArray[np.int64]

    def clusters_below(self, last_bin: int) -> NDArray[np.float64]:
        """Per sub-window, how many observations are in ``last_bin`` or below it."""
        below = self._bins <= last_bin
        weights = self._bin_counts[below].astype(np.float64)
        counted = np.bincount(self._bin_cluster[below], weights=weights, minlength=len(self.cluster_counts))
        return counted.astype(np.float64)

    @staticmethod
    def of(slots: Sequence[LatencySlot], limits: tuple[float, ...]) -> Sample:
        parts = [(slot.histogram(), slot) for slot in slots]
        held = [histogram for histogram, _ in parts if len(histogram.counts)]
        heard = [slot.exchanges for _, slot in parts if len(slot.exchanges)]
        sizes = [len(histogram.counts) for histogram in held]
        return Sample(
            histogram=Histogram.merged([histogram for histogram, _ in parts], limits),
            exchanges=len(np.unique(np.concatenate(heard))) if heard else 0,
            longest_gap=max((slot.longest_gap for _, slot in parts), default=0.0),
            cluster_counts=np.array([histogram.count for histogram in held], np.int64),
            cluster_sums=np.array([histogram.sum_seconds for histogram in held]),
            _bins=np.concatenate([histogram.indices for histogram in held]) if held else np.empty(0, np.int32),
            _bin_counts=np.concatenate([histogram.counts for histogram in held]) if held else np.empty(0, np.int64),
            _bin_cluster=np.repeat(np.arange(len(held)), sizes),
        )


class Series:
    """One latency over time. ``add`` is on the path of every token; ``window`` is cached until the next ``add``."""

    def __init__(
        self, limits: tuple[float, ...], bounds: tuple[float, ...], longest_seconds: float, model: str = ""
    ) -> None:
        """``model``: the one that the configuration names, if it names one."""
        self._limits = limits
        self._slots = Timeline(lambda: LatencySlot(limits), longest_seconds)
        self._cache: dict[tuple[float, float], Sample] = {}
        self._cached_version = -1
        self.totals = TotalsByModel(bounds, model)
        self.invalid = 0
        """Observations refused: no positive finite duration, or no sane number of tokens."""

    def add(self, at: float, gap: float, tokens: int, exchange: int, *, model: str = "", trace_id: str = "") -> None:
        """``tokens`` tokens arrived at ``at`` after a gap of ``gap`` seconds: each took ``gap / tokens``."""
        if not (0 < gap < math.inf and 0 < tokens <= MOST_TOKENS_IN_A_READ):
            self.invalid += 1
            return
        self.totals.of(model).add(gap / tokens, tokens, trace_id=trace_id, at=at)
        slot = self._slots.at(at)
        if slot is not None:
            slot.add(gap / tokens, tokens, gap, exchange)

    def window(self, after: float, until: float) -> Sample:
        """Everything observed in the sub-windows between (CLOCK_BOOTTIME seconds)."""
        if self._cached_version != self._slots.version:
            self._cache.clear()
            self._cached_version = self._slots.version
        key = (after, until)
        if key not in self._cache:
            if len(self._cache) > 32:
                self._cache.clear()
            self._cache[key] = Sample.of(self._slots.between(after, until), self._limits)
        return self._cache[key]
