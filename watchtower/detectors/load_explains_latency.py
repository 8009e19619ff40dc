"""``load_explains_latency``: is the engine only as slow as it has always been with this much to do?

Saturation is not sickness, and a restart under load makes it worse. So while nothing is wrong we learn blocks of
(open exchanges, p95 inter-token latency, rates of tokens, arrivals and prompt bytes), and later compare latency at a
matched load. Latency is taken to grow with load, nothing more: what was seen at a lower load is to be expected at a
higher one too, and what was not seen even at a higher load is not explained by a lower one (of blocks with as many
prompt bytes a second: prefill slows the tokens of everybody). Where that cannot decide, above all at more open
exchanges than ever, which sickness itself brings about, the token rate is asked (``throughput``); and an engine that
delivers as much as ever is never called sick. UNKNOWN holds the action, never the alert.

Its limits: no engine-side covariate (batch size, KV cache) is used, and the edges of normal are quantiles of few
blocks, no confidence bounds.
"""

from __future__ import annotations

import math
import statistics

import msgspec

from watchtower.detectors.load_baseline import MATCHED, Block, LoadBaseline, at_least, decode
from watchtower.detectors.load_settings import LoadSettings
from watchtower.detectors.throughput import not_known, throughput_explains
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Explanation, Truth
from watchtower.vocabulary.reasons import Reason, ReasonKind


class LoadNow(msgspec.Struct, frozen=True, kw_only=True):
    """What is read now, over one window; None where a reading is UNKNOWN."""

    open_exchanges: float | None
    p95_seconds: float | None
    """Inter-token latency."""
    tokens_per_second: float | None = None
    arrivals_per_second: float | None = None
    prompt_bytes_per_second: float | None = None
    reason: Reason | None = None
    """The loudest reason of what is UNKNOWN; None where all of it is known."""

    def block(self) -> Block | None:
        """None where load or latency is not known, or a number cannot be."""
        if self.open_exchanges is None or self.p95_seconds is None:
            return None
        block = Block(
            self.open_exchanges,
            self.p95_seconds,
            self.tokens_per_second,
            self.arrivals_per_second,
            self.prompt_bytes_per_second,
        )
        return block if block.sane else None


