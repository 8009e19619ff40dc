"""The knobs of the detectors: how much must have been seen before anything is explained, and what is the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """How much must be seen before load may explain anything."""

    minimum_blocks: int = 30
    """Healthy blocks that must agree: at a matched load, or on a token rate."""
    block_seconds: float = 10.0
    """At most one block is learned in this time; at least the ``over:`` of the reading keeps blocks apart."""
    quarantine_seconds: float = 120.0
    """A block joins the baseline only when nothing has gone wrong for this long after it."""
    tolerance: float = 0.10
    """More than while healthy by up to this share still counts as the same: latency, tokens, arrivals, prompts."""
    load_tolerance: float = 0.25
    """A load above the baseline's by up to this share still counts as seen: slow answers alone raise it a little."""
    throughput_margin: float = 0.25
    """Tokens a second must be fewer by this share to be clearly fewer."""
    quantile: float = 0.95
    """Which of the healthy blocks' latencies is the upper edge of normal."""
    blocks_per_bin: int = 360
    """Newest blocks kept in each load bin."""
