"""What one tick found: a value that the display copies and nobody changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from watchtower.vocabulary.histograms import HistogramTotals
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Reading, RuleVerdict


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All rules evaluated once."""

    at: Instant
    readings: tuple[Reading, ...]
    """Every reading there is, each over the window that it is shown over (``shown_windows``)."""
    verdicts: tuple[RuleVerdict, ...]
    inter_token_p95: float | None
    """Seconds; None: UNKNOWN."""
    histograms: dict[str, dict[str, HistogramTotals]]
    """By reading family, e.g. ``inter_token_latency_seconds``, then by model."""
    gpus: dict[str, Any]
    """The JSON of ``/api/v1/gpus``."""
    lag_seconds: float
    """How much later than due the tick came."""
    took_seconds: float
