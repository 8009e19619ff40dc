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
from typing import Final

import numpy as np

from watchtower.windows.series import Sample

Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float


def quantile(sample: Sample, q: float) -> Estimate | None:
    """The q-quantile and its band; None with fewer than two clusters. Where the band of the share passes 0 or 1
    the data cannot bound the quantile on that side, and the band ends at the smallest or largest bin seen."""
    value = sample.histogram.quantile(q)
    clusters = len(sample.cluster_counts)
    if value is None or clusters < 2:
        return None
    total = sample.histogram.count
    place = int(np.searchsorted(np.cumsum(sample.histogram.counts), max(1, math.ceil(q * total - 1e-9))))
    below = sample.clusters_below(int(sample.histogram.indices[place]))
    residuals = below - (below.sum() / total) * sample.cluster_counts
    reach = student_t(clusters - 1) * _standard_error(residuals, total)
    low, high = sample.histogram.quantile(q - reach), sample.histogram.quantile(q + reach)
    return Estimate(value, value if low is None else min(low, value), value if high is None else max(high, value))


def mean(sample: Sample) -> Estimate | None:
    """The mean and its band from the same clusters; None with fewer than two."""
    value = sample.histogram.mean
    clusters = len(sample.cluster_counts)
    if value is None or clusters < 2:
        return None
    residuals = sample.cluster_sums - value * sample.cluster_counts
    reach = student_t(clusters - 1) * _standard_error(residuals, sample.histogram.count)
    return Estimate(value, max(0.0, value - reach), value + reach)


def share(hits: int, total: int) -> Estimate | None:
    """A share of independent events with Wilson's band (J. Amer. Statist. Assoc. 22, 1927); None without events."""
    if total <= 0:
        return None
    p, z2 = hits / total, Z95 * Z95
    middle = (p + z2 / (2 * total)) / (1 + z2 / total)
    reach = Z95 / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total))
    return Estimate(p, max(0.0, min(p, middle - reach)), min(1.0, max(p, middle + reach)))


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


def _standard_error(residuals: np.ndarray[tuple[int], np.dtype[np.float64]], total: int) -> float:
    clusters = len(residuals)
    return math.sqrt(clusters / (clusters - 1) * float(np.dot(residuals, residuals))) / total
