"""The journal: durable memory of every decision, the latest state, and what people still have to be told.

Opening verifies everything. A journal that is damaged, unreadable or of a newer version is not opened and not touched:
the daemon then observes, alerts, and remembers in a ``MemoryJournal``. It never goes on as if the journal were empty,
because budgets, attempts and open intents live here. A person who has looked moves the files aside
(``watchtower journal set-aside``), and the next start begins a new one.

Writing happens on one thread, in order; what memory holds (``due``, ``depth``, ``latest_snapshot``) is read at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from watchtower.storage import database, head
from watchtower.storage.chain import GENESIS
from watchtower.storage.head import Head
from watchtower.storage.ledger import Ledger
from watchtower.storage.outbox import OutboxState
from watchtower.storage.verification import Recovered, inspect
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Damage, Entry, Fate, OutboxDepth, Pending, StoredEntry, Verified

__all__ = ["Damage", "Entry", "MemoryJournal", "SqliteJournal", "StoredEntry", "Verified"]

T = TypeVar("T")

KEEP_ENTRIES = 100_000
"""Default of ``compact``: months of decisions, some 50 MB, verified in about a second at start."""


class SqliteJournal:
    """``ports.Journal`` and ``ports.Outbox`` over one SQLite file."""

    def __init__(self, ledger: Ledger, directory: Path | None) -> None:
        self._ledger = ledger
        self._directory = directory
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")

    @classmethod
    def open(cls, directory: Path) -> tuple[SqliteJournal | None, str]:
        """(journal, "") or (None, why not, in one sentence). Creates directory (0700) and files (0600) where there
        were none; changes nothing where there was something unsound. Hold the lease before."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _unborn(directory):
                head.replace(directory, Head(0, GENESIS))
                database.create(directory)
            found = inspect(directory)
            if isinstance(found, Damage):
                place = f" at entry {found.first_bad_seq}" if found.first_bad_seq else ""
                return None, f"the journal is damaged{place}: {found.because}"
            return cls(Ledger(database.open_for_writing(directory), directory, found), directory), ""
        except (sqlite3.Error, OSError) as problem:
            return None, f"the state directory is unusable ({database.complaint(problem)})"

    @property
    def fault(self) -> str:
        """Why nothing durable can be written; latched until the journal is opened again."""
        return self._ledger.fault

    async def commit(
        self,
        records: Sequence[Entry],
        snapshot: bytes | None,
        notices: Sequence[tuple[Notice, Sequence[str]]],
        now: Instant,
    ) -> int:
        """Records, state and one outbox row per notice and sink: all or nothing, durable on return. Returns the
        sequence of the last entry. Raises StorageFault; a commit whose head file failed may turn out to be durable
        after a restart, so its intents are reconciled, never assumed absent."""
        return await self._on_writer(partial(self._ledger.commit, records, snapshot, notices, now))

    async def go_on_in_memory(self) -> None:
        """After a StorageFault: commits succeed again, in memory alone; pending notices stay pending."""
        await self._on_writer(partial(self._ledger.go_on_in_memory, "the journal is kept in memory"))
        self._directory = None

    def latest_snapshot(self) -> bytes | None:
        return self._ledger.snapshot

    async def read(self, since_seq: int = 0, limit: int = 100, kind: str = "", incident: str = "") -> list[StoredEntry]:
        """At most ``limit`` entries after ``since_seq``, oldest first; ``kind`` is a prefix. Raises StorageFault."""
        return await self._on_writer(partial(self._ledger.read, since_seq, limit, kind, incident))

    async def verify(self) -> Verified | Damage:
        """Check everything on disk again, beside the writer."""
        if self._directory is None:
            return Damage(0, self.fault)
        return await asyncio.to_thread(verify, self._directory)

    async def compact(self, now: Instant, keep_entries: int = KEEP_ENTRIES) -> int:
        """Forget the oldest entries; how many. What is pending and the state are kept. Raises StorageFault."""
        return await self._on_writer(partial(self._ledger.compact, keep_entries, now))

    async def close(self) -> None:
        """Finish what was begun and let go of the file."""
        await self._on_writer(self._ledger.close)
        self._writer.shutdown()

    # ── the outbox ──────────────────────────────────────────────────────────────────────────────

    def due(self, now: Instant, sink: str) -> list[Pending]:
        return self._ledger.outbox.due(now, sink)

    def pending(self) -> list[Pending]:
        return self._ledger.outbox.rows()

    def depth(self, now: Instant, sink: str = "") -> OutboxDepth:
        return self._ledger.outbox.depth(now, sink)

    async def delivered(self, pending: Pending, now: Instant) -> None:
        await self._update(lambda draft: draft.settle(pending, Fate.DELIVERED), now)

    async def failed(self, pending: Pending, retry_at: Instant, now: Instant) -> None:
        await self._update(lambda draft: draft.postpone(pending, retry_at), now)

    async def dead(self, pending: Pending, because: str, now: Instant) -> None:
        await self._update(lambda draft: draft.settle(pending, Fate.DEAD, because), now)

    async def _update(self, change: Callable[[OutboxState], None], now: Instant) -> None:
        await self._on_writer(partial(self._ledger.update_outbox, change, now))

    async def _on_writer(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)


class MemoryJournal(SqliteJournal):
    """The same without a disk, for a daemon that may only observe and alert. ``fault`` says why."""

    def __init__(self, because: str) -> None:
        ledger = Ledger(database.open_in_memory(), None, Recovered())
        ledger.fault = because
        super().__init__(ledger, None)


def verify(directory: Path) -> Verified | Damage:
    """Check the journal in ``directory`` without changing it; a running daemon does not mind."""
    found = inspect(directory)
    if isinstance(found, Damage):
        return found
    return Verified(found.sequence + 1 - found.first, found.sequence, found.hash)


def _unborn(directory: Path) -> bool:
    """Nothing was ever promised here: no file at all, or a first start that ended between head and database."""
    if (directory / database.DATABASE).exists() or (directory / database.WAL).exists():
        return False
    try:
        promised = head.read(directory)
    except ValueError:
        return False
    return promised is None or promised == Head(0, GENESIS)
