"""Why something is not known: a closed set of kinds that decides, beside a sentence that is for people and decides
nothing.

Every UNKNOWN reading, condition and verdict carries reasons. Whoever has to decide looks at ``kind`` alone; a test
forbids looking at ``text``. The loudest reason of several is the one that people are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class ReasonKind(StrEnum):
    """Loudest first. What lies below ``STALE`` in this list is no fault of anybody and stays silent."""

    UNREADABLE = "unreadable"
    """A part that is on does not answer: relay silent, scrape refused, canary refused, driver fault."""
    UNOBSERVED = "unobserved"
    """Requests pass that cannot be read (route, coding, protocol)."""
    STALE = "stale"
    """We were late ourselves: the loop lagged or stood still."""
    ELSEWHERE = "elsewhere"
    """Somebody else's hand is at work: asleep, paused, stopped on purpose."""
    WARMING = "warming"
    """Never served since our start, or a new incarnation."""
    LEARNING = "learning"
    """No baseline for this key yet."""
    TOO_FEW = "too_few"
    """Asked, but too little for a band."""
    UNDECIDED = "undecided"
    """The band straddles the limit and no truth is kept."""
    NOT_CONFIGURED = "not_configured"
    """A part that is off: no references, no encoder, no GPU, no supervisor."""
    IDLE = "idle"
    """Nobody asks anything."""


LOUD = frozenset({ReasonKind.UNREADABLE, ReasonKind.UNOBSERVED, ReasonKind.STALE})
"""Kinds that mean blindness. All others explain an UNKNOWN that nobody has to mend."""

_ORDER = {kind: rank for rank, kind in enumerate(ReasonKind)}


class Reason(msgspec.Struct, frozen=True):
    """One cause of an UNKNOWN."""

    kind: ReasonKind
    text: str
    """One sentence for people. Never parsed, never compared."""
    part: str = ""
    """Which part of ours it is about: ``relay``, ``canary``, ``scrape``, ``gpu``, ``encoder``, ``references``, …"""

    def __str__(self) -> str:
        return self.text


def loudest(reasons: Iterable[Reason]) -> Reason | None:
    """The one that decides; the first of equals; None of none."""
    return min(reasons, key=lambda reason: _ORDER[reason.kind], default=None)
