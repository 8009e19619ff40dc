"""Which relay workers are connected, what each reported last, and what all of them have counted.

Holds, readiness and the display ask here; the numbers of a user's exchanges go to the windows instead.
"""

from __future__ import annotations

from watchtower.vocabulary.facts import AnyFact, RelayEnded, RelayFrame, RelayGone
from watchtower.vocabulary.unread import RouteUnread, UnreadCause, grown
from watchtower.vocabulary.words import CAUSED, DROPPED

MOST_REMEMBERED = 64
"""Relay processes whose last counts are kept, so that one that comes back is not counted twice."""


RouteKey = tuple[str, UnreadCause]


class RelayRoster:
    """Absorbs facts; answers at once."""

    def __init__(self) -> None:
        self._newest: dict[int, RelayFrame] = {}  # by pid: one that leaves and its successor share a number
        self._counted: dict[int, dict[str, int]] = {}  # by pid, newest last; kept over a lost connection
        self.counts: dict[str, int] = {}
        """Of all relay processes that reported to this daemon, also those that ended: a count never falls."""
        self._unread: dict[int, dict[RouteKey, RouteUnread]] = {}  # by pid, as ``_counted``
        self.unread: dict[RouteKey, RouteUnread] = {}
        """What passed unread, of the same processes, by route and cause."""

    def absorb(self, fact: AnyFact) -> None:
        match fact:
            case RelayFrame():
                self._count(fact)
                self._count_unread(fact)
                self._newest[fact.pid] = fact
            case RelayGone():
                self._newest.pop(fact.pid, None)
            case RelayEnded():  # it cannot count the answers that this cuts
                frame = self._newest.get(fact.pid)
                self._add(CAUSED + "stuck", max(1, frame.open_exchanges if frame is not None else 0))
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
            self._add(name, value - before.get(name, 0))
        self._counted[frame.pid] = now
        if len(self._counted) > MOST_REMEMBERED:
            del self._counted[next(iter(self._counted))]

    def _count_unread(self, frame: RelayFrame) -> None:
        """The same for routes, of which a frame names those that changed."""
        before = self._unread.pop(frame.pid, {})
        for now in frame.routes:
            key = (now.route, now.cause)
            self.unread[key] = grown(self.unread.get(key, RouteUnread(*key)), before.get(key), now)
            before[key] = now
        self._unread[frame.pid] = before
        if len(self._unread) > MOST_REMEMBERED:
            del self._unread[next(iter(self._unread))]

    def _add(self, name: str, count: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + count
