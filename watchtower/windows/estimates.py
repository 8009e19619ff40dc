"""Numbers with their 95 % band. Pure arithmetic on a ``Sample`` or on counts.

Tokens are not independent, in two ways: those of one second share decode steps, queue and clock, and those of one
request share its prompt, its batch and its rank. The band of a quantile is Woodruff's (J. Amer. Statist. Assoc. 47,
1952, 635-646): the standard error of the share of values at or below the estimate, from a cluster-robust ratio
estimator, carried back through the histogram. The clusters are seconds or requests, whichever says less. Between
requests the share is taken at the nearest limit of a rule, because there it decides: one slow request of twenty is no
slow engine, however many tokens it has. Student's t with (clusters - 1) degrees of freedom instead of 1.96 keeps short
windows honest. What a band cannot see is dependence longer than its sub-windows; that is what a rule's ``for:`` is for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchtower.windows.histogram import Floats, Ints
from watchtower.windows.series import Bands, Past, Sample

Z95: Final = 1.959963984540054
MOST_FREEDOM: Final = 10_000
"""From here on Student's t is the normal distribution, to four digits."""


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float


def quantile(sample: Sample, q: float, waits: Sequence[float] = ()) -> Estimate | None:
    """The q-quantile and its band; None with fewer than two clusters. Where the band of the share passes 0 or 1
    the data cannot bound the quantile on that side, and the band ends at the smallest or largest bin seen.

    ``waits``: what has lasted so long (seconds) and is not over. Those longer than the quantile of the others raise it:
    how long they will be is not known, that they are longer is."""
    past = sample.past
    if q not in past.estimates and past.bins:
        past.estimates[q] = _quantiles(past, q)
    found = _of(sample, q)
    longer = [wait for wait in waits if found is None or wait > found.value]
    return _with_waits(sample, q, longer) if longer else found


def mean(sample: Sample, waits: Sequence[float] = ()) -> Estimate | None:
    """The mean and its band from the same clusters; None with fewer than two. ``waits`` as in ``quantile``."""
    past = sample.past
    if "mean" not in past.estimates:
        past.estimates["mean"] = _means(past)
    found = _of(sample, "mean")
    longer = [wait for wait in waits if found is not None and wait > found.value]
    if found is None or not longer:
        return found
    more = (sum(longer) - len(longer) * found.value) / (sample.count + len(longer))
    return Estimate(found.value + more, found.low + more, found.high + more)


def share(hits: int, total: int) -> Estimate | None:
    """A share of independent events with Wilson's band (J. Amer. Statist. Assoc. 22, 1927); None without events."""
    if total <= 0:
        return None
    p, z2 = hits / total, Z95 * Z95
    middle = (p + z2 / (2 * total)) / (1 + z2 / total)
    reach = Z95 / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total))
    return Estimate(p, max(0.0, min(p, middle - reach)), min(1.0, max(p, middle + reach)))


def student_t(freedom: Ints) -> Floats:
    """97.5 % points of Student's t, from 1 degree of freedom on: exact to 3, then Fisher's expansion (within 0.3 %)."""
    points: Floats = _student_points()[np.minimum(freedom, MOST_FREEDOM)]
    return points


@cache
def _student_points() -> Floats:
    z, v = Z95, np.arange(1.0, MOST_FREEDOM + 1)
    points: Floats = (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
    points[:3] = 12.706, 4.303, 3.182
    return np.concatenate([[np.inf], points])


def _of(sample: Sample, what: float | str) -> Estimate | None:
    if sample.clusters < 2:
        return None
    values, lows, highs = sample.past.estimates[what]
    return Estimate(values[sample.start], lows[sample.start], highs[sample.start])


def _with_waits(sample: Sample, q: float, waits: Sequence[float]) -> Estimate:
    """The quantile of what is over and of what is not, each request once, with the band of independent requests."""
    below = sample.past.below[sample.start] if sample.past.bins else np.empty(0)
    values = np.concatenate([sample.past.middles if len(below) else below, np.sort(waits)])
    times = np.concatenate([np.diff(below, prepend=0.0), np.ones(len(waits))])
    order = np.argsort(values, kind="stable")
    values, ranks = values[order], np.cumsum(times[order])
    reach = Z95 * math.sqrt(q * (1 - q) / ranks[-1])
    shares = np.clip((q - reach, q, q + reach), 0.0, 1.0)
    places = np.searchsorted(ranks, np.maximum(1.0, np.ceil(np.round(shares * ranks[-1], 9))))
    low, value, high = values[places].tolist()
    return Estimate(value, low, high)


def _quantiles(past: Past, q: float) -> Bands:
    """For every row of ``past``, which has bins."""
    ranks = _ranks(past, q)
    columns, rows = past.ranked(ranks), np.arange(len(ranks))
    share = past.below[rows, columns] / np.maximum(1, past.sizes)
    squares, products = (sums[rows, columns] for sums in past.scatter_below)
    by_second = _reach(past.clusters, past, squares - 2 * share * products + share * share * past.squared_sizes)
    reach = np.maximum(by_second, _reach_between_requests(past, q))
    values = _values(past, ranks, columns)
    lows, highs = (
        _values(past, edge, past.ranked(edge)) for edge in (_ranks(past, q - reach), _ranks(past, q + reach))
    )
    lows *= past.certainty
    return Bands(values.tolist(), np.minimum(lows, values).tolist(), np.maximum(highs, values).tolist())


def _means(past: Past) -> Bands:
    values = past.sums_ns / np.maximum(1, past.sizes)
    by_second = _reach(past.clusters, past, past.residuals_of_sums())
    between = _reach(past.exchanges, past, past.requests.residuals_of_sums(values, past.usual_ns))
    reach = np.maximum(by_second, between)
    lows = np.maximum(0.0, values - reach) * past.certainty
    return Bands(*((column * 1e-9).tolist() for column in (values, lows, values + reach)))


def _reach_between_requests(past: Past, q: float) -> Floats:
    """Half the band of the share at or below the limit whose share is nearest to ``q``; 0 without limits."""
    reach = np.zeros(len(past.sizes))
    nearest = np.full(len(past.sizes), np.inf)
    for shares, residuals in zip(past.shares_within, past.residuals_within, strict=True):
        reached = _reach(past.exchanges, past, residuals)
        nearer = np.abs(shares - q) < nearest
        reach = np.where(nearer, reached, reach)
        nearest = np.where(nearer, np.abs(shares - q), nearest)
    return reach


def _ranks(past: Past, q: float | Floats) -> Floats:
    """From 1: the rank of the smallest observation that at least a share ``q`` does not exceed."""
    ranks: Floats = np.maximum(1.0, np.ceil(np.round(np.clip(q, 0.0, 1.0) * past.sizes, 9)))
    return ranks


def _values(past: Past, ranks: Floats, columns: NDArray[np.intp]) -> Floats:
    """What stands for the observations of these ranks: see ``Histogram.quantile``."""
    values: Floats = past.middles[columns]
    for limit, inside in zip(past.limits, (ranks[:, None] <= past.at_limits).T, strict=True):
        values = np.where(inside, np.minimum(values, limit), np.maximum(values, math.nextafter(limit, math.inf)))
    return values


def _reach(clusters: list[int], past: Past, residuals: Floats) -> Floats:
    """Half the band of a ratio over all observations, from how many clusters there are by row and the sum of their
    squared residuals; 0 where there is no band."""
    count = np.maximum(2, clusters)
    reach: Floats = student_t(count - 1) * np.sqrt(count / (count - 1) * np.maximum(0.0, residuals))
    reach /= np.maximum(1, past.sizes)
    return reach
