"""``load_explains_latency``: is the engine only as slow as it has always been with this many exchanges open?

Saturation is not sickness, and a restart under load makes it worse. So while nothing is wrong we learn pairs of
(open exchanges, p95 inter-token latency), one pair per time block, and later compare at a matched load. Latency is
taken to grow with load, nothing more: what was seen at a lower load is to be expected at a higher one too, and what
was not seen even at a higher load is not explained by a lower one. Between and above these we do not know, and
UNKNOWN holds the action (never the alert).

The limits of this first version: the only covariate is the number of open exchanges (no batch size, queue depth or
prompt length), the baseline is an upper quantile of few blocks instead of a confidence bound, and a sick engine
itself raises the number of open exchanges, so a sickness that pushes the load above all that was seen reads UNKNOWN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec

from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Truth

BINS_PER_OCTAVE: Final = 2
"""Width of the bins in which pairs are kept, so that a common load cannot push a rare one out."""
MATCHED: Final = 2 ** (1 / BINS_PER_OCTAVE)
"""Loads within this factor are the same load when latency is compared upwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """How much must be seen before load may explain anything."""

    minimum_blocks: int = 30
    """Healthy blocks at a matched load."""
    block_seconds: float = 10.0
    """At most one pair is learned in this time; at least the ``over:`` of the reading keeps blocks apart."""
    quarantine_seconds: float = 120.0
    """A pair joins the baseline only when nothing has gone wrong for this long after it."""
    tolerance: float = 0.10
    """Slower than the baseline by up to this share still counts as the same."""
    load_tolerance: float = 0.25
    """A load above the baseline's by up to this share still counts as seen: slow answers alone raise it a little."""
    quantile: float = 0.95
    """Which of the healthy blocks' latencies is the upper edge of normal."""
    blocks_per_bin: int = 360
    """Newest pairs kept in each load bin."""


class LoadBaseline(msgspec.Struct, kw_only=True):
    """What was learned: state to store. ``wall`` marks are Unix seconds, for people."""

    key: str
    """Declared identity of what is served; a baseline of another key says nothing."""
    bins: dict[int, list[tuple[float, float]]] = {}
    """Load bin → (open exchanges, p95 latency in seconds) of healthy blocks, oldest first."""
    since_wall: float | None = None
    until_wall: float | None = None

    @property
    def blocks(self) -> int:
        return sum(len(pairs) for pairs in self.bins.values())

    @property
    def highest_load(self) -> float:
        """Most open exchanges seen while healthy; 0 when nothing was."""
        return max((load for pairs in self.bins.values() for load, _ in pairs), default=0.0)

    def age_seconds(self, wall: float) -> float | None:
        """Seconds since the newest pair was learned; None when there is none."""
        return None if self.until_wall is None else max(0.0, wall - self.until_wall)