class LoadExplainsLatency:
    """Learns when told that all is well; explains when asked. Never raises for a strange number."""

    def __init__(self, key: str = "", settings: LoadSettings | None = None) -> None:
        self.settings = settings or LoadSettings()
        self.baseline = LoadBaseline(key=key)
        self._pending: list[tuple[Instant, Block]] = []
        self._last_block: Instant | None = None

    # ── learning ────────────────────────────────────────────────────────────────────────────────

    def learn(self, now: Instant, seen: LoadNow) -> bool:
        """Call only while nothing is wrong. True: this began a new block and is in quarantine."""
        self._release(now)
        block = seen.block()
        if block is None or block.open_exchanges < 0.5:
            return False
        last = self._last_block
        if last is not None and last.boot_id == now.boot_id and now.boot - last.boot < self.settings.block_seconds:
            return False
        self._last_block = now
        self._pending.append((now, block))
        return True

    def disturbed(self) -> None:
        """Something is wrong: what was learned just before may already have been sick, and is dropped."""
        self._pending.clear()

    def _release(self, now: Instant) -> None:
        while self._pending:
            then, block = self._pending[0]
            if then.boot_id != now.boot_id:
                self._pending.pop(0)
                continue
            if now.boot - then.boot < self.settings.quarantine_seconds:
                return
            self._pending.pop(0)
            self.baseline.add(block, then.wall, self.settings.blocks_per_bin)

    # ── explaining ──────────────────────────────────────────────────────────────────────────────

    def explain(self, seen: LoadNow) -> Explanation:
        """Is this latency what this load costs while healthy?"""
        block = seen.block()
        if block is None:
            return Explanation.unknown(not_known("load or latency is not known now", seen.reason))
        if not self.baseline.blocks:
            return Explanation.unknown(_learning("no baseline of latency by load exists yet"))
        by_latency = self._by_latency(block)
        if by_latency.truth is Truth.TRUE:
            return by_latency
        by_throughput = throughput_explains(block, self.baseline, self.settings, seen.reason)
        if by_throughput.truth is Truth.TRUE:  # while load rises, the window's p95 is ahead of its mean load
            return by_throughput
        familiar = block.open_exchanges <= self.baseline.highest_load * (1 + self.settings.load_tolerance)
        undecided = by_throughput.truth is Truth.UNKNOWN
        return by_latency if by_latency.truth is Truth.FALSE or (undecided and familiar) else by_throughput

    def _by_latency(self, block: Block) -> Explanation:
        load, p95 = block.open_exchanges, block.p95_seconds
        now = f"{p95 * 1000:.0f} ms at {load:.0f} open exchanges"
        slack = 1 + self.settings.tolerance
        expected = self._expected(load)
        if expected is not None and p95 <= expected[0] * slack:
            reached, count, where = expected
            return Explanation(
                Truth.TRUE, None, f"{now}: it reached {reached * 1000:.0f} ms {where} while healthy ({count} blocks)"
            )
        for highest, where in ((load * MATCHED, "at this load"), (math.inf, "at this load and above")):
            blocks = self._comparable(block, highest)
            upper = self._upper([healthy.p95_seconds for healthy in blocks])
            if len(blocks) < self.settings.minimum_blocks or p95 <= upper * slack:
                continue
            if not self._clearly_fewer_tokens(block, blocks):
                return _undecided(f"{now}: slower than while healthy, but not clearly fewer tokens a second")
            return Explanation(
                Truth.FALSE,
                None,
                f"{now}: {where} it stayed within {upper * 1000:.0f} ms while healthy ({len(blocks)} blocks)",
            )
        found, needed = len(self._comparable(block, load * MATCHED)), self.settings.minimum_blocks
        if found < needed:
            like = f"at a load like {load:.0f} with as many prompt bytes"
            return Explanation.unknown(_learning(f"too few healthy blocks {like}: {found} of {needed}"))
        return _undecided(f"{now}: as slow only at a higher load while healthy")

    def _comparable(self, now: Block, highest: float) -> list[Block]:
        """Healthy blocks from this load up to ``highest``; where the rate of prompt bytes is known, only with as
        many: prefill slows the tokens of everybody."""
        same, prompts = 1 + self.settings.tolerance, now.prompt_bytes_per_second
        return [
            block
            for block in self.baseline.between(now.open_exchanges / (1 + self.settings.load_tolerance), highest)
            if prompts is None or at_least(block.prompt_bytes_per_second, prompts, same)
        ]

    def _clearly_fewer_tokens(self, now: Block, blocks: list[Block]) -> bool:
        """At a matched load a slower engine delivers fewer tokens (Little's law); a window with a burst in it has a
        high p95 over a common mean load, and delivers as many. True where the rates are not known."""
        rates = [block.tokens_per_second for block in blocks if block.tokens_per_second is not None]
        if now.tokens_per_second is None or not rates:
            return True
        return now.tokens_per_second < (1 - self.settings.throughput_margin) * statistics.median(rates)

    def _expected(self, load: float) -> tuple[float, int, str] | None:
        """The highest edge of normal at a matched or lower load: (seconds, blocks, where), None when never seen."""
        best: tuple[float, int, str] | None = None
        for centre in (load, *self.baseline.loads_below(load)):
            values = [block.p95_seconds for block in self.baseline.between(centre / MATCHED, centre * MATCHED)]
            if len(values) >= self.settings.minimum_blocks:
                upper = self._upper(values)
                if best is None or upper > best[0]:
                    best = (upper, len(values), "at this load" if centre == load else "at a lower load")
        return best

    def _upper(self, values: list[float]) -> float:
        ordered = sorted(values) or [math.inf]
        return ordered[min(len(ordered) - 1, max(0, math.ceil(self.settings.quantile * len(ordered)) - 1))]

    # ── keeping ─────────────────────────────────────────────────────────────────────────────────

    def dump(self) -> bytes:
        """The baseline as JSON. What is in quarantine is not kept: a restart starts its quarantine anew."""
        return msgspec.json.encode(self.baseline)

    def load(self, stored: bytes) -> str:
        """Take up a stored baseline. Returns why not, empty when taken; never raises for what is stored."""
        found = decode(stored, self.baseline.key)
        if isinstance(found, str):
            return found
        self.baseline = found
        return ""


def _learning(text: str) -> Reason:
    return Reason(ReasonKind.LEARNING, text, "baseline")


def _undecided(text: str) -> Explanation:
    return Explanation.unknown(Reason(ReasonKind.UNDECIDED, text, "baseline"))
