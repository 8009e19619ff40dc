"""Do two live engines find the same answers equally likely? The sharpest comparison there is, and it names the cause.

Each of the baseline's answers is read out again, token by token, by the baseline itself (its own noise) and by the
candidate. Nothing is sampled, so a handful of prompts tells a checkpoint rounded to 8 bits from the original, where
words need hundreds. Texts are compared beside it: they catch what another decoder does to the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from watchtower.scoring.measures.logprobs import Cause, Shift, cause, pool
from watchtower.services.comparing.sameness import ComparisonReport, Likelihood, Sameness
from watchtower.vocabulary.quantities import short

FEWEST_PROMPTS = 8
MOST = 0.5
"""Share of the prompts that must reach the two as other tokens before the template is named."""
_Z95 = 1.96
SENTENCES = {
    Cause.WEIGHTS: "other weights",
    Cause.NUMERICS: "nearly the same weights, computed differently (quantization, kernel or hardware)",
    Cause.TEMPLATE: "the same prompt reaches the two as other tokens (chat template or tokenizer)",
}


def likelihood(shifts: Mapping[str, Shift]) -> Likelihood | None:
    """From the shift of each prompt's answer; None with too few of them."""
    pooled = pool(list(shifts.values()))
    if pooled is None or len(shifts) < FEWEST_PROMPTS:
        return None
    ratios = [shift.nats / pooled.allowed for shift in shifts.values()]
    mean = sum(ratios) / len(ratios)
    variance = sum((ratio - mean) ** 2 for ratio in ratios) / (len(ratios) - 1)
    margin = _Z95 * math.sqrt(variance / len(ratios))
    return Likelihood(
        nats=pooled.nats,
        noise=pooled.noise,
        excess=mean,
        low=max(0.0, mean - margin),
        high=mean + margin,
        tokens=pooled.tokens,
        prompts=len(shifts),
    )


def weighed(
    found: ComparisonReport, shifts: Mapping[str, Shift], *, other_tokens: int, because: str
) -> ComparisonReport:
    """``found`` over the texts, with what the log-probabilities add. ``other_tokens``: prompts that reached the two as
    other tokens. ``because``: why there are no log-probabilities; "" when there are."""
    read = None if because else likelihood(shifts)
    if other_tokens >= MOST * found.prompts:
        because = SENTENCES[Cause.TEMPLATE]
        return msgspec.structs.replace(
            found, outcome=Sameness.DIFFERENT, because=because, cause=Cause.TEMPLATE.value, no_likelihood=because
        )
    if read is None:
        because = because or f"{len(shifts)} answers were read out by both; at least {FEWEST_PROMPTS} are needed"
        return msgspec.structs.replace(found, no_likelihood=because)
    per_prompt = [
        msgspec.structs.replace(prompt, nats=shifts[prompt.id].nats if prompt.id in shifts else None)
        for prompt in found.per_prompt
    ]
    per_prompt.sort(key=lambda prompt: (not prompt.faults, -(prompt.nats or 0.0), prompt.closeness))
    found = msgspec.structs.replace(found, likelihood=read, per_prompt=per_prompt)
    named = cause(fresh=pool(list(shifts.values())))
    if read.low > 1 and named is not None:
        apart = f"{SENTENCES[named]}: the baseline's answers are {short(read.nats, 2)} nats a token more or less likely"
        return msgspec.structs.replace(found, outcome=Sameness.DIFFERENT, because=apart, cause=named.value)
    if read.high <= 1 and found.outcome is not Sameness.DIFFERENT:
        same = "both find the baseline's answers equally likely, token by token"
        return msgspec.structs.replace(found, outcome=Sameness.SAME, because=same)
    return found
