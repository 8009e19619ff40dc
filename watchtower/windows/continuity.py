"""Since when has it been the same warmed-up engine, and did we ourselves stand still?

A changed incarnation voids everything older and starts a warm-up: the first answers of an engine (compilation,
empty caches) are not its normal ones. The first incarnation ever seen starts none: it was running before us.
"""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Final

from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.reasons import Reason, ReasonKind

WARMED_UP: Final = Reason(ReasonKind.WARMING, "the engine warmed up", "engine")
RESTARTED: Final = Reason(ReasonKind.WARMING, "the engine restarted", "engine")
STOOD_STILL: Final = Reason(ReasonKind.STALE, "Watchtower itself stood still", "daemon")
_at: Final = itemgetter(0)


class Continuity:
    """Marks in time before which nothing counts. All in CLOCK_BOOTTIME seconds, -inf while there is none."""

    def __init__(self, warmup_requests: int, warmup_seconds: float) -> None:
        self._requests = warmup_requests
        self._seconds = warmup_seconds
        self._incarnation: Incarnation | None = None
        self._served = 0
        self._warming = False
        self._warm_since = -math.inf
        self.changed_at = -math.inf
        """When a new incarnation was first seen; it began earlier, by up to one interval of looking. Exchanges opened
        before count as the old one's: a few of the new one's are lost, none of the old one's is believed."""
        self.lagged_at = -math.inf
        """When our own loop last came back from standing still."""

    @property
    def mark(self) -> float:
        """Evidence of any kind is void before this."""
        return max(self.changed_at, self.lagged_at)

    def engine_seen(self, seen: EngineSeen) -> bool:
        """True when this is another incarnation than before, be it one that is dead already."""
        newest = seen.incarnation or seen.ended
        if not seen.known or newest is None or newest == self._incarnation:
            return False
        first, self._incarnation = self._incarnation is None, newest
        if first:
            return False
        self.changed_at = seen.at
        self._served, self._warming, self._warm_since = 0, True, -math.inf
        if self._requests == 0:
            self._warm(seen.at)
        return True

    def loop_lagged(self, at: float) -> None:
        self.lagged_at = max(self.lagged_at, at)

    def served(self, at: float) -> None:
        """An exchange opened at the present incarnation completed."""
        if self._warming:
            self._served += 1
            if self._served >= self._requests:
                self._warm(at)

    def warming(self, now: float) -> Reason | None:
        """Why readings are still masked; None when warm."""
        if self._warming and now - self.changed_at >= self._seconds:
            self._warm(self.changed_at + self._seconds)
        if not self._warming:
            return None
        text = (
            f"the engine restarted {now - self.changed_at:.0f} s ago and is warming up: {self._served} of "
            f"{self._requests} requests served, at most {self._seconds:.0f} s"
        )
        return Reason(ReasonKind.WARMING, text, "engine")

    def clean_since(self) -> tuple[float, Reason]:
        """The latest mark and what it was."""
        return max((self._warm_since, WARMED_UP), (self.changed_at, RESTARTED), (self.lagged_at, STOOD_STILL), key=_at)

    def _warm(self, at: float) -> None:
        self._warming, self._warm_since = False, max(at, self.changed_at)
