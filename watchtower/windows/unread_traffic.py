"""What passed the relay unread, second by second: it is no idleness, and its failures are failures.

Of such an answer only status and duration are known. Its 5xx, and an end before its end, count like those of answers
that are read, but in a share of their own: the many that went well would hide the few that are read, and the other way
round. A look (GET, HEAD) that goes well proves nothing of generation, and one at a health route answers a question
about the engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from watchtower.vocabulary.endings import FAILURES
from watchtower.vocabulary.facts import Ending, RelayFrame
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.unread import HEALTH_ROUTES, RouteUnread, UnreadCause

LISTED_SHARE: Final = 0.02
"""Fewer than this of all requests are listed with their route, and are no blindness."""
_NO_RATIO: Final = frozenset({Ending.CLIENT_LEFT, Ending.OURS})
_BURSTS: Final = frozenset({UnreadCause.PROTOCOL, UnreadCause.BYPASS})


@dataclass(slots=True)
class UnreadSlot:
    """One second, or a window of them."""

    asks: int = 0
    """Requests that nobody read and that were not the caller's mistake, and bursts of bytes that are no requests."""
    listed: int = 0
    """The same on routes that the configuration knows to be blind."""
    under_way: bool = False
    """At a frame, some were under way."""
    failed: int = 0
    ended: int = 0
    """Of those whose status says how they went."""
    failing: set[str] = field(default_factory=set)
    """Routes of the failed."""

    def take_in(self, other: UnreadSlot) -> None:
        self.asks += other.asks
        self.listed += other.listed
        self.under_way |= other.under_way
        self.failed += other.failed
        self.ended += other.ended
        self.failing |= other.failing

    def reason(self, requests_read: int) -> Reason | None:
        """Why it is not idle; None where nothing passed. ``requests_read``: in the same window."""
        passed = self.asks + self.listed
        if self.asks > LISTED_SHARE * (self.asks + requests_read) or (self.under_way and not passed):
            what = f"{self.asks} requests passed" if self.asks else "requests are under way"
            return Reason(ReasonKind.UNOBSERVED, f"{what} in a form that is not read", "relay")
        if passed:
            text = f"{passed} requests passed that need not be read (relay.known_blind, or under 2 %)"
            return Reason(ReasonKind.TOO_FEW, text, "relay")
        return None


class UnreadTraffic:
    """Absorbs frames; answers for any window that is kept."""

    def __init__(self, known_blind: tuple[str, ...], longest_seconds: float) -> None:
        """``known_blind``: routes that are forwarded unread on purpose."""
        self._known_blind = frozenset(known_blind)
        self._longest = longest_seconds
        self._slots: dict[int, UnreadSlot] = {}
        self._counted: dict[int, dict[tuple[str, UnreadCause], RouteUnread]] = {}  # by pid

    def frame(self, frame: RelayFrame) -> None:
        known = self._counted.get(frame.pid)
        if known is None:  # what a worker counted before we came lies in no window of ours
            self._counted[frame.pid] = {(route.route, route.cause): route for route in frame.routes}
        elif frame.routes:
            slot = self._at(frame.at)
            for now in frame.routes:
                key = (now.route, now.cause)
                self._count(slot, known.get(key) or RouteUnread(*key), now)
                known[key] = now
        if frame.unread > 0:
            self._at(frame.at).under_way = True
        if len(self._counted) > 64:
            del self._counted[next(iter(self._counted))]

    def counts(self, over: float, now: float) -> UnreadSlot:
        """Of the ``over`` seconds that end at ``now``."""
        whole = UnreadSlot()
        for second, slot in self._slots.items():
            if now - over <= second + 1 and second <= now:
                whole.take_in(slot)
        return whole

    def _at(self, at: float) -> UnreadSlot:
        second = math.floor(at)
        slot = self._slots.get(second)
        if slot is None:
            slot = self._slots[second] = UnreadSlot()
            for old in [old for old in self._slots if old < second - self._longest]:
                del self._slots[old]
        return slot

    def _count(self, slot: UnreadSlot, before: RouteUnread, now: RouteUnread) -> None:
        new = {
            ending: count - before.endings.get(ending, 0)
            for ending, count in now.endings.items()
            if count > before.endings.get(ending, 0)
        }
        failed = sum(count for ending, count in new.items() if ending in FAILURES)
        if now.cause is UnreadCause.LOOK:
            if now.route in HEALTH_ROUTES:
                return
            slot.ended += failed
        else:
            asks = now.requests - before.requests - new.get(Ending.REFUSED, 0)  # a stranger's 404 is no traffic
            slot.asks += 0 if now.route in self._known_blind else asks
            slot.listed += asks if now.route in self._known_blind else 0
            if now.cause not in _BURSTS:
                slot.ended += sum(count for ending, count in new.items() if ending not in _NO_RATIO)
        slot.failed += failed
        if failed:
            slot.failing.add(now.route)
