"""Which relay workers are connected, what each reported last, and what all of them have counted.

Holds, readiness and the display ask here; the numbers of a user's exchanges go to the windows instead.
"""

from __future__ import annotations

from watchtower.vocabulary.facts import AnyFact, RelayFrame, RelayGone
from watchtower.vocabulary.words import DROPPED

MOST_REMEMBERED = 64
"""Relay processes whose last counts are kept, so that one that comes back is not counted twice."""


class RelayRoster:
    """Absorbs facts; answers at once."""

    def __init__(self) -> None:
        self._newest: dict[int, RelayFrame] = {}  # by pid: one that leaves and its successor share a number
        self._counted: dict[int, dict[str, int]] = {}  # by pid, newest last; kept over a lost connection
        self.counts: dict[str, int] = {}
        """Of all relay processes that reported to this daemon, also those that ended: a count never falls."""

    def absorb(self, fact: AnyFact) -> None:
        match fact:
            case RelayFrame():
                self._count(fact)
                self._newest[fact.pid] = fact
            case RelayGone():
                self._newest.pop(fact.pid, None)
            case _:
                pass

    def frames(self) -> list[RelayFrame]:
        """The newest of each connected worker."""
        return list(self._newest.values())

    def _count(self, frame: RelayFrame) -> None:
        """Add what this relay process counted since its last frame."""
        now = {**frame.counters, DROPPED: frame.dropped_news}
        before = self._counted.pop(frame.pid, {})
        for name, value in now.items():
            self.counts[name] = self.counts.get(name, 0) + value - before.get(name, 0)
        self._counted[frame.pid] = now
        if len(self._counted) > MOST_REMEMBERED:
            del self._counted[next(iter(self._counted))]
