"""The knobs of the windows. They arrive from the daemon's settings; the demo passes smaller minimums.

A minimum is a promise to the reader of an alert: below it we say UNKNOWN and how much is missing, never a number.
"""

from __future__ import annotations

from dataclasses import dataclass

from watchtower.vocabulary.signals import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """How much evidence a reading needs, and what spoils it."""

    minimum_tokens: int = 200
    """Token latencies in the window, for quantiles and mean of the inter-token latency."""
    minimum_requests: int = 20
    """Distinct exchanges in the window, for quantiles and means of both latencies."""
    minimum_clusters: int = 5
    """Sub-windows with data, for a confidence band."""
    relay_silence_seconds: float = 3.0
    """A relay worker that says nothing for longer is not observed (it speaks at least once a second)."""
    known_blind: tuple[str, ...] = ()
    """Routes whose answers nobody reads, on purpose."""
    relay_lag_seconds: float = 0.005
    """Loop lag of a relay worker beyond which the latencies of that moment are left out."""
    warmup_requests: int = 50
    """Completed exchanges that end the warm-up of a new engine incarnation."""
    warmup_seconds: float = 600.0
    """Longest that a warm-up lasts."""
    minimum_answers: int = 8
    """References that must have answered in the window, for everything about meaning."""
    longest_window_seconds: float = 3600.0
    """Nothing older is kept."""
    limits: tuple[float, ...] = (0.13,)
    """Latencies (seconds) at which values are counted exactly: the limits of the rules."""
    inter_token_bounds: tuple[float, ...] = (
        0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.13, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0,
    )  # fmt: skip
    """Bounds of the exported classic histogram, seconds."""
    first_token_bounds: tuple[float, ...] = (
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0,
    )  # fmt: skip
    """Bounds of the exported classic histogram, seconds."""
    signals: tuple[Signal, ...] = ()
    """What the rules read by tag or variant: these series are kept, and no others."""
    model: str = ""
    """The model that the configuration names; its totals begin at 0."""
    gpu_groups: tuple[tuple[str, ...], ...] = ()
    """UUIDs of the ranks that are compared with each other; empty: all GPUs of the source are one group."""
    gpu_coverage_ratio: float = 0.8
    """Share of the window that each GPU's utilization samples must cover."""
    gpu_least_busy_ratio: float = 0.2
    """Utilization that the busiest GPU of a group must reach before its ranks are compared."""
    gpu_work_ratio: float = 0.9
    """Share of the window's seconds in which the engine must have had an exchange open."""
