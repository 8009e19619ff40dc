"""The runner's durable step over the journal: records, snapshot and outbox rows in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from watchtower.remediation.events import Record
from watchtower.storage.journal import Entry, Journal
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.instants import Instant


class JournalMemory:
    """``watchtower.remediation.runner.Memory``. ``journal`` is replaced when the disk fails."""

    def __init__(self, journal: Journal, sinks: Sequence[str]) -> None:
        self.journal = journal
        self._sinks = tuple(sinks)

    async def commit(self, records: Sequence[Record], snapshot: bytes, notices: Sequence[Notice], now: Instant) -> None:
        entries = [
            Entry(
                kind=record.kind,
                incident=str(record.body.get("incident", "")),
                op_id=str(record.body.get("op_id", "")),
                body=record.body,
            )
            for record in records
        ]
        await self.journal.commit(entries, snapshot, [(notice, self._sinks) for notice in notices], now)
