"""The outbox's rules: order, supersession, bounds. Pure; the ledger makes every change durable.

Per (sink, incident) notices leave in the order in which they were queued: a late trigger after its resolve would open
the page again. A notice that already failed once is dropped when the resolve or an escalation of its incident arrives,
because that one says more and must not wait behind it. Escalations are sent first, dropped last, never superseded.

A published ``OutboxState`` never changes: the writer works on a ``draft`` and publishes it after the commit, so the
event loop reads without a lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from watchtower.vocabulary.incidents import Notice, NoticeKind
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Fate, OutboxDepth, Pending

MOST_ROWS = 10_000
MOST_BYTES = 64 * 1024 * 1024
_SAYS_MORE = frozenset({NoticeKind.RESOLVED, NoticeKind.ESCALATED})

Key = tuple[int, str]


class Settlement(NamedTuple):
    """The end of one pending delivery."""

    pending: Pending
    fate: Fate
    because: str


class OutboxState:
    """Everything that still has to be sent, oldest first."""

    def __init__(
        self,
        rows: Iterable[Pending] = (),
        settled: Mapping[str, int] | None = None,
        *,
        most_rows: int = MOST_ROWS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._rows: dict[Key, Pending] = {row.key: row for row in rows}
        self._bytes = sum(weight(row.notice) for row in self._rows.values())
        self._counts = dict(settled or {})
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self.written: dict[Key, Pending] = {}
        """Of a draft: rows that are new or changed."""
        self.settled: list[Settlement] = []
        """Of a draft: rows that ended."""

    def draft(self) -> OutboxState:
        """A copy to change."""
        copy = OutboxState(most_rows=self._most_rows, most_bytes=self._most_bytes)
        copy._rows, copy._bytes, copy._counts = dict(self._rows), self._bytes, dict(self._counts)
        return copy

    # ── reading ─────────────────────────────────────────────────────────────────────────────────

    def rows(self) -> list[Pending]:
        return list(self._rows.values())

    def due(self, now: Instant, sink: str) -> list[Pending]:
        """Per incident the oldest row of ``sink``, if its time has come; escalations first."""
        heads: dict[str, Pending] = {}
        for row in self._rows.values():
            if row.sink == sink:
                heads.setdefault(row.notice.incident, row)
        ready = [row for row in heads.values() if _may_go(row.retry_at, now)]
        return sorted(ready, key=lambda row: (not row.urgent, row.seq))

    def depth(self, now: Instant, sink: str = "") -> OutboxDepth:
        """Of one sink, or of all ("")."""
        rows = [row for row in self._rows.values() if sink in ("", row.sink)]
        oldest = min((row.queued.wall for row in rows), default=now.wall)
        return OutboxDepth(
            pending=len(rows),
            bytes=self._bytes if not sink else sum(weight(row.notice) for row in rows),
            oldest_age_seconds=max(0.0, now.wall - oldest),
            settled=dict(self._counts),
        )

    # ── changing a draft ────────────────────────────────────────────────────────────────────────

    def queue(self, notice: Notice, sinks: Sequence[str], seq: int, now: Instant) -> None:
        """Add one notice for each sink; what it supersedes, and what the bounds push out, is settled."""
        for sink in sinks:
            if notice.kind in _SAYS_MORE:
                self._supersede(notice, sink)
            row = Pending(seq=seq, sink=sink, notice=notice, queued=now)
            self._rows[row.key] = self.written[row.key] = row
            self._bytes += weight(notice)
        self._keep_within_bounds()

    def settle(self, pending: Pending, fate: Fate, because: str = "") -> None:
        """End one row; a row that already ended (superseded while it was being sent) is left as it is."""
        row = self._rows.pop(pending.key, None)
        if row is None:
            return
        self.written.pop(row.key, None)
        self._bytes -= weight(row.notice)
        self._counts[fate] = self._counts.get(fate, 0) + 1
        self.settled.append(Settlement(row, fate, because))

    def postpone(self, pending: Pending, retry_at: Instant) -> None:
        """Count one failed attempt."""
        row = self._rows.get(pending.key)
        if row is not None:
            row = msgspec.structs.replace(row, attempts=row.attempts + 1, retry_at=retry_at)
            self._rows[row.key] = self.written[row.key] = row

    def _supersede(self, newer: Notice, sink: str) -> None:
        for row in self.rows():
            late = row.sink == sink and row.notice.incident == newer.incident and row.attempts > 0
            if late and not row.urgent:
                self.settle(row, Fate.SUPERSEDED, f"{newer.kind} came before it could be delivered")

    def _keep_within_bounds(self) -> None:
        if len(self._rows) <= self._most_rows and self._bytes <= self._most_bytes:
            return
        for row in sorted(self._rows.values(), key=lambda row: (row.urgent, row.seq)):
            if len(self._rows) <= self._most_rows and self._bytes <= self._most_bytes:
                return
            self.settle(row, Fate.DROPPED, "the outbox was full")


def weight(notice: Notice) -> int:
    """Bytes that a notice counts for: its JSON."""
    return len(msgspec.json.encode(notice))


def _may_go(retry_at: Instant | None, now: Instant) -> bool:
    return retry_at is None or retry_at.boot_id != now.boot_id or retry_at.boot <= now.boot
