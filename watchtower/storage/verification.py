"""Is what lies on disk what was written? One pass over the whole database answers, and rebuilds what memory needs.

Checked: SQLite's own structure, the schema text, every link of the chain, the head file against the chain, the state
snapshot against the hash that the chain holds of it, and the outbox against the notices queued and settled in the
chain. Whatever differs is ``Damage``; nothing is ever repaired, and nothing unreadable is taken for empty.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from watchtower.storage import database, head
from watchtower.storage.chain import GENESIS, Link, digest, intact
from watchtower.storage.head import Head
from watchtower.storage.outbox import Key
from watchtower.vocabulary.incidents import read_notice
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Damage, Fate, Pending

SNAPSHOT = "state.snapshot"
QUEUED = "notice.queued"
COMPACTED = "journal.compacted"
SETTLED = {f"notice.{fate}": fate for fate in Fate}

_UNREADABLE = (sqlite3.Error, OSError, ValueError, TypeError, KeyError, OverflowError, msgspec.MsgspecError)


@dataclass
class Recovered:
    """What a sound database holds."""

    first: int = 1
    """Sequence of the oldest kept entry."""
    sequence: int = 0
    hash: str = GENESIS
    snapshot_seq: int = 0
    snapshot_hash: str = ""
    snapshot: bytes | None = None
    pending: dict[Key, Pending] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)


class _Bad(Exception):
    def __init__(self, seq: int, because: str) -> None:
        super().__init__(because)
        self.seq = seq


def inspect(directory: Path) -> Recovered | Damage:
    """Look at the journal in ``directory`` without changing a byte of it. Never raises for what it finds there."""
    try:
        promised = head.read(directory)  # before the database: rows may run ahead of the head, never behind
    except (OSError, ValueError) as problem:
        return Damage(0, f"the head file cannot be read ({database.complaint(problem)})")
    if promised is None:
        return Damage(0, "the head file is missing")
    try:
        if not (directory / database.DATABASE).exists():
            return Damage(1, f"the database is missing; the head file promises {promised.sequence} entries")
        if not database.has_header(directory):
            return Damage(0, "the database file is not one")
        connection = database.open_for_reading(directory)
        try:
            connection.execute("BEGIN")
            return recover(connection, promised)
        finally:
            connection.close()
    except _UNREADABLE as problem:
        return Damage(0, f"the database cannot be read ({database.complaint(problem)})")


def recover(connection: sqlite3.Connection, promised: Head) -> Recovered | Damage:
    """Check everything against everything. Raises what SQLite raises on an unreadable file."""
    found = Recovered()
    try:
        _check_schema(connection)
        _follow_chain(connection, promised, found)
        _check_snapshot(connection, found)
        _check_outbox(connection, found)
        _check_structure(connection)
    except _Bad as bad:
        return Damage(bad.seq, str(bad))
    return found


def _check_schema(connection: sqlite3.Connection) -> None:
    if _single(connection, "PRAGMA application_id") != database.APPLICATION_ID:
        raise _Bad(0, "the file is not a Watchtower journal")
    version = _single(connection, "PRAGMA user_version")
    if version != database.SCHEMA_VERSION:
        raise _Bad(0, f"schema version {version} is not ours ({database.SCHEMA_VERSION}); a newer Watchtower wrote it?")
    tables = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    if tables != database.SCHEMA:
        raise _Bad(0, "the schema was altered")


def _check_structure(connection: sqlite3.Connection) -> None:
    if _single(connection, "PRAGMA integrity_check(1)") != "ok":
        raise _Bad(0, "SQLite finds the file's structure damaged")


def _follow_chain(connection: sqlite3.Connection, promised: Head, found: Recovered) -> None:
    anchor = (1, GENESIS)
    """Where the chain must begin: its genesis, or where the last compaction cut it."""
    first: tuple[int, str] | None = None
    met_head = promised == Head(0, GENESIS)
    rows = connection.execute("SELECT * FROM entries ORDER BY seq")
    while True:
        expected = found.sequence + 1
        try:
            row = rows.fetchone()
            if row is None:
                break
            link = Link(*row)
            if first is None:
                first = (link.seq, link.prev_hash)
            elif link.seq != expected or link.prev_hash != found.hash:
                raise _Bad(expected, "the chain is broken: an entry was removed, inserted or moved")
            if not intact(link):
                raise _Bad(link.seq, "the entry was altered")
            if link.kind == COMPACTED:
                cut = link.decoded()
                anchor = (cut["first"], cut["prev_hash"])
            else:
                _note(link, found)
        except _UNREADABLE as problem:
            raise _Bad(expected, f"the entry cannot be read ({database.complaint(problem)})") from problem
        found.sequence, found.hash = link.seq, link.hash
        if link.seq == promised.sequence:
            met_head = link.hash == promised.hash
            if not met_head:
                raise _Bad(link.seq, "the chain was rewritten: the head file holds another hash")
    if first is not None and first != anchor:
        raise _Bad(anchor[0], "the oldest entries are missing")
    if not met_head:
        raise _Bad(found.sequence + 1, f"entries are missing: the head file promises {promised.sequence}")
    found.first = anchor[0]


def _note(link: Link, found: Recovered) -> None:
    """Follow what entries say about the snapshot and the outbox."""
    if link.kind == SNAPSHOT:
        found.snapshot_seq, found.snapshot_hash = link.seq, link.decoded()["sha256"]
    elif link.kind == QUEUED:
        body = link.decoded()
        notice = read_notice(body["notice"])
        for sink in body["sinks"]:
            queued = Instant(link.boot, link.wall, link.boot_id)
            found.pending[link.seq, sink] = Pending(seq=link.seq, sink=sink, notice=notice, queued=queued)
    elif link.kind in SETTLED:
        body = link.decoded()
        found.pending.pop((body["queued"], body["sink"]), None)
        fate = SETTLED[link.kind]
        found.settled[fate] = found.settled.get(fate, 0) + 1


def _check_snapshot(connection: sqlite3.Connection, found: Recovered) -> None:
    row = connection.execute("SELECT state FROM snapshot").fetchone()
    found.snapshot = None if row is None else row[0]
    if ("" if found.snapshot is None else state_hash(found.snapshot)) != found.snapshot_hash:
        raise _Bad(found.snapshot_seq, "the state snapshot is not the one that the chain holds the hash of")


def _check_outbox(connection: sqlite3.Connection, found: Recovered) -> None:
    rows = connection.execute(
        "SELECT seq, sink, attempts, retry_boot, retry_wall, retry_boot_id, hash FROM outbox ORDER BY seq, sink"
    )
    seen: set[Key] = set()
    for *fields, stored_hash in rows:
        seq, sink, attempts, boot, wall, boot_id = fields
        if digest(*fields) != stored_hash or (seq, sink) not in found.pending:
            raise _Bad(seq, "an outbox row was altered")
        seen.add((seq, sink))
        retry_at = None if boot_id is None else Instant(boot, wall, boot_id)
        found.pending[seq, sink] = msgspec.structs.replace(
            found.pending[seq, sink], attempts=attempts, retry_at=retry_at
        )
    for seq, _ in found.pending.keys() - seen:
        raise _Bad(seq, "an outbox row is missing")


def state_hash(state: bytes) -> str:
    """How the chain names a snapshot."""
    return digest(state.hex())


def _single(connection: sqlite3.Connection, statement: str) -> Any:
    return connection.execute(statement).fetchone()[0]