class LoadExplainsLatency:
    """Learns when told that all is well; explains when asked. Never raises for a strange number."""

    def __init__(self, key: str = "", settings: LoadSettings | None = None) -> None:
        self.settings = settings or LoadSettings()
        self.baseline = LoadBaseline(key=key)
        self._pending: list[tuple[Instant, float, float]] = []
        self._last_block: Instant | None = None

    # ── learning ────────────────────────────────────────────────────────────────────────────────

    def learn(self, now: Instant, open_exchanges: float, p95_seconds: float) -> bool:
        """Call only while nothing is wrong. True: this began a new block and is in quarantine."""
        self._release(now)
        if not _sane(open_exchanges, p95_seconds) or open_exchanges < 0.5:
            return False
        last = self._last_block
        if last is not None and last.boot_id == now.boot_id and now.boot - last.boot < self.settings.block_seconds:
            return False
        self._last_block = now
        self._pending.append((now, open_exchanges, p95_seconds))
        return True

    def disturbed(self) -> None:
        """Something is wrong: what was learned just before may already have been sick, and is dropped."""
        self._pending.clear()

    def _release(self, now: Instant) -> None:
        while self._pending:
            then, load, p95 = self._pending[0]
            if then.boot_id != now.boot_id:
                self._pending.pop(0)
                continue
            if now.boot - then.boot < self.settings.quarantine_seconds:
                return
            self._pending.pop(0)
            pairs = self.baseline.bins.setdefault(_bin(load), [])
            pairs.append((load, p95))
            del pairs[: -self.settings.blocks_per_bin]
            self.baseline.since_wall = then.wall if self.baseline.since_wall is None else self.baseline.since_wall
            self.baseline.until_wall = then.wall

    # ── explaining ──────────────────────────────────────────────────────────────────────────────

    def explain(self, open_now: float | None, p95_now: float | None) -> tuple[Truth, str]:
        """Is ``p95_now`` (seconds) what ``open_now`` exchanges cost while healthy? The answer and its sentence."""
        if open_now is None or p95_now is None or not _sane(open_now, p95_now):
            return Truth.UNKNOWN, "load or latency is not known now"
        if not self.baseline.blocks:
            return Truth.UNKNOWN, "no baseline of latency by load exists yet"
        now = f"{p95_now * 1000:.0f} ms at {open_now:.0f} open exchanges"
        slack = 1 + self.settings.tolerance
        expected = self._expected(open_now)
        if expected is not None and p95_now <= expected[0] * slack:
            reached, blocks, where = expected
            return Truth.TRUE, f"{now}: it reached {reached * 1000:.0f} ms {where} while healthy ({blocks} blocks)"
        seen_from = open_now / (1 + self.settings.load_tolerance)
        for highest, where in ((open_now * MATCHED, "at this load"), (math.inf, "at this load and above")):
            values = self._pool(seen_from, highest)
            if len(values) >= self.settings.minimum_blocks and p95_now > self._upper(values) * slack:
                within = f"{where} it stayed within {self._upper(values) * 1000:.0f} ms while healthy"
                return Truth.FALSE, f"{now}: {within} ({len(values)} blocks)"
        if seen_from > self.baseline.highest_load:
            highest_load = self.baseline.highest_load
            return Truth.UNKNOWN, f"load {open_now:.0f} is above anything seen while healthy ({highest_load:.0f})"
        found, needed = len(self._pool(seen_from, open_now * MATCHED)), self.settings.minimum_blocks
        if found < needed:
            return Truth.UNKNOWN, f"too few healthy blocks at a load like {open_now:.0f}: {found} of {needed}"
        return Truth.UNKNOWN, f"{now}: as slow only at a higher load while healthy"

    def _expected(self, open_now: float) -> tuple[float, int, str] | None:
        """The highest edge of normal at a matched or lower load: (seconds, blocks, where), None when never seen."""
        lower = [2 ** ((bin_ + 0.5) / BINS_PER_OCTAVE) for bin_ in self.baseline.bins]
        best: tuple[float, int, str] | None = None
        for centre in (open_now, *(load for load in lower if load < open_now)):
            values = self._pool(centre / MATCHED, centre * MATCHED)
            if len(values) >= self.settings.minimum_blocks:
                upper = self._upper(values)
                if best is None or upper > best[0]:
                    best = (upper, len(values), "at this load" if centre == open_now else "at a lower load")
        return best

    def _pool(self, lowest: float, highest: float) -> list[float]:
        return [p95 for pairs in self.baseline.bins.values() for load, p95 in pairs if lowest <= load <= highest]

    def _upper(self, values: list[float]) -> float:
        ordered = sorted(values)
        return ordered[min(len(ordered) - 1, max(0, math.ceil(self.settings.quantile * len(ordered)) - 1))]

    # ── keeping ─────────────────────────────────────────────────────────────────────────────────

    def dump(self) -> bytes:
        """The baseline as JSON. What is in quarantine is not kept: a restart starts its quarantine anew."""
        return msgspec.json.encode(self.baseline)

    def load(self, stored: bytes) -> str:
        """Take up a stored baseline. Returns why not, empty when taken; never raises for what is stored."""
        try:
            found = msgspec.json.decode(stored, type=LoadBaseline)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return "the stored baseline cannot be read"
        if found.key != self.baseline.key:
            return "the stored baseline belongs to another model or configuration"
        if not all(_sane(*pair) for pairs in found.bins.values() for pair in pairs):
            return "the stored baseline holds numbers that are no latency"
        self.baseline = found
        return ""


def _sane(open_exchanges: float, p95_seconds: float) -> bool:
    return math.isfinite(open_exchanges) and open_exchanges >= 0 and math.isfinite(p95_seconds) and p95_seconds > 0


def _bin(open_exchanges: float) -> int:
    return math.floor(math.log2(max(1.0, open_exchanges)) * BINS_PER_OCTAVE)
