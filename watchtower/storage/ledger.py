"""The one writer: every change of the journal is one SQLite transaction, then the head file, then memory.

Runs on the journal's writer thread and nowhere else. Memory (tail, snapshot, outbox) changes only after the disk did.
A failed write is latched: after an error of fsync nobody knows what the page cache still owes the disk, so nothing
more is promised until the journal was opened, and thereby verified, again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from watchtower import __version__
from watchtower.storage import database, head
from watchtower.storage.chain import Link, digest, intact, seal
from watchtower.storage.head import Head
from watchtower.storage.outbox import OutboxState, Settlement
from watchtower.storage.verification import COMPACTED, QUEUED, SNAPSHOT, Recovered, state_hash
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry, Pending, StoredEntry

_INSERT_LINK = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_STATE = "INSERT INTO snapshot VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET state = excluded.state"
_PUT_ROW = "INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?)"


class Ledger:
    """Tail of the chain, latest state and outbox, and the connection that makes them durable."""

    def __init__(self, connection: sqlite3.Connection, directory: Path | None, found: Recovered) -> None:
        self._connection = connection
        self._directory = directory
        self._first, self._sequence, self._hash = found.first, found.sequence, found.hash
        self._snapshot_seq = found.snapshot_seq
        self.snapshot = found.snapshot
        self.outbox = OutboxState(found.pending.values(), found.settled)
        self.fault = ""

    def commit(
        self,
        records: Sequence[Entry],
        snapshot: bytes | None,
        notices: Sequence[tuple[Notice, Sequence[str]]],
        now: Instant,
    ) -> int:
        """See ``ports.Journal.commit``."""
        entries = list(records)
        if snapshot is not None and snapshot != self.snapshot:
            entries.append(Entry(SNAPSHOT, {"sha256": state_hash(snapshot), "bytes": len(snapshot)}))
        else:
            snapshot = None
        draft = self.outbox.draft()
        for notice, sinks in notices:
            if sinks:
                body = {"notice": msgspec.to_builtins(notice), "sinks": sorted(set(sinks))}
                entries.append(Entry(QUEUED, body, notice.incident))
                draft.queue(notice, sorted(set(sinks)), self._sequence + len(entries), now)
        self._write(entries, snapshot, draft, now)
        return self._sequence

    def update_outbox(self, change: Callable[[OutboxState], None], now: Instant) -> None:
        """Settle or postpone. Memory follows even when the disk refuses: a notice that was sent must not be sent again
        every half second because its receipt could not be filed. After a restart it is (at least once)."""
        draft = self.outbox.draft()
        change(draft)
        try:
            self._write([], None, draft, now)
        except StorageFault:
            self.outbox = draft

    def compact(self, keep_entries: int, now: Instant) -> int:
        """Forget the oldest entries but the newest ``keep_entries``, everything pending, and the newest snapshot's.
        The chain notes where it now begins. Returns how many were forgotten."""
        needed = [row.seq for row in self.outbox.rows()] + ([self._snapshot_seq] if self._snapshot_seq else [])
        first = min([self._sequence + 1 - keep_entries, self._sequence, *needed])
        if first <= self._first:
            return 0
        prev_hash = self.read(first - 1, 1, "", "")[0].prev_hash
        self._write([Entry(COMPACTED, {"first": first, "prev_hash": prev_hash})], None, self.outbox.draft(), now, first)
        forgotten, self._first = first - self._first, first
        return forgotten

    def read(self, since_seq: int, limit: int, kind: str, incident: str) -> list[StoredEntry]:
        """See ``ports.Journal.read``."""
        where, arguments = "seq > ?", list[object]([since_seq])
        if kind:
            where += " AND substr(kind, 1, ?) = ?"
            arguments += [len(kind), kind]
        if incident:
            where += " AND incident <> '' AND incident = ?"
            arguments.append(incident)
        try:
            rows = self._connection.execute(
                f"SELECT * FROM entries WHERE {where} ORDER BY seq LIMIT ?",  # noqa: S608  fixed text, bound values
                [*arguments, limit],
            )
            links = [Link(*row) for row in rows]
        except (sqlite3.Error, TypeError) as problem:
            raise StorageFault(f"the journal cannot be read ({database.complaint(problem)})") from problem
        for link in links:
            if not intact(link):
                raise StorageFault(f"entry {link.seq} of the journal was altered")
        return [link.opened() for link in links]

    def go_on_in_memory(self, because: str) -> None:
        """Leave the disk as it is; keep chain position, state and outbox, and go on without durability."""
        self._close_quietly()
        self._connection, self._directory = database.open_in_memory(), None
        self._first = self._sequence + 1
        self.fault = self.fault or because

    def close(self) -> None:
        self._close_quietly()

    def _write(
        self, entries: Sequence[Entry], snapshot: bytes | None, draft: OutboxState, now: Instant, forget_below: int = 0
    ) -> None:
        if self.fault and self._directory is not None:
            raise StorageFault(self.fault)
        links = self._seal([*entries, *map(_receipt, draft.settled)], now)
        try:
            self._transact(links, snapshot, draft, forget_below)
            if links and self._directory is not None:
                head.replace(self._directory, Head(links[-1].seq, links[-1].hash))
        except (sqlite3.Error, OSError) as problem:
            self.fault = f"the journal cannot be written ({database.complaint(problem)})"
            raise StorageFault(self.fault) from problem
        for link in links:
            self._sequence, self._hash = link.seq, link.hash
            if link.kind == SNAPSHOT:
                self._snapshot_seq = link.seq
        if snapshot is not None:
            self.snapshot = snapshot
        self.outbox = draft

    def _seal(self, entries: Sequence[Entry], now: Instant) -> list[Link]:
        links: list[Link] = []
        prev_hash = self._hash
        for seq, entry in enumerate(entries, self._sequence + 1):
            links.append(seal(entry, seq, prev_hash, now, __version__))
            prev_hash = links[-1].hash
        return links

    def _transact(self, links: Sequence[Link], snapshot: bytes | None, draft: OutboxState, forget_below: int) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_INSERT_LINK, links)
            if snapshot is not None:
                connection.execute(_PUT_STATE, (snapshot,))
            connection.executemany(_PUT_ROW, [_outbox_row(row) for row in draft.written.values()])
            connection.executemany(
                "DELETE FROM outbox WHERE seq = ? AND sink = ?", [s.pending.key for s in draft.settled]
            )
            if forget_below:
                connection.execute("DELETE FROM entries WHERE seq < ?", (forget_below,))
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _close_quietly(self) -> None:
        try:
            self._connection.close()
        except sqlite3.Error:
            pass  # a disk that failed may fail again; what was promised is in the write-ahead log


def _receipt(settlement: Settlement) -> Entry:
    row = settlement.pending
    body = {
        "notice": row.notice.id,
        "queued": row.seq,
        "sink": row.sink,
        "failed_attempts": row.attempts,
        "because": settlement.because,
    }
    return Entry(f"notice.{settlement.fate}", body, row.notice.incident)


def _outbox_row(row: Pending) -> tuple[object, ...]:
    mark = row.retry_at
    fields = (row.seq, row.sink, row.attempts, *((mark.boot, mark.wall, mark.boot_id) if mark else (None, None, None)))
    return (*fields, digest(*fields))
