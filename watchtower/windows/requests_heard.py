"""Who an observation comes from: the request is the independent thing, its tokens are not.

Ten thousand tokens of twenty requests are twenty witnesses. So each sub-window keeps, for every exchange that it heard
from, how much it told and how much of that lay within each limit: enough for a band whose clusters are requests, over
every window that ends now at once. An exchange counts with what it told inside the window, whether it has ended or
not: otherwise the slowest would be heard last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from watchtower.windows.histogram import Floats, Ints

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """What one sub-window heard, a row for each exchange, ascending."""

    exchanges: Ints
    sizes: Floats
    """Observations."""
    sums_ns: Floats
    within: Floats
    """Observations at or below each limit, a column for each."""

    @staticmethod
    def nothing(limits: int) -> Contributions:
        empty = np.empty(0)
        return Contributions(np.empty(0, np.int64), empty, empty, np.empty((0, limits)))

    @staticmethod
    def of(
        exchanges: Sequence[int], values: Sequence[float], weights: Sequence[int], limits: tuple[float, ...]
    ) -> Contributions:
        """Each of ``values`` (seconds) was observed ``weights`` times, of the exchange beside it."""
        who, places = np.unique(np.asarray(exchanges, np.int64), return_inverse=True)
        seconds, times = np.asarray(values, np.float64), np.asarray(weights, np.float64)
        count = len(who)
        within = [_sums(places, times * (seconds <= limit), count) for limit in limits]
        return Contributions(
            who,
            _sums(places, times, count),
            _sums(places, times * np.rint(seconds * 1e9), count),
            np.column_stack(within) if within else np.empty((count, 0)),
        )

    def __add__(self, other: Contributions) -> Contributions:
        if not len(self.exchanges):
            return other
        who, places = np.unique(np.concatenate([self.exchanges, other.exchanges]), return_inverse=True)
        columns = np.column_stack(
            [
                np.concatenate([self.sizes, other.sizes]),
                np.concatenate([self.sums_ns, other.sums_ns]),
                np.concatenate([self.within, other.within]),
            ]
        )
        added = np.zeros((len(who), columns.shape[1]))
        np.add.at(added, places, columns)
        return Contributions(who, added[:, 0], added[:, 1], added[:, 2:])


class RequestsHeard:
    """Of sub-windows in order of time: by row, what every exchange told in that sub-window and all after it."""

    def __init__(self, parts: Sequence[Contributions], limits: tuple[float, ...]) -> None:
        self._rows = len(parts)
        exchanges = np.concatenate([np.empty(0, np.int64), *(part.exchanges for part in parts)])
        slots = np.repeat(np.arange(len(parts)), [len(part.exchanges) for part in parts])
        self._order = _backwards(exchanges, slots, len(parts))
        who, self._slots = exchanges[self._order], slots[self._order]
        self._first = np.flatnonzero(np.diff(who, prepend=-1))
        """Where the newest sub-window of each exchange stands; those before it in time follow."""
        self._lengths = np.diff(self._first, append=len(who))
        self._parts = parts
        self._limits = len(limits)
        heard = np.bincount(self._slots[self._first], minlength=len(parts))
        self.distinct: Ints = suffix_sums(heard)
        """By row, how many different exchanges were heard."""

    def residuals_within(self, limit: int, shares: Floats) -> Floats:
        """By row, the sum over the exchanges of (observations within the limit - share * observations)²."""
        within = self._running(np.concatenate([np.empty(0), *(part.within[:, limit] for part in self._parts)]))
        return self._residuals(within, shares)

    def residuals_of_sums(self, means_ns: Floats, usual_ns: float) -> Floats:
        """By row, the sum over the exchanges of (sum - mean * observations)², in ns²; ``usual_ns`` is near all means
        (sums are taken around it, so that their squares lose no digits)."""
        sums = self._running(
            np.concatenate([np.empty(0), *(part.sums_ns - usual_ns * part.sizes for part in self._parts)])
        )
        return self._residuals(sums, means_ns - usual_ns)

    def _residuals(self, hits: _Running, ratio: Floats) -> Floats:
        sizes = self._sizes
        squares, products, squared = (
            self._by_row(some.after * other.after - some.before * other.before)
            for some, other in ((hits, hits), (hits, sizes), (sizes, sizes))
        )
        residuals: Floats = np.maximum(0.0, squares - 2 * ratio * products + ratio * ratio * squared)
        return residuals

    @cached_property
    def _sizes(self) -> _Running:
        return self._running(np.concatenate([np.empty(0), *(part.sizes for part in self._parts)]))

    def _running(self, values: Floats) -> _Running:
        """What each exchange had told with each of its sub-windows and before it, from the newest backwards."""
        each = values[self._order]
        sums = np.cumsum(each)
        earlier = np.repeat(sums[self._first] - each[self._first], self._lengths)
        after: Floats = sums - earlier
        return _Running(after, after - each)

    def _by_row(self, changes: Floats) -> Floats:
        return suffix_sums(_sums(self._slots, changes, self._rows))


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    after: Floats
    before: Floats


def _sums(places: NDArray[np.intp], values: Floats, count: int) -> Floats:
    """For each of ``count`` places the sum of its values."""
    found: Floats = np.bincount(places, values, count).astype(np.float64, copy=False)
    return found


def suffix_sums(values: NDArray[T], add: np.ufunc = np.add) -> NDArray[T]:
    """Each row with all after it added, and nothing in one row more."""
    after = np.zeros((len(values) + 1, *values.shape[1:]), values.dtype)
    add.accumulate(values[::-1], axis=0, out=after[-2::-1])
    return after


def _backwards(exchanges: Ints, slots: Ints, rows: int) -> NDArray[np.intp]:
    """The order by exchange and, within each, from the newest sub-window backwards."""
    if not len(exchanges):
        return np.empty(0, np.intp)
    # the place travels in the low bits: sorting plain integers is several times as fast as finding their order
    bits = max(1, (len(exchanges) - 1).bit_length())
    keys = exchanges * rows + (rows - 1 - slots)
    packed = np.sort((keys << bits) | np.arange(len(keys)))
    order: NDArray[np.intp] = packed & ((1 << bits) - 1)
    return order
