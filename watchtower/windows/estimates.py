"""Numbers with their 95 % band. Pure arithmetic on a ``Sample`` or on counts.

Tokens of one second share decode steps, queue and clock: they are one cluster, not many observations. The band of
a quantile is Woodruff's (J. Amer. Statist. Assoc. 47, 1952, 635-646): the standard error of the share of values
at or below the estimate, from a cluster-robust ratio estimator, carried back through the histogram. Student's t
with (clusters - 1) degrees of freedom instead of 1.96 keeps short windows honest. What a band cannot see is
dependence longer than its sub-windows; that is what a rule's ``for:`` is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchtower.windows.histogram import Floats
from watchtower.windows.series import Bands, Past, Sample

Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float


def quantile(sample: Sample, q: float) -> Estimate | None:
    """The q-quantile and its band; None with fewer than two clusters. Where the band of the share passes 0 or 1
    the data cannot bound the quantile on that side, and the band ends at the smallest or largest bin seen."""
    past = sample.past
    if q not in past.estimates and past.bins:
        past.estimates[q] = _quantiles(past, q)
    return _of(sample, q)


def mean(sample: Sample) -> Estimate | None:
    """The mean and its band from the same clusters; None with fewer than two."""
    past = sample.past
    if "mean" not in past.estimates:
        past.estimates["mean"] = _means(past)
    return _of(sample, "mean")


def share(hits: int, total: int) -> Estimate | None:
    """A share of independent events with Wilson's band (J. Amer. Statist. Assoc. 22, 1927); None without events."""
    if total <= 0:
        return None
    p, z2 = hits / total, Z95 * Z95
    middle = (p + z2 / (2 * total)) / (1 + z2 / total)
    reach = Z95 / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total))
    return Estimate(p, max(0.0, min(p, middle - reach)), min(1.0, max(p, middle + reach)))


@cache
def student_t(freedom: int) -> float:
    """97.5 % point of Student's t: exact for 1 to 3 degrees of freedom, then Fisher's expansion (within 0.3 %)."""
    exact = {1: 12.706, 2: 4.303, 3: 3.182}
    if freedom in exact:
        return exact[freedom]
    z, v = Z95, float(freedom)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def _of(sample: Sample, what: float | str) -> Estimate | None:
    if sample.clusters < 2:
        return None
    values, lows, highs = sample.past.estimates[what]
    return Estimate(values[sample.start], lows[sample.start], highs[sample.start])


def _quantiles(past: Past, q: float) -> Bands:
    """For every row of ``past``, which has bins."""
    ranks = _ranks(past, q)
    columns, rows = past.ranked(ranks), np.arange(len(ranks))
    share = past.below[rows, columns] / np.maximum(1, past.sizes)
    squares, products = (sums[rows, columns] for sums in past.scatter_below)
    reach = _reach(past, squares - 2 * share * products + share * share * past.squared_sizes)
    values = _values(past, ranks, columns)
    lows, highs = (
        _values(past, edge, past.ranked(edge)) for edge in (_ranks(past, q - reach), _ranks(past, q + reach))
    )
    return Bands(values.tolist(), np.minimum(lows, values).tolist(), np.maximum(highs, values).tolist())


def _means(past: Past) -> Bands:
    values = past.sums_ns / np.maximum(1, past.sizes) * 1e-9
    reach = _reach(past, past.residuals_of_sums()) * 1e-9
    return Bands(values.tolist(), np.maximum(0.0, values - reach).tolist(), (values + reach).tolist())


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


def _reach(past: Past, residuals: Floats) -> Floats:
    """Half the band of a ratio, from the sum of the squared residuals of the clusters; 0 where there is no band."""
    clusters = np.maximum(2, past.clusters)
    t = np.array([student_t(freedom) for freedom in range(1, clusters[0])])[clusters - 2]
    reach: Floats = t * np.sqrt(clusters / (clusters - 1) * np.maximum(0.0, residuals)) / np.maximum(1, past.sizes)
    return reach
