"""How long one step of a tensor-parallel group takes, and what can be wrong with it.

All ranks compute, then wait for each other: a step lasts as long as its slowest rank. That is why one slow rank makes
every token slow, and one stopped rank stops them all while the HTTP server in front stays alive.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from watchtower.lab.simulator.chance import draw

JITTER = 0.08
"""A healthy rank's step is up to this much longer than the model asks for (ratio)."""
BATCH_RISE = 0.004
"""Each further sequence in a batch makes the step this much longer (ratio)."""
PREFILL_SECONDS_PER_TOKEN = 0.0002


class FaultKind(StrEnum):
    NONE = "none"
    SLOW = "slow"
    """One rank computes ``factor`` times as long."""
    HANG = "hang"
    """One rank never reaches the collective: no step ends any more."""
    IMBALANCE = "imbalance"
    """One rank's host stalls: a step takes ``factor`` times as long on it, most of it with its GPU idle."""
    DRIFT = "drift"
    """Other weights are in place than anybody declared."""
    NUMERICS = "numerics"
    """The same weights, rounded, as by a quantization or another kernel."""
    KV_CACHE = "kv_cache"
    """Whoever is answered from the prefix cache is answered from corrupted blocks; fresh prompts are not."""
    TEMPLATE = "template"
    """Chat prompts are written out differently before the model reads them."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong with the group. In process memory: a restart cures it, unless ``sticky``."""

    kind: FaultKind = FaultKind.NONE
    rank: int = 0
    factor: float = 10.0
    checkpoint: str = ""
    """For drift: the weights that are really there."""
    sticky: bool = False
    """Kept in the fault file, so that a restart does not cure it."""

    def problem(self, ranks: int) -> str:
        """Why this fault makes no sense for a group of ``ranks``, or "" when it does."""
        if not 0 <= self.rank < ranks:
            return f"rank {self.rank} does not exist, there are {ranks}"
        if self.kind in (FaultKind.SLOW, FaultKind.IMBALANCE) and not 1 < self.factor <= 10_000:
            return f"factor {self.factor} is not between 1 and 10000"
        if self.kind is FaultKind.DRIFT and not self.checkpoint:
            return "drift needs a checkpoint"
        return ""


HEALTHY = Fault()


def step_seconds(
    *, seed: int, step: int, ranks: int, token_seconds: float, batch: int, prefill_tokens: int, fault: Fault
) -> tuple[float, ...] | None:
    """Seconds that each rank computes in this step; None when the step never ends.

    ``token_seconds`` is the healthy time of one decode step at batch 1; ``prefill_tokens`` are the prompt tokens of
    the sequences that join in this step.
    """
    if fault.kind is FaultKind.HANG:
        return None
    even = token_seconds * (1 + BATCH_RISE * (batch - 1)) + PREFILL_SECONDS_PER_TOKEN * prefill_tokens
    slow_rank = fault.rank if fault.kind in (FaultKind.SLOW, FaultKind.IMBALANCE) else -1
    return tuple(
        even * (1 + JITTER * draw(seed, "step", step, rank)) * (fault.factor if rank == slow_rank else 1.0)
        for rank in range(ranks)
    )
