"""Saturated or sick, where latency at the same load cannot tell? The token rate can.

By Little's law a sick engine piles up open exchanges, and soon holds more than were ever seen while healthy; so does
a saturated one. But a healthy engine with more to do at once delivers *at least as many tokens a second*: its batch
grows, or its queue. A sick one delivers fewer, or the same with many more exchanges open. So we take the healthy
blocks with fewer exchanges open that were asked for at least as much (requests and prompt bytes a second: prefill
takes from decode, long prompts lower the token rate of a healthy engine), and from them what was surely delivered.
At the present load we expect no less, and more if the time an exchange waits for a token (open / rate) was seen to
grow more slowly than load. Where too narrow a range of loads was seen, it is taken to grow in proportion: the engine
was full, and its rate stays.

* FALSE: clearly fewer tokens than expected, and not clearly more than were surely delivered.
* TRUE: as many as in the best healthy block ever, or more.
* UNKNOWN: between, and where more is asked for than ever. The margin is the hysteresis: from TRUE to FALSE the rate
  must fall through all of it. Nothing is remembered. Closed-loop clients only ask for less when an engine slows.

Limits. An engine that was seen at one load only, and is so little used that it keeps up even when sick, looks like a
full one with more callers: UNKNOWN. A healthy engine that is full within ``tolerance`` above the rates it was seen at
and then gets many more callers may read FALSE; so may one whose answers become so long that it thrashes its KV cache,
or one that spends nearly all its time on prefill and gets a little more of it.
A sickness slow enough to be learned becomes normal, but in its own load bins: the best blocks below outlive it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from watchtower.detectors.load_baseline import MATCHED, Block, LoadBaseline, at_least
from watchtower.detectors.load_settings import LoadSettings
from watchtower.vocabulary.quantities import human, short
from watchtower.vocabulary.readings import Explanation, Truth, Unit
from watchtower.vocabulary.reasons import Reason, ReasonKind

FURTHEST: Final = 2.0
"""The healthy curve is followed up to this multiple of the load to which it is known."""


class Delivered(NamedTuple):
    """At least this many tokens a second, in enough blocks, with at most this many exchanges open."""

    tokens: float
    open_exchanges: float
    blocks: int

    @property
    def wait(self) -> float:
        """Seconds that an open exchange waits for a token (Little's law)."""
        return self.open_exchanges / self.tokens


def throughput_explains(
    now: Block, baseline: LoadBaseline, settings: LoadSettings, missing: Reason | None = None
) -> Explanation:
    """Does a healthy engine deliver what this one delivers now? ``missing``: why a rate of ``now`` is not known."""
    tokens = now.tokens_per_second
    here = f"{now.open_exchanges:.0f} open exchanges"
    if now.open_exchanges > baseline.highest_load:
        here += f", more than ever while healthy ({baseline.highest_load:.0f})"
    if tokens is None or now.arrivals_per_second is None or now.prompt_bytes_per_second is None:
        text = f"{here}: the rate of tokens, arrivals or prompt bytes is not known now"
        return Explanation.unknown(not_known(text, missing))
    surely = _surely(_asked_as_much(now, baseline, settings), settings.minimum_blocks)
    if surely is not None:
        least = (1 - settings.throughput_margin) * _expected(now.open_exchanges, surely, baseline, settings)
        if tokens < min(least, (1 + settings.tolerance) * surely.tokens):
            had = f"{short(surely.tokens)} were delivered at {surely.open_exchanges:.0f} ({surely.blocks} blocks)"
            return Explanation(
                Truth.FALSE, None, f"{here}, but {_only(tokens, surely)}{short(tokens)} tokens/s where {had}: not load"
            )
    best = max((block.tokens_per_second or 0.0 for block in baseline), default=0.0)
    if tokens >= best > 0:
        most = f"{short(tokens)} tokens/s, as many as ever while healthy ({short(best)})"
        return Explanation(Truth.TRUE, None, f"saturated: {here}, and {most}")
    if surely is None:
        text = f"{here}: {_not_comparable(now, baseline, settings)}"
        return Explanation.unknown(Reason(ReasonKind.LEARNING, text, "baseline"))
    had = f"{short(surely.tokens)} at {surely.open_exchanges:.0f}"
    text = f"{here}: {short(tokens)} tokens/s do not tell saturation from sickness ({had} while healthy)"
    return Explanation.unknown(Reason(ReasonKind.UNDECIDED, text, "baseline"))


def not_known(text: str, missing: Reason | None) -> Reason:
    """What is asked for now is UNKNOWN itself, so its kind is handed on."""
    return Reason(ReasonKind.TOO_FEW, text) if missing is None else Reason(missing.kind, text, missing.part)


def _asked_as_much(now: Block, baseline: LoadBaseline, settings: LoadSettings) -> list[Block]:
    """Healthy blocks with fewer exchanges open that were asked for as many requests and prompt bytes as now."""
    same = 1 + settings.tolerance
    return [
        block
        for block in baseline
        if block.open_exchanges * (1 + settings.load_tolerance) < now.open_exchanges
        and at_least(block.arrivals_per_second, now.arrivals_per_second, same)
        and at_least(block.prompt_bytes_per_second, now.prompt_bytes_per_second, same)
    ]


def _surely(blocks: Iterable[Block], enough: int) -> Delivered | None:
    """What the ``enough`` best of the blocks have in common; None when there are not so many with any tokens."""
    rates = sorted(((block.tokens_per_second or 0.0, block.open_exchanges) for block in blocks), reverse=True)[:enough]
    if len(rates) < enough or rates[-1][0] <= 0:
        return None
    return Delivered(rates[-1][0], max(load for _, load in rates), len(rates))


def _expected(load: float, surely: Delivered, baseline: LoadBaseline, settings: LoadSettings) -> float:
    """Tokens a second of a healthy engine at ``load``, never below ``surely``: the wait for a token goes on growing
    with load as it did up to there, at most in proportion, followed for at most FURTHEST times."""
    slope = surely.wait / surely.open_exchanges
    lower = (block for block in baseline if block.open_exchanges * MATCHED <= surely.open_exchanges)
    below = _surely(lower, settings.minimum_blocks)
    if below is not None:
        seen = (surely.wait - below.wait) / (surely.open_exchanges - below.open_exchanges)
        slope = min(slope, max(0.0, seen))
    load = min(load, FURTHEST * surely.open_exchanges)
    return load / (surely.wait + slope * (load - surely.open_exchanges))


def _only(tokens: float, surely: Delivered) -> str:
    return "only " if tokens < surely.tokens else ""


def _not_comparable(now: Block, baseline: LoadBaseline, settings: LoadSettings) -> str:
    """Why no healthy block can be held against now."""
    same = 1 + settings.tolerance
    arrivals, prompts = now.arrivals_per_second or 0.0, now.prompt_bytes_per_second or 0.0
    most_arrivals = max((block.arrivals_per_second or 0.0 for block in baseline), default=0.0)
    most_prompts = max((block.prompt_bytes_per_second or 0.0 for block in baseline), default=0.0)
    if arrivals > most_arrivals * same:
        return f"{short(arrivals)} requests/s arrive, more than ever while healthy ({short(most_arrivals)})"
    if prompts > most_prompts * same:
        shown, most = human(prompts, Unit.BYTES_PER_SECOND), human(most_prompts, Unit.BYTES_PER_SECOND)
        return f"prompts of {shown} arrive, more than ever while healthy ({most})"
    return f"fewer than {settings.minimum_blocks} healthy blocks were asked for as much"
