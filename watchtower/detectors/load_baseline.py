"""What was learned of an engine while nothing was wrong: one ``Block`` for each time block, kept by load.

Blocks are kept in bins of load, the newest of each, so that a common load cannot push a rare one out. The stored form
has a schema number: a file of another schema is refused with a sentence and learned anew, which costs only time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import msgspec

SCHEMA: Final = 2
"""1 had pairs of load and latency, without any rates."""
BINS_PER_OCTAVE: Final = 2
MATCHED: Final = 2 ** (1 / BINS_PER_OCTAVE)
"""Loads within this factor are the same load."""


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Means over one window, in time or now. A rate that could not be read is None."""

    open_exchanges: float
    p95_seconds: float
    """Inter-token latency."""
    tokens_per_second: float | None = None
    arrivals_per_second: float | None = None
    prompt_bytes_per_second: float | None = None

    @property
    def sane(self) -> bool:
        """Numbers that can be: finite, none negative, a latency above 0."""
        rates = (self.tokens_per_second, self.arrivals_per_second, self.prompt_bytes_per_second)
        return self.p95_seconds > 0 and all(
            math.isfinite(number) and number >= 0
            for number in (self.open_exchanges, self.p95_seconds, *(rate for rate in rates if rate is not None))
        )


class LoadBaseline(msgspec.Struct, kw_only=True):
    """State to store. ``wall`` marks are Unix seconds, for people."""

    key: str
    """Declared identity of what is served; a baseline of another key says nothing."""
    version: int = SCHEMA
    bins: dict[int, list[Block]] = {}
    """Load bin → healthy blocks, oldest first."""
    since_wall: float | None = None
    until_wall: float | None = None

    def add(self, block: Block, wall: float, most_in_a_bin: int) -> None:
        """``block`` is sane, and ended at ``wall``."""
        kept = self.bins.setdefault(_bin(block.open_exchanges), [])
        kept.append(block)
        del kept[:-most_in_a_bin]
        self.since_wall = wall if self.since_wall is None else self.since_wall
        self.until_wall = wall

    def __iter__(self) -> Iterator[Block]:
        return (block for kept in self.bins.values() for block in kept)

    @property
    def blocks(self) -> int:
        return sum(map(len, self.bins.values()))

    @property
    def highest_load(self) -> float:
        """Most open exchanges seen while healthy; 0 when nothing was."""
        return max((block.open_exchanges for block in self), default=0.0)

    def between(self, lowest: float, highest: float) -> list[Block]:
        """The blocks whose load lies between the two, both included."""
        return [block for block in self if lowest <= block.open_exchanges <= highest]

    def loads_below(self, load: float) -> list[float]:
        """The middle of each bin in use that lies below ``load``."""
        middles = (2 ** ((number + 0.5) / BINS_PER_OCTAVE) for number in self.bins)
        return [middle for middle in middles if middle < load]

    def age_seconds(self, wall: float) -> float | None:
        """Seconds since the newest block was learned; None when there is none."""
        return None if self.until_wall is None else max(0.0, wall - self.until_wall)


class _Header(msgspec.Struct):
    version: int = 1


def decode(stored: bytes, key: str) -> LoadBaseline | str:
    """A stored baseline, or in one sentence why it cannot be used. Never raises for what is stored."""
    try:
        version = msgspec.json.decode(stored, type=_Header).version
        if version != SCHEMA:
            return f"the stored baseline has schema {version}, this Watchtower reads {SCHEMA}: it is learned anew"
        found = msgspec.json.decode(stored, type=LoadBaseline)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "the stored baseline cannot be read"
    if found.key != key:
        return "the stored baseline belongs to another model or configuration"
    if not all(block.sane for block in found):
        return "the stored baseline holds numbers that cannot be"
    return found


def at_least(healthy: float | None, now: float | None, same: float) -> bool:
    """Was as much seen while healthy? ``same``: the factor within which two rates are one. False where unknown."""
    return healthy is not None and now is not None and healthy * same >= now


def _bin(open_exchanges: float) -> int:
    return math.floor(math.log2(max(1.0, open_exchanges)) * BINS_PER_OCTAVE)
