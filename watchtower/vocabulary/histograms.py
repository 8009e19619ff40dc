"""Histograms as exporters need them: cumulative since the daemon started, with a client's trace beside each bucket."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Exemplar:
    """One observation whose client told its trace."""

    trace_id: str
    value: float
    wall: float


@dataclass(frozen=True)
class HistogramTotals:
    """Cumulative classic buckets since the daemon started: ``counts[i]`` observations ≤ ``bounds[i]`` seconds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    count: int
    sum: float
    exemplars: tuple[Exemplar | None, ...] = ()
    """Newest of each bucket, the last for +Inf; empty: none at all."""
    bins: dict[int, int] = field(default_factory=dict)
    """The same observations in bins of a base-2 exponential histogram (``windows.histogram.SCALE``), not cumulative."""
