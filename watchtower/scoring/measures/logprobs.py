"""What changed? The log-probabilities of a blessed answer, read out again by teacher forcing, tell the cause.

An engine that is asked for ``prompt_logprobs`` gives the log-probability of every token of a text we choose, so nothing
is sampled and one generated token pays for a whole answer. Nats per token throughout; natural logarithms.

The shift is measured against the engine's own repeatability (``noise``): the same weights in float32 repeat to about
1e-6 nats, in bfloat16 under changing batches to a few hundredths. What lies within ``NOISE_TIMES`` of it is no change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

A_LOT_NATS = 0.1
"""Mean change per token from which the weights are others: rounding to 8 bits moves a token by hundredths of a nat, a
fine-tuned sibling by tenths, an unrelated checkpoint by several."""
LEAST_NATS = 1e-3
"""A smaller mean change is of no consequence, whatever the noise. A real vLLM on the CPU (a toy of two layers, float32
and bfloat16) repeats to the last digit, moves by 0.002 when its matrices are rounded to 8 bits, by 0.3 when one of them
is zero, and by 0.8 when it is another checkpoint."""
NOISE_TIMES = 4.0
"""A change counts from so many times the noise found at calibration."""
FEWEST_TOKENS = 8
"""Below this nothing is said."""
LOWEST_LOGPROB = -50.0
"""``-inf`` and other depths are read as this, so that one token cannot be the whole mean."""


class Cause(StrEnum):
    """What changed in the engine, as far as log-probabilities can tell."""

    WEIGHTS = "weights"
    NUMERICS = "numerics"
    KV_CACHE = "kv_cache"
    TEMPLATE = "template"


class Shift(msgspec.Struct, frozen=True):
    """How far the log-probabilities of one blessed answer, or of a whole round, have moved."""

    nats: float
    """Mean absolute change per token."""
    noise: float
    """The same between repetitions at calibration."""
    changed: float
    """Share of the tokens that moved by more than the noise allows."""
    tokens: int

    @property
    def allowed(self) -> float:
        """Nats that the engine may move on its own."""
        return max(LEAST_NATS, NOISE_TIMES * self.noise)

    @property
    def moved(self) -> bool:
        """Beyond what the engine does on its own."""
        return self.nats > self.allowed

    @property
    def by_a_lot(self) -> bool:
        return self.nats > max(A_LOT_NATS, self.allowed)


def shift(now: Sequence[float | None], calibrated: Sequence[Sequence[float | None]]) -> Shift | None:
    """One answer's shift against ``calibrated``: the same tokens' log-probabilities, read several times while healthy.

    None where it cannot be told: no calibration, another number of tokens (another tokenizer: a change of its own), or
    fewer than ``FEWEST_TOKENS`` of them. A token without a log-probability (the first of a prompt) is left out."""
    if not calibrated or any(len(run) != len(now) for run in calibrated):
        return None
    known = np.array([value is not None for value in now], dtype=bool)
    for run in calibrated:
        known &= np.array([value is not None for value in run], dtype=bool)
    tokens = int(known.sum())
    if tokens < FEWEST_TOKENS:
        return None
    runs = np.array([_finite(run) for run in calibrated])[:, known]
    centre = np.median(runs, axis=0)
    noise = _noise(runs)
    moved = np.abs(_finite(now)[known] - centre)
    return Shift(float(moved.mean()), noise, float((moved > max(LEAST_NATS, NOISE_TIMES * noise)).mean()), tokens)


def pool(shifts: Sequence[Shift]) -> Shift | None:
    """A round's shift: every token counts the same. None without any."""
    tokens = sum(shift.tokens for shift in shifts)
    if not tokens:
        return None
    weights = [shift.tokens / tokens for shift in shifts]
    return Shift(
        sum(w * shift.nats for w, shift in zip(weights, shifts, strict=True)),
        sum(w * shift.noise for w, shift in zip(weights, shifts, strict=True)),
        sum(w * shift.changed for w, shift in zip(weights, shifts, strict=True)),
        tokens,
    )


def cause(*, fresh: Shift | None, cached: Shift | None = None, chat: Shift | None = None) -> Cause | None:
    """What changed, from the round's pooled shifts; None: nothing moved, or it cannot be told.

    ``fresh``: raw completions with a fresh cache salt, so nothing but weights and arithmetic is between prompt and
    answer. ``cached``: the same, but meant to hit the prefix cache. ``chat``: through the chat template.
    Fresh ones decide first: where the weights moved, the others moved with them."""
    if fresh is not None and fresh.moved:
        return Cause.WEIGHTS if fresh.by_a_lot else Cause.NUMERICS
    if fresh is None:  # without it, a cache, a template and the weights look alike
        return None
    if cached is not None and cached.moved:
        return Cause.KV_CACHE
    if chat is not None and chat.moved:
        return Cause.TEMPLATE
    return None


def _finite(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Unknown ones become 0 and are masked by the caller."""
    return np.array(
        [0.0 if v is None else LOWEST_LOGPROB if math.isnan(v) else max(LOWEST_LOGPROB, min(0.0, v)) for v in values]
    )


def _noise(runs: NDArray[np.float64]) -> float:
    """Mean absolute difference between two runs, over all pairs; 0 with a single run."""
    count = len(runs)
    if count < 2:
        return 0.0
    pairs = [np.abs(runs[i] - runs[j]).mean() for i in range(count) for j in range(i)]
    return float(np.mean(pairs))
