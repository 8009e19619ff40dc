"""Words of memory: what is written down for good, and what still has to be told to people.

An entry, once stored, never changes: each carries the hash of the one before it, so a missing, altered or reordered
entry shows. A pending delivery does change (attempts, next try) until it is settled; every settlement is an entry.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from watchtower.vocabulary.incidents import Notice, NoticeKind
from watchtower.vocabulary.instants import Instant


class Entry(msgspec.Struct, frozen=True):
    """One thing to remember, before it has a place in the chain."""

    kind: str
    """Dotted: ``incident.opened``, ``action.intent``, ``notice.delivered``."""
    body: dict[str, Any] = {}
    """JSON values only. Never a secret, never a user's text."""
    incident: str = ""
    op_id: str = ""


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain, as it lies on disk."""

    seq: int
    """1, 2, 3 … without a gap."""
    kind: str
    incident: str
    op_id: str
    body: dict[str, Any]
    wall: float
    boot: float
    boot_id: str
    version: str
    """Watchtower's version that wrote it."""
    prev_hash: str
    hash: str
    """SHA-256, hex, over all of the above."""


class Verified(msgspec.Struct, frozen=True):
    """The chain holds from its first kept entry to ``sequence``."""

    entries: int
    sequence: int
    hash: str


class Damage(msgspec.Struct, frozen=True):
    """What is on disk is not what was written."""

    first_bad_seq: int
    """The first entry that cannot be trusted; 0 when the damage is not in one entry."""
    because: str


class Fate(StrEnum):
    """How a pending delivery ended."""

    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    """It was late, and a newer notice of the same incident says more."""
    DROPPED = "dropped"
    """The outbox was full."""
    DEAD = "dead"
    """The receiver is gone for good, or 24 h of retries were in vain."""


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """One notice on its way to one sink."""

    seq: int
    """Of the entry that holds the notice."""
    sink: str
    notice: Notice
    queued: Instant
    attempts: int = 0
    """Attempts that failed so far."""
    retry_at: Instant | None = None
    """Not before this; None: at once. A mark from another boot means nothing and holds nothing back."""

    @property
    def key(self) -> tuple[int, str]:
        return self.seq, self.sink

    @property
    def urgent(self) -> bool:
        """An escalation: sent first, dropped last, never superseded."""
        return self.notice.kind is NoticeKind.ESCALATED


class OutboxDepth(msgspec.Struct, frozen=True, kw_only=True):
    pending: int
    bytes: int
    oldest_age_seconds: float
    """Wall time since the oldest pending notice was queued; display only. 0 when nothing is pending."""
    settled: dict[str, int]
    """Settled deliveries by fate, over the life of the kept journal."""
